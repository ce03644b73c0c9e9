"""What the training engine costs beside the networks, on the CPU.

    python benchmarks/training.py STORE [--blocks 4] [--steps 30]

The time of a step of the engine (reading, moving, logging, EMA, checkpoints at their distance) against the losses, the
backward pass and Adam alone, on the same batches, in turns; promised are 2 % at most. Exits 1 when the promise is not
kept. What CUDA is promised to do, gpu.py measures.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.optim import Adam

from rwsr.degrade.recipes.store_config import GROUPS
from rwsr.degrade.storage.shards.store import open_store
from rwsr.train.data.batches import GroupBatch, GroupBatches, StoredGroups
from rwsr.train.engine.distributed import Ranks
from rwsr.train.engine.loop import fit
from rwsr.train.losses.adversarial import GENERATOR
from rwsr.train.methods.base import Given
from rwsr.train.methods.mm_realsr import PRESETS, TrainConfig, build


def config_of(blocks: int, steps: int, **loop: object) -> TrainConfig:
    """Stage 1 as published, with fewer blocks and small batches."""
    whole = PRESETS["mm-realsr-code-fp32"].config
    changes = {"steps": steps, "batch_size": 2, "lr_patch_px": 24, "log_every": 100} | loop
    return whole.model_copy(
        update={
            "network": whole.network.model_copy(update={"num_block": blocks}),
            "loop": whole.loop.model_copy(update=changes),
        }
    )


def alone(config: TrainConfig, groups: StoredGroups, batches: list[GroupBatch]) -> list[float]:
    """Seconds of each step of losses, backward pass and Adam."""
    method = build(config, Given(groups))
    net = method.networks[GENERATOR].train()
    optimizer = Adam(net.parameters(), lr=config.loop.learning_rate, betas=config.loop.betas)
    seconds: list[float] = []
    for batch in batches:
        started = time.perf_counter()
        terms = method.losses(GENERATOR, batch, {})
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return seconds


def engine(config: TrainConfig, groups: StoredGroups, device: torch.device) -> list[float]:
    """Seconds between the ends of steps."""
    ends: list[float] = []

    def on_step(steps: int, _: dict[str, float]) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        ends.append(time.perf_counter())

    loop = config.loop
    with tempfile.TemporaryDirectory() as run:

        def batches(ranks: Ranks) -> GroupBatches:
            return GroupBatches(groups, batch_size=loop.batch_size, lr_patch_px=loop.lr_patch_px, seed=0, ranks=ranks)

        fit(
            Path(run),
            build(config, Given(groups)),
            batches,
            loop,
            device=device,
            whole_config=config.model_dump(mode="json"),
            on_step=on_step,
            spawn=False,
        )
    return [b - a for a, b in zip(ends, ends[1:], strict=False)]


def overhead(groups: StoredGroups, blocks: int, steps: int) -> bool:
    """Engine against networks alone, in turns; the median of each."""
    config = config_of(blocks, steps)
    source = GroupBatches(groups, batch_size=config.loop.batch_size, lr_patch_px=config.loop.lr_patch_px, seed=0)
    batches = [source[step] for step in range(steps)]
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(3):
        bare += alone(config, groups, batches)[2:]
        ours += engine(config, groups, torch.device("cpu"))[2:]
    more = statistics.median(ours) / statistics.median(bare) - 1
    print(
        f"networks {1000 * statistics.median(bare):.1f} ms, engine {1000 * statistics.median(ours):.1f} ms a step: ",
        end="",
    )
    print(f"{100 * more:+.1f} % (promised: 2 %)")
    return more <= 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=30)
    wanted = parser.parse_args()
    groups = StoredGroups(open_store(wanted.store, GROUPS))
    sys.exit(0 if overhead(groups, wanted.blocks, wanted.steps) else 1)


if __name__ == "__main__":
    main()
