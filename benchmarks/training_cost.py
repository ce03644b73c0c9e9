"""What a step of every preset takes: bytes, operations, hours; on tensors without numbers, so in a minute anywhere.

    python benchmarks/training_cost.py [PRESET ...] [--write README]

Writes the table between the two marks of a file, train/README.md say; else it is printed. Hours are those of the whole
training at 100 and 200 TFLOP a second: rates that an H100 was assumed to reach in TF32 and in bf16, not measured.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn

from rwsr.degrade.errors import UserError
from rwsr.eval.metrics import backbones, lpips_dists, weights
from rwsr.train.data.imagined import ImaginedGroups
from rwsr.train.engine.memory import GIB, cost_of
from rwsr.train.losses import far_encoders, perceptual
from rwsr.train.methods import METHODS
from rwsr.train.methods.base import Given
from rwsr.train.networks.published.srresnet import SrResNetConfig

MARKS = ("<!-- cost of presets -->", "<!-- end of cost -->")
RATES = (100, 200)  # TFLOP/s
SAMPLES = 2


def without_files() -> Any:
    """Published weights are not looked for: what they cost is not in their numbers."""

    def as_made(net: nn.Module, _: object) -> nn.Module:
        return net.requires_grad_(False).eval()

    found = [mock.patch.object(module, "published", as_made) for module in (lpips_dists, perceptual, far_encoders)]
    found.append(mock.patch.object(far_encoders, "clip_rn50", lambda: as_made(backbones.ClipRn50(), None)))
    return [*found, mock.patch.object(weights, "load", lambda _: defaultdict(lambda: torch.zeros(1)))]


def row(method: Any, name: str) -> str:
    config = method.presets[name].config
    if config.method == "dasr":
        config = config.model_copy(update={"weighted": False})  # else it takes a run; what that adds is a thousandth
    groups, px, loop = ImaginedGroups(config), config.loop.lr_patch_px, config.loop

    def make() -> Any:
        start = config.network.build().state_dict() if config.needs_start else None
        trunk = None
        if getattr(config.network, "frozen_extractor", False):
            sizes = {"num_feat": config.network.num_feat, "num_block": config.network.degradation_blocks}
            trunk = SrResNetConfig(**sizes).build().state_dict()
        return method.build(config, Given(groups, start, extractor=trunk))

    times = loop.batch_size / SAMPLES

    def kept(**changes: object) -> str:
        try:
            few, more = (
                cost_of(make, groups.batch(count, px), loop.model_copy(update=changes)).saved
                for count in (SAMPLES, 2 * SAMPLES)
            )
        except UserError:  # of a network without a row of blocks
            return "-"
        return f"{(few + (more - few) * (times - 1)) / GIB:.1f}"  # weights in bf16 are kept once, however many samples

    try:
        cost = cost_of(make, groups.batch(SAMPLES, px), loop)
    except (UserError, ValueError):  # spandrel's classes read numbers while they are built, or it is not there
        return f"| {name} | {loop.batch_size} of {px} px | {loop.steps:,} | not counted | - | - | - | - | - |"
    tflop = cost.flop * times / 1e12
    hours = " / ".join(f"{tflop * loop.steps / rate / 3600:,.1f}" for rate in RATES)
    return (
        f"| {name} | {loop.batch_size} of {px} px | {loop.steps:,} | {cost.fixed / GIB:.1f} | "
        f"{kept(precision='bf16')} | {kept(precision='fp32')} | {kept(checkpointing=True)} | {tflop:.2f} | {hours} |"
    )


def table(wanted: list[str]) -> list[str]:
    lines = [
        "| preset | a step | steps | GiB of weights | GiB for backward, bf16 | fp32 | checkpointing | TFLOP a step "
        "| hours at 100 / 200 TFLOP/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        named = [name for name in method.presets if name in wanted or (not wanted and not name.endswith("-fp32"))]
        lines += [row(method, name) for name in named]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*")
    parser.add_argument("--write", type=Path)
    told = parser.parse_args()
    for patch in without_files():
        patch.start()
    lines = table(told.presets)
    if told.write is None:
        print("\n".join(lines))
        return
    before, _, rest = told.write.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    told.write.write_text("\n".join([f"{before}{MARKS[0]}", *lines, f"{MARKS[1]}{after}"]))


if __name__ == "__main__":
    main()
