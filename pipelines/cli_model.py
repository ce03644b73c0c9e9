"""`rwsr train`, `restore`, `eval`, `report` and `demo`: from a store to a model, its images and its figures."""

import sys
from pathlib import Path

import click

from ..degrade.places import Place
from . import cli_options as options
from .console import printable, say

_TRAIN_PRESETS = ("mm-realsr-net", "mm-realsr-net-tiny")


@click.command()
@click.option("--store", "store_folder", type=options.PLACE, required=True, help="Store of groups to train on.")
@click.option("--out", type=options.LOCAL, required=True, help="Folder of the run.")
@click.option(
    "--preset",
    type=click.Choice(_TRAIN_PRESETS),
    default="mm-realsr-net",
    show_default=True,
    help="mm-realsr-net: the published sizes, for a GPU. mm-realsr-net-tiny: minutes on a CPU.",
)
@click.option("--steps", type=click.IntRange(min=1), default=None, help="Training steps.  [default: the preset's]")
@options.seeded
@options.configured
@options.trackable
@options.as_json
def train(
    store_folder: Place,
    out: Path,
    preset: str,
    steps: int | None,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    track: bool,
    json_: bool,
) -> None:
    """Train MM-RealSR's first stage: generator, condition network and UDEM, by pixel, ranking and anchor losses.

    On CUDA where there is one, else on the CPU. Killed, the same command goes on from its last checkpoint.

    \b
    Example:
      rwsr train --store groups.zarr --out run --preset mm-realsr-net-tiny
    """
    from . import jobs
    from .training import compose_config

    composed = compose_config(preset, config=config, sets=sets, steps=steps, seed=seed)
    job = jobs.TrainJob(store=str(store_folder), out=str(out), preset=preset, config=composed.model_dump(mode="json"))
    made = options.tracked(jobs.train, job, "train", track=track)
    options.tell(made.values, made.lines, json_=json_)


_score = click.FloatRange(0, 1)


@click.command()
@click.argument("images", nargs=-1, required=True, type=options.LOCAL, metavar="IMAGE...")
@click.option("--model", type=options.LOCAL, required=True, help="Folder of a finished run, or its model file.")
@click.option("--out", type=options.LOCAL, required=True, help="Folder for the restored PNG files.")
@click.option("--blur", type=_score, default=None, help="Blur score 0..1 to restore for.  [default: the UDEM's]")
@click.option("--noise", type=_score, default=None, help="Noise score 0..1 to restore for.  [default: the UDEM's]")
@options.as_json
def restore(
    images: tuple[Path, ...], model: Path, out: Path, blur: float | None, noise: float | None, json_: bool
) -> None:
    """Enlarge images 4 times with a trained model; a higher score restores more strongly.

    An image that cannot be read is named and left out.

    \b
    Example:
      rwsr restore photos/cat.png --model run --out restored --noise 0.8
    """
    from .training import restore_files

    done, failed = restore_files(images, model, out, blur=blur, noise=noise)
    for path, reason in failed:
        say(f"left out: {printable(path)}: {reason}")
    lines = [f"wrote {file.path} (blur score {file.blur:.2f}, noise score {file.noise:.2f})" for file in done]
    options.tell(
        {
            "restored": [{"path": f.path, "blur": f.blur, "noise": f.noise} for f in done],
            "left_out": [{"path": path, "reason": reason} for path, reason in failed],
        },
        lines,
        json_=json_,
    )
    if failed:
        sys.exit(options.LEFT_OUT_EXIT_CODE)


@click.command("eval")
@click.option("--store", "store_folder", type=options.PLACE, required=True, help="Store of held-out groups.")
@click.option("--model", "models", multiple=True, type=options.LOCAL, help="A finished run; may be repeated.")
@click.option("--out", type=options.OUT, required=True, help="The report, a Parquet table.")
@options.trackable
@options.as_json
def evaluate(store_folder: Place, models: tuple[Path, ...], out: Place, track: bool, json_: bool) -> None:
    """Measure models, and bicubic beside them, on a store: PSNR and SSIM on Y, borders of 4 px cropped.

    One row per image, member and metric.

    \b
    Example:
      rwsr eval --store held-out.zarr --model run --out metrics.parquet
    """
    from . import jobs

    job = jobs.EvalJob(store=str(store_folder), models={str(path): str(path) for path in models}, out=str(out))
    made = options.tracked(jobs.evaluate, job, "evaluate", track=track)
    options.tell(made.values, made.lines, json_=json_)


@click.command()
@click.option("--metrics", type=options.PLACE, required=True, help="A report that rwsr eval wrote.")
@click.option("--run", "run_folder", type=options.LOCAL, default=None, help="A run, for its loss curves.")
@click.option("--out", type=options.OUT, required=True, help="The page, an HTML file that needs no other file.")
@options.trackable
@options.as_json
def report(metrics: Place, run_folder: Path | None, out: Place, track: bool, json_: bool) -> None:
    """Draw a metric report as one HTML page.

    \b
    Example:
      rwsr report --metrics metrics.parquet --run run --out report.html
    """
    from . import jobs

    job = jobs.ReportJob(metrics=str(metrics), run=str(run_folder) if run_folder else None, out=str(out))
    made = options.tracked(jobs.report, job, "report", track=track)
    options.tell(made.values, made.lines, json_=json_)


@click.command()
@click.argument("out", type=options.LOCAL, metavar="OUT")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=None,
    help="Training steps; fewer is faster and worse.  [default: 2400]",
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
