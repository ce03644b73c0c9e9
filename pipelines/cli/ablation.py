"""`rwsr ablation`: the tables of a paper, from photographs to the page."""

from pathlib import Path
from typing import Literal

import click

from ...degrade.storage.location import Place
from .common import options, params
from .train import EDL_TOLD

_TABLES = "VII: branches. VIII: discriminators. IX: noise injection and NGDC. X: losses."


_metrics = click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="As of `rwsr eval`; may be repeated.  [default: psnr-y, ssim-y and lpips-alex, else lpips-squeeze]",
)


@click.group(short_help="The tables of a paper as one command")
def ablation() -> None:
    """Make the tables of a paper by one command: data, trainings by several seeds, measurement, a page."""


@ablation.command("rwsr-edl", short_help="Tables VII to X of RWSR-EDL, and their curves")
@click.option("--table", type=click.Choice(["VII", "VIII", "IX", "X"]), default="IX", show_default=True, help=_TABLES)
@click.option("--target", multiple=True, required=True, type=params.PLACE, help="Folder of the target's photographs.")
@click.option("--auxiliary", multiple=True, type=params.PLACE, help="Folder of an auxiliary set; may be repeated.")
@click.option("--held-out", type=params.PLACE, required=True, help="Folder of HR photographs to measure on.")
@click.option("--held-out-lr", type=params.PLACE, default=None, help="Their LR, by the same camera as the target.")
@click.option(
    "--simulate-camera", is_flag=True, help="Degrade clean photographs by a fixed camera, instead of --held-out-lr."
)
@click.option("--out", type=params.LOCAL, required=True, help="Folder of all that is made.")
@click.option(
    "--preset",
    type=params.LazyChoice(options.presets_of("rwsr-edl")),
    default="rwsr-edl-small",
    show_default=True,
    help=EDL_TOLD,
)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Trainings of each variant.")
@click.option("--steps", type=click.IntRange(min=1), default=None, help="Of each training.  [default: the preset's]")
@click.option(
    "--psnr-steps",
    type=click.IntRange(min=0),
    default=1500,
    show_default=True,
    help="Of the model that all start from: the main generator, by L1 on pairs without noise; 0 is none.",
)
@click.option("--samples", type=click.IntRange(min=1), default=2000, show_default=True, help="Pairs in each store.")
@click.option("--hr-size", type=click.IntRange(min=32), default=128, show_default=True, help="Side of the HR, pixels.")
@click.option(
    "--tile", type=click.IntRange(min=8), default=64, show_default=True, help="Side of noise patches, pixels."
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings at once.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A key of the training; may be repeated.")
@_metrics
@options.as_json
def ablation_rwsr_edl(
    table: str,
    target: tuple[Place, ...],
    auxiliary: tuple[Place, ...],
    held_out: Place,
    held_out_lr: Place | None,
    simulate_camera: bool,
    out: Path,
    preset: str,
    seeds: int,
    steps: int | None,
    psnr_steps: int,
    samples: int,
    hr_size: int,
    tile: int,
    workers: int,
    sets: tuple[str, ...],
    metrics: tuple[str, ...],
    json_: bool,
) -> None:
    """Do an ablation of RWSR-EDL: build its data, train every variant by every seed, measure, and draw the table.

    Killed, the same command goes on where it was. The page has the table with its spread, the curves of PSNR and LPIPS
    while training (the paper's figure 3), and crops to look at.

    \b
    Example:
      rwsr ablation rwsr-edl --table IX --target mine --auxiliary others --held-out test --simulate-camera --out tables
    """
    from ..papers import rwsr_edl_tables as ablations

    plan = ablations.Plan(
        out=out,
        table=table,
        target=target,
        auxiliary=auxiliary,
        held_out=held_out,
        held_out_lr=held_out_lr,
        preset=preset,
        sets=sets,
        steps=steps,
        psnr_steps=psnr_steps,
        seeds=seeds,
        samples=samples,
        hr_size_px=hr_size,
        tile_px=tile,
        simulate_camera=simulate_camera,
        workers=workers,
        metrics=metrics,
    )
    found = ablations.run(plan)
    options.tell({"page": found.page, "table": table, "runs": found.runs}, found.lines, json_=json_)


@ablation.command("hr-aware", short_help="Tables 1 to 4 of HR-aware, and figure 9")
@click.option(
    "--table",
    type=click.Choice(["1", "2", "3", "4"]),
    default="1",
    show_default=True,
    help="1: against LWay and self-training. 2: controller and FAR. 3: FAR's encoder. 4: the controller's strength.",
)
@click.option(
    "--model", "models", multiple=True, required=True, metavar="[NAME=]PATH", help="An SR model; may be repeated."
)
@click.option(
    "--pretrain-on", multiple=True, required=True, type=params.PLACE, help="Folder of clean photographs; repeatable."
)
@click.option("--hr", type=params.PLACE, required=True, help="Folder of HR photographs to measure on.")
@click.option("--lr", type=params.PLACE, default=None, help="Their LR, which is all that models are fine-tuned on.")
@click.option(
    "--simulate-camera",
    type=click.Choice(["soft", "noisy"]),
    default=None,
    help="Instead of --lr: make the LR by a camera with soft optics, or with a noisy sensor.",
)
@click.option("--out", type=params.LOCAL, required=True, help="Folder of all that is made.")
@click.option(
    "--preset",
    type=click.Choice(["hr-aware", "hr-aware-small"]),
    default="hr-aware-small",
    show_default=True,
    help="The paper's numbers; or minutes on a CPU, seen through SqueezeNet.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Trainings of each variant.")
@click.option(
    "--pretrain-seeds",
    type=click.IntRange(min=1),
    default=None,
    help="Reconstruction networks of each kind, for the seeds to share.  [default: as many as seeds]",
)
@click.option("--pretrain-steps", type=click.IntRange(min=1), default=None, help="[default: the preset's]")
@click.option("--steps", type=click.IntRange(min=1), default=None, help="Of fine-tuning.  [default: the preset's]")
@click.option("--samples", type=click.IntRange(min=1), default=2000, show_default=True, help="Pairs to pretrain on.")
@click.option(
    "--hr-size", type=click.IntRange(min=32), default=128, show_default=True, help="Side of their HR, pixels."
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings at once.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A key of fine-tuning; may be repeated.")
@click.option("--pretrain-set", "pretrain_sets", multiple=True, metavar="KEY=VALUE", help="A key of pretraining.")
@click.option("--pairs-set", "pairs_sets", multiple=True, metavar="KEY=VALUE", help="A key of the pairs, second-order.")
@_metrics
@click.option(
    "--far-model",
    type=params.LOCAL,
    default=None,
    help="Of table 3: the SR model that FAR looks through (EDSR's place).",
)
@options.as_json
def ablation_hr_aware(
    table: str,
    models: tuple[str, ...],
    pretrain_on: tuple[Place, ...],
    hr: Place,
    lr: Place | None,
    simulate_camera: Literal["soft", "noisy"] | None,
    out: Path,
    preset: str,
    seeds: int,
    pretrain_seeds: int | None,
    pretrain_steps: int | None,
    steps: int | None,
    samples: int,
    hr_size: int,
    workers: int,
    sets: tuple[str, ...],
    pretrain_sets: tuple[str, ...],
    pairs_sets: tuple[str, ...],
    metrics: tuple[str, ...],
    far_model: Path | None,
    json_: bool,
) -> None:
    """Do a table of HR-aware: pretrain, fine-tune SR models on LR alone by every variant and seed, measure, and draw.

    Killed, the same command goes on where it was. The page has the table with its spread, the curves while fine-tuning
    (the paper's figure 9), and what stopping early by each rule would have given.

    \b
    Example:
      rwsr ablation hr-aware --model run --pretrain-on photos --hr test --simulate-camera soft --out adaptation
    """
    from ..evaluate import named_models
    from ..papers import hr_aware_tables

    plan = hr_aware_tables.Plan(
        out=out,
        table=table,
        models=named_models(models),
        pretrain_on=pretrain_on,
        hr=hr,
        lr=lr,
        simulate_camera=simulate_camera,
        preset=preset,
        sets=sets,
        pretrain_sets=pretrain_sets,
        pairs_sets=pairs_sets,
        steps=steps,
        pretrain_steps=pretrain_steps,
        seeds=seeds,
        pretrain_seeds=pretrain_seeds or seeds,
        samples=samples,
        hr_size_px=hr_size,
        workers=workers,
        far_model=far_model,
        metrics=metrics,
    )
    found = hr_aware_tables.run(plan)
    options.tell({"page": found.page, "table": table, "runs": found.runs}, found.lines, json_=json_)
