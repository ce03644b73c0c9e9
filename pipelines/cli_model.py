"""`rwsr train`, `restore` and `demo`: from a store to a model, and its images."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click

from ..degrade.places import Place
from . import cli_options as options
from .console import printable, say


@click.group()
def train() -> None:
    """Train a model on a store. On CUDA where there is one, else on the CPU.

    Killed, the same command goes on from its last checkpoint; Ctrl-C saves first. Several GPUs:
    torchrun --nproc-per-node 4 -m rwsr.pipelines.cli train ...
    """


_Command = Callable[..., None]


def _of_a_training(presets: tuple[str, ...], told: str) -> Callable[[_Command], _Command]:
    """The options that the training of every method has."""
    shared = (
        click.option("--store", "store_folder", type=options.PLACE, default=None, help="Store to train on."),
        click.option(
            "--source", "folders", multiple=True, type=options.PLACE, help="Or: folders of images, rendered meanwhile."
        ),
        click.option(
            "--recipe", type=options.LOCAL, default=None, help="Of --source: a config as `rwsr degrade show` writes."
        ),
        click.option("--out", type=options.LOCAL, required=True, help="Folder of the run."),
        click.option("--preset", type=click.Choice(presets), default=presets[0], show_default=True, help=told),
        click.option(
            "--start-from", type=options.LOCAL, default=None, help="An earlier run whose weights to start from."
        ),
        click.option(
            "--val-store", type=options.PLACE, default=None, help="Store of held-out samples to measure meanwhile."
        ),
        click.option(
            "--steps", type=click.IntRange(min=1), default=None, help="Training steps.  [default: the preset's]"
        ),
        options.seeded,
        options.configured,
        options.trackable,
        options.as_json,
    )

    def add(command: _Command) -> _Command:
        for option in reversed(shared):
            command = option(command)
        return command

    return add


def _staged(stages: str) -> Callable[[_Command], _Command]:
    return click.option("--stage", type=click.IntRange(1, 2), default=1, show_default=True, help=stages)


def _train(
    *,
    store_folder: Place | None,
    folders: tuple[Place, ...],
    recipe: Path | None,
    out: Path,
    preset: str,
    stage: Literal[1, 2] = 1,
    bank: Place | None = None,
    start_from: Path | None,
    val_store: Place | None,
    steps: int | None,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    track: bool,
    json_: bool,
) -> None:
    from . import jobs
    from .training import compose_config

    if (store_folder is None) == (not folders) or (recipe is not None and not folders):
        raise click.UsageError("name either a --store, or --source (and its --recipe)")
    if stage == 2 and start_from is None:
        raise click.UsageError("stage 2 goes on from a run of stage 1; name it with --start-from")
    composed = compose_config(preset, stage, config=config, sets=sets, steps=steps, seed=seed)
    job = jobs.TrainJob(
        store=str(store_folder) if store_folder else None,
        sources=tuple(map(str, folders)),
        recipe=str(recipe) if recipe else None,
        out=str(out),
        preset=preset,
        stage=stage,
        config=composed.model_dump(mode="json"),
        start_from=str(start_from) if start_from else None,
        val_store=str(val_store) if val_store else None,
        bank=str(bank) if bank else None,
    )
    made = options.tracked(jobs.train, job, "train", track=track)
    options.tell(made.values, made.lines, json_=json_)


@train.command("mm-realsr")
@_of_a_training(
    ("mm-realsr-code", "mm-realsr-paper", "mm-realsr-small", "real-esrgan", "esrgan"),
    "MM-RealSR by the published training files, by the paper, or in minutes on a CPU; the last two are without "
    "modulation and for stores of pairs.",
)
@_staged("1: pixel, ranking and anchor losses. 2: with perceptual and GAN losses, from a run of stage 1.")
def train_mm_realsr(**told: Any) -> None:
    """Train MM-RealSR (generator, condition network and UDEM), or its generator alone as Real-ESRGAN or ESRGAN do.

    Stage 1 is without, stage 2 with perceptual and GAN losses.

    \b
    Example:
      rwsr train mm-realsr --store groups.zarr --out run --preset mm-realsr-small
    """
    _train(**told)


@train.command("cugan")
@_of_a_training(
    ("cugan", "cugan-small", "unet"),
    "The paper's numbers; minutes on a CPU; or the paper's baselines Unet and UGAN, which are told nothing and are "
    "trained on one degradation (recipe.only).",
)
@_staged("1: CUnet, by MSE. 2: CUGAN, with perceptual and GAN losses, from a run of stage 1.")
def train_cugan(**told: Any) -> None:
    """Train CUGAN (Cai et al. 2021): restoration at scale 1 that is told how blurred and how noisy an image is.

    Not bilibili's Real-CUGAN, which enlarges drawings. It learns from a store of `rwsr degrade build --preset cugan`,
    which knows the blur and noise of each pair.

    \b
    Example:
      rwsr train cugan --store pairs.zarr --out run --preset cugan-small
    """
    _train(**told)


_EDL = ("rwsr-edl", "rwsr-edl-code", "rwsr-edl-aim19", "rwsr-edl-small", "impressionism")
_EDL_TOLD = (
    "The paper's network and losses; the published code's for NTIRE 2020 or AIM 2019; minutes on a CPU; or "
    "Impressionism, which has one branch."
)
_TABLES = "VII: branches. VIII: discriminators. IX: noise injection and NGDC. X: losses."


@train.command("rwsr-edl")
@_of_a_training(_EDL, _EDL_TOLD)
@click.option("--bank", type=options.PLACE, default=None, help="Noise bank: each LR gets new noise of it in each step.")
def train_rwsr_edl(**told: Any) -> None:
    """Train RWSR-EDL (Li et al. 2021): two branches that a mask parts, one for the eye and one for the pixels.

    It learns from pairs of `rwsr degrade build --preset rwsr-edl`: with the noise that they hold, or of pairs without
    (recipe.strength=0) and a --bank with noise that is drawn anew in each step, as published. --start-from takes a run
    of it, or a PSNR model of `rwsr train mm-realsr --preset esrgan`.

    \b
    Example:
      rwsr train rwsr-edl --store pairs.zarr --bank bank.zarr --out run --preset rwsr-edl-small
    """
    _train(**told)


@train.command("interpolate")
@click.argument("a", type=options.LOCAL, metavar="A")
@click.argument("b", type=options.LOCAL, metavar="B")
@click.option("--alpha", type=click.FloatRange(0, 1), required=True, help="0 is A, 1 is B.")
@click.option("--out", type=options.LOCAL, required=True, help="Folder of the new run.")
@options.as_json
def train_interpolate(a: Path, b: Path, alpha: float, out: Path, json_: bool) -> None:
    """Make a model between two runs of one network, of which one was trained from the other.

    Between a GAN's model and the one by MSE it was trained from, alpha goes from detail to fidelity (CUGAN, section
    3.4, whose alpha has the GAN as A).

    \b
    Example:
      rwsr train interpolate gan mse --alpha 0.5 --out between
    """
    from ..train.interpolate import interpolate

    file = interpolate(a, b, alpha, out)
    options.tell({"model": file}, [f"wrote {file}"], json_=json_)


class _ScoreType(click.ParamType[float | None]):
    """A score, or `auto`."""

    name = "score"

    def convert(
        self, value: str | float | None, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if value is None or value == "auto":
            return None
        try:
            score = float(value)
        except ValueError:
            score = -1.0
        if not 0 <= score <= 1:
            self.fail(f"{value!r} is neither a number from 0 to 1 nor `auto`", param, ctx)
        return score


_score = _ScoreType()


@click.command()
@click.option("--table", type=click.Choice(["VII", "VIII", "IX", "X"]), default="IX", show_default=True, help=_TABLES)
@click.option("--target", multiple=True, required=True, type=options.PLACE, help="Folder of the target's photographs.")
@click.option("--auxiliary", multiple=True, type=options.PLACE, help="Folder of an auxiliary set; may be repeated.")
@click.option("--held-out", type=options.PLACE, required=True, help="Folder of HR photographs to measure on.")
@click.option("--held-out-lr", type=options.PLACE, default=None, help="Their LR, by the same camera as the target.")
@click.option("--spoil", is_flag=True, help="Spoil clean photographs by a fixed degradation, instead of --held-out-lr.")
@click.option("--out", type=options.LOCAL, required=True, help="Folder of all that is made.")
@click.option("--preset", type=click.Choice(_EDL), default="rwsr-edl-small", show_default=True, help=_EDL_TOLD)
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
@options.as_json
def ablation(
    table: str,
    target: tuple[Place, ...],
    auxiliary: tuple[Place, ...],
    held_out: Place,
    held_out_lr: Place | None,
    spoil: bool,
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
    json_: bool,
) -> None:
    """Do an ablation of RWSR-EDL: build its data, train every variant by every seed, measure, and draw the table.

    Killed, the same command goes on where it was. The page has the table with its spread, the curves of PSNR and LPIPS
    while training (the paper's figure 3), and crops to look at.

    \b
    Example:
      rwsr ablation --table IX --target photos --auxiliary others --held-out test --spoil --out ablation
    """
    from . import ablation as ablations

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
        spoil=spoil,
        workers=workers,
    )
    hr, lr = ablations.run(plan)
    from . import ablation_report

    found = ablation_report.measure(plan, hr, lr)
    page = ablation_report.write(plan, found)
    values = {metric: {name: list(runs) for name, runs in each.runs.items()} for metric, each in found.items()}
    lines = [*ablation_report.lines(plan, found), f"wrote {page}"]
    options.tell({"page": page, "table": table, "runs": values}, lines, json_=json_)


@click.command()
@click.argument("images", nargs=-1, required=True, type=options.LOCAL, metavar="IMAGE...")
@click.option("--model", type=options.LOCAL, required=True, help="A run, or a checkpoint (.safetensors, .pth, ncnn).")
@click.option("--out", type=options.LOCAL, required=True, help="Folder for the restored PNG files.")
@click.option("--blur", type=_score, default="auto", show_default=True, help="Blur score 0..1; auto is the UDEM's.")
@click.option("--noise", type=_score, default="auto", show_default=True, help="Noise score 0..1; auto is the UDEM's.")
@click.option(
    "--condition",
    nargs=2,
    type=click.FloatRange(0, 1),
    default=None,
    metavar="BLUR NOISE",
    help="For a run of CUGAN: what is in the images, blur of sigma 4 and noise of 50 grey levels being 1.",
)
@click.option(
    "--tile",
    type=click.IntRange(min=0),
    default=256,
    show_default=True,
    help="LR pixels that the model sees at once, 32 or more; 0 is the whole image. Less takes less memory.",
)
@options.as_json
def restore(
    images: tuple[Path, ...],
    model: Path,
    out: Path,
    blur: float | None,
    noise: float | None,
    condition: tuple[float, float] | None,
    tile: int,
    json_: bool,
) -> None:
    """Enlarge (or at scale 1 restore) images, and all images in folders, with a model. 16 bits and alpha are kept.

    Models are runs of `rwsr train`, the published files of IMDN, RLFN and Real-ESRGAN's compact models (.pth, or ncnn's
    .param and .bin), and with `pip install 'rwsr[models]'` all that spandrel knows. A run can be told how strongly to
    restore: a higher score mends more. An image that cannot be read is named and left out.

    \b
    Example:
      rwsr restore photos/cat.png --model run --out restored --noise 0.8
    """
    from .restoring import restore_files

    done, left_out = restore_files(images, model, out, blur=blur, noise=noise, condition=condition, tile_px=tile)
    for each in left_out:
        say(f"left out: {printable(each.path)}: {each.reason}")
    lines = [
        f"wrote {each.path}" + ("" if each.blur is None else f" (blur {each.blur:.2f}, noise {each.noise:.2f})")
        for each in done
    ]
    values = {"restored": [asdict(each) for each in done], "left_out": [asdict(each) for each in left_out]}
    options.tell(values, lines, json_=json_)
    if left_out:
        sys.exit(options.LEFT_OUT_EXIT_CODE)


@click.command()
@click.argument("run", type=options.LOCAL, metavar="RUN")
@click.option("--out", type=options.LOCAL, required=True, help="A .pth or an .onnx file.")
@options.as_json
def export(run: Path, out: Path, json_: bool) -> None:
    """Write the model of a run for other programs.

    .pth: the averaged weights under `params_ema` by their published names, as BasicSR, spandrel and chaiNNer read them
    (CUGAN's network and RWSR-EDL's branches they do not know; rwsr reads all of them back).
    .onnx: `lr` of any size and, for a run that can be told how strongly to restore, `scores` (blur, noise; of CUGAN its
    condition) to `sr`.

    \b
    Example:
      rwsr export run --out model.pth
    """
    from ..train.export import to_onnx, to_pth

    writers = {".pth": to_pth, ".onnx": to_onnx}
    if out.suffix not in writers:
        raise click.UsageError(f"--out {out} is neither a .pth nor an .onnx file")
    writers[out.suffix](run, out)
    options.tell({"out": out}, [f"wrote {out}"], json_=json_)


@click.command()
@click.argument("out", type=options.LOCAL, metavar="OUT")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=None,
    help="Training steps; fewer is faster and worse.  [default: 2000]",
)
@options.workers
@options.as_json
def demo(out: Path, steps: int | None, workers: int, dask: options.Dask, json_: bool) -> None:
    """Go the whole way on photographs that come with scikit-image: sources to HTML report, in minutes.

    Nothing is downloaded. Run again, it continues where it was, or says that all is done.

    \b
    Example:
      rwsr demo DEMO
    """
    from .demo import run_demo
    from .executors import Executor

    made = run_demo(out, Executor(workers, dask), steps=steps)
    lines = ["made:", *(f"  {path}" for path in made), f"open {made[0]} in a browser"]
    options.tell({"made": made}, lines, json_=json_)
