"""What is measured of MM-RealSR's scores meanwhile: networks whose scores and steering are known."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from rwsr.eval.images.sets import of_folders
from rwsr.train.compose import compose_training
from rwsr.train.methods.mm_realsr_validation import of_scores
from rwsr.train.networks.mm_realsr import MMRealSR

from ...builders import tiny_store
from ...commands import TINY, flags, rwsr

CPU = torch.device("cpu")


class _Known(MMRealSR):
    """Scores noise by the finest differences, and blur by the lack of them; takes away as much noise as told."""

    def __init__(self, sign: float = 1) -> None:
        config = compose_training("mm-realsr-small").network
        super().__init__(config)  # type: ignore[arg-type]
        self._sign = sign

    def score(self, lr: Tensor) -> Tensor:
        steps = lr.diff(dim=-1).diff(dim=-2).abs().mean(dim=(1, 2, 3))
        return torch.stack((-self._sign * steps, self._sign * steps), dim=1)

    def restore_at(self, lr: Tensor, blur: float, noise: float) -> Tensor:
        return lr * (1 - 0.75 * noise) * (0.4 + 0.1 * blur)


def test_scores_that_rise_and_steer_are_told_from_those_that_do_not(photos: Path) -> None:
    images = of_folders(None, photos, 1)
    found = of_scores(images, _Known(), CPU)
    assert set(found) == {"spearman-blur", "spearman-noise", "steered-blur", "steered-noise"}
    assert all(len(values) == 4 for values in found.values())
    assert found["spearman-blur"] == found["spearman-noise"] == [1.0] * 4
    assert found["steered-noise"] == pytest.approx([0.75] * 4, abs=1e-5)
    assert found["steered-blur"] == pytest.approx([0.25] * 4, abs=1e-5)
    assert of_scores(images, _Known(-1), CPU)["spearman-noise"] == [-1.0] * 4


def test_a_training_logs_how_its_scores_do(photos: Path, tmp_path: Path) -> None:
    """In the log of a run beside PSNR; of an unmodulated one there is nothing to say."""
    store = tiny_store(photos, tmp_path / "groups.zarr").path
    plain = tiny_store(photos, tmp_path / "pairs.zarr", "bicubic", num_samples=4).path
    every = ("--set", "loop.validate_every=2", "--steps", 2)
    rwsr("train", "mm-realsr", "--store", store, "--preset", "mm-realsr-small", "--val-store", store, *every,
         *flags("--set", TINY), "--out", tmp_path / "run")  # fmt: skip
    logged = set(pq.read_table(tmp_path / "run/train.parquet")["name"].to_pylist())
    assert {"spearman-blur", "spearman-noise", "steered-blur", "steered-noise"} <= {
        name.rpartition("/")[2] for name in logged
    }
    sets = ("network.num_feat=4", "network.num_block=1", "network.num_grow_ch=4", "loop.batch_size=2",
            "loop.lr_patch_px=16")  # fmt: skip
    rwsr("train", "mm-realsr", "--store", plain, "--preset", "esrgan-psnr-fp32", "--val-store", plain, *every,
         *flags("--set", sets), "--out", tmp_path / "plain")  # fmt: skip
    assert not any("spearman" in name for name in pq.read_table(tmp_path / "plain/train.parquet")["name"].to_pylist())
