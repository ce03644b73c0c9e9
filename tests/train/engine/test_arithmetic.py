"""How CUDA is told to compute: in TF32 while training where the config says so, in fp32 whatever is measured."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rwsr.degrade.config import compose
from rwsr.degrade.storage.shards.store import Store
from rwsr.eval.images.restoring import restore
from rwsr.eval.images.sets import of_store
from rwsr.train.compose import compose_training, method_of
from rwsr.train.data.of_training import stored
from rwsr.train.engine.optimizers import Adam, AdamW, make_optimizer
from rwsr.train.engine.trained import Trained
from rwsr.train.networks.mm_realsr import MMRealSR
from rwsr.train.runs.identity import check_identity
from rwsr.train.train import train_run

from ...builders import tiny_store

FLAGS = (torch.backends.cudnn, torch.backends.cuda.matmul)
SMALL = ("loop.batch_size=2", "loop.lr_patch_px=12", "loop.steps=2", "loop.validate_every=1")


def _now() -> list[bool]:
    return [each.allow_tf32 for each in FLAGS]


@pytest.mark.parametrize("tf32", [True, False])
@pytest.mark.slow
def test_steps_are_as_told_and_measuring_is_fp32(
    tf32: bool, store: Store, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And afterwards all is as it was."""
    before, seen = [*_now(), torch.backends.cudnn.benchmark], {"step": [], "measured": []}
    step, forward = Trained.step, MMRealSR.forward

    def watched(self: Trained, *told: object) -> object:
        seen["step"].append([*_now(), torch.backends.cudnn.benchmark])
        return step(self, *told)  # type: ignore[arg-type]

    def looked(self: MMRealSR, *told: Tensor) -> Tensor:
        if not self.training:
            seen["measured"].append(_now())
        return forward(self, *told)

    monkeypatch.setattr(Trained, "step", watched)
    monkeypatch.setattr(MMRealSR, "forward", looked)
    val = of_store(tiny_store(photos, tmp_path / "val.zarr", num_samples=2))
    config = compose(compose_training("mm-realsr-small"), sets=[*SMALL, f"loop.tf32={str(tf32).lower()}"])
    assert train_run(tmp_path / "run", stored(store.path), method_of("mm-realsr-small"), config, val=val)
    assert seen["step"] == [[tf32, tf32, True]] * 2
    assert seen["measured"] and all(each == [False, False] for each in seen["measured"])
    assert [*_now(), torch.backends.cudnn.benchmark] == before


def test_restoring_is_in_fp32() -> None:
    seen: list[list[bool]] = []

    def model(lr: Tensor) -> Tensor:
        seen.append(_now())
        return lr

    restore(model, torch.rand(1, 3, 4, 4), torch.device("cpu"))
    assert seen == [[False, False]]


def test_a_run_goes_on_on_another_machine_s_arithmetic(store: Store, tmp_path: Path) -> None:
    """And one of before there were these keys."""
    config = compose(compose_training("mm-realsr-small"), sets=SMALL[:3])
    run = tmp_path / "run"
    train_run(run, stored(store.path), method_of("mm-realsr-small"), config)
    values = config.model_dump(mode="json")
    del values["loop"]["tf32"], values["loop"]["cudnn_benchmark"]
    from rwsr.train.runs.bound import unbound

    known = unbound(run / "run.json")
    found = check_identity(run, values, known["data_sha256"])
    assert found is not None and not found.is_branch and set(found.values) == {"loop.tf32", "loop.cudnn_benchmark"}


def test_adam_is_one_kernel_on_cuda_alone() -> None:
    net = nn.Linear(2, 2)
    for kind in (Adam(), AdamW()):
        made = make_optimizer(kind, net.parameters(), 1e-3, (0.9, 0.99))
        assert not made.param_groups[0]["fused"]
