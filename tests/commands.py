"""The command as tests run it in their own process, and an end that comes in the middle of a training."""

from collections.abc import Callable, Sequence

import torch
from click.testing import CliRunner

from rwsr.degrade.errors import UserError
from rwsr.pipelines.cli.main import root

TINY = (  # the smallest MM-RealSR that trains, saved and logged all the time
    "network.num_feat=4",
    "network.num_block=1",
    "network.num_grow_ch=4",
    "network.udem={num_feat: [4], num_block: [1], downscales: [2]}",
    "loop.batch_size=2",
    "loop.lr_patch_px=16",
    "loop.checkpoint_every=2",
    "loop.log_every=1",
)


def rwsr(*arguments: object, code: int = 0) -> str:
    """What `rwsr ARGUMENTS` prints; for code 1 the error that it ends with."""
    result = CliRunner().invoke(root, [str(each) for each in arguments])
    if code == 1:
        assert isinstance(result.exception, UserError), result.output
        return str(result.exception)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def make_spandrel_importable() -> None:
    """torchvision's wheel, which spandrel wants, does not import beside a torch without CUDA."""
    if not hasattr(torch.ops.torchvision, "nms"):
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")


def flags(option: str, keys: Sequence[str]) -> list[str]:
    """An option again and again, once for each key."""
    return [part for each in keys for part in (option, each)]


class Stop(Exception):
    """Stands for whatever ends a process."""


def stop_after(limit: int) -> Callable[[int, dict[str, float]], None]:
    """For a training's on_step: ends it when so many steps are done."""
    done = 0

    def on_step(steps: int, terms: dict[str, float]) -> None:
        nonlocal done
        done += steps
        if done >= limit and steps:
            raise Stop

    return on_step
