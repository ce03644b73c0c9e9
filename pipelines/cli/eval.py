"""`rwsr eval`, `report` and `weights`: what models are worth, as tables and as a page."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ...degrade.storage.location import Place
from . import options as options

if TYPE_CHECKING:
    from ...eval.images.sets import ImageSet
    from ...train.losses.far import Strength
    from ..evaluate import Measured

F = TypeVar("F", bound=Callable[..., object])


@click.group("eval")
def evaluate() -> None:
    """Measure models by the protocols of the papers, into a Parquet report that `rwsr report` draws.

    A report may be written to again and again: what is measured anew takes the place of what was there.
    """


@dataclass(frozen=True)
class Which:
    """What is measured: a store, or folders and which images of them."""

    store: Place | None = None
    hr: Place | None = None
    lr: Place | None = None
    scale: int = 1
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    name: str | None = None

    def opened(self) -> "ImageSet":
        """The images; raises UserError."""
        from ...eval.images.pairing import Selection
        from ..evaluate import image_set

        return image_set(self.store, self.hr, self.lr, self.scale, Selection(self.include, self.exclude, self.name))


def _of_which(function: F, *kinds: Callable[[F], F]) -> F:
    """The options of some kinds, and --include, --exclude and --name, as the one argument `which`."""
    names = {each.name for each in fields(Which)}

    @wraps(function)
    def chosen(**kwargs: Any) -> Any:
        which = Which(**{name: kwargs.pop(name) for name in names & kwargs.keys()})
        return function(which=which, **kwargs)

    found = cast(F, chosen)
    for option in (
        click.option("--name", default=None, help="What the report calls the images: a data set as a paper names it."),
        click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave such files out; repeatable."),
        click.option("--include", multiple=True, metavar="PATTERN", help="Only such files, as '*_HR.png'; repeatable."),
        *kinds,
    ):
        found = option(found)
    return found


def _images(function: F) -> F:
    """--store, --hr, --lr, --scale, and which images of folders, as `which`."""
    scale = click.option(
        "--scale", type=click.IntRange(1, 16), default=4, show_default=True, help="Of folders: HR pixels an LR pixel."
    )
    lr = click.option("--lr", type=options.PLACE, default=None, help="Folder of LR images.")
    hr = click.option(
        "--hr",
        type=options.PLACE,
        default=None,
        help="Folder of HR images; without --lr, LR is made by MATLAB's bicubic.",
    )
    store = click.option("--store", type=options.PLACE, default=None, help="A store of groups or pairs.")
    return _of_which(function, scale, lr, hr, store)


def _photographs(told: str) -> Callable[[F], F]:
    """--images, and which of them, as `which`."""
    return lambda function: _of_which(
        function, click.option("--images", "lr", type=options.PLACE, required=True, help=told)
    )


def _metrics(function: F) -> F:
    """--metric."""
    return click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="NAME",
        help="psnr-y, psnr-rgb, ssim-y, ssim-rgb, lpips-alex, lpips-vgg, lpips-squeeze, dists, niqe, and as two papers "
        "measured lpips-alex-cugan, dists-mm-realsr; may be repeated.  [default: those of the protocol: psnr-y and "
        "ssim-y, niqe without HR; what --by names; psnr-rgb, or lpips-alex-cugan and dists]",
    )(function)


def _out(function: F) -> F:
    return options.out_file(".parquet", "The report, a Parquet table; what it holds already is kept.")(function)


def _models(function: F) -> F:
    return click.option(
        "--model",
        "models",
        multiple=True,
        metavar="[NAME=]PATH",
        help="A run, or a checkpoint (.safetensors, .pth, ncnn's .param); may be repeated.",
    )(function)


def _networks(function: F) -> F:
    return click.option(
        "--reconstruction",
        "networks",
        multiple=True,
        required=True,
        metavar="[NAME=]RUN",
        help="A run of `rwsr train hr-aware-pretrain`; may be repeated.",
    )(function)


def _by(function: F) -> F:
    return click.option(
        "--by",
        default="lpips-squeeze",
        show_default=True,
        metavar="NAME",
        help="The metric that the best is chosen by.",
    )(function)


def _tell(found: "Measured", out: Place, *, json_: bool) -> None:
    from ..stages import measured

    made = measured(found, str(out))
    options.tell(made.values, made.lines, json_=json_)
    _exit_by(found.left_out)


def _exit_by(num_left_out: int) -> None:
    """Say by the exit code whether every image was measured."""
    if num_left_out:
        sys.exit(options.LEFT_OUT_EXIT_CODE)


@evaluate.command("restoration")
@_images
@_models
@_metrics
@click.option(
    "--border",
    type=click.IntRange(min=0),
    default=None,
    help="Pixels to crop from each side.  [default: the scale for PSNR and SSIM, else 0]",
)
@_out
@options.trackable
@options.as_json
def eval_restoration(
    which: Which,
    models: tuple[str, ...],
    metrics: tuple[str, ...],
    border: int | None,
    out: Place,
    track: bool,
    json_: bool,
) -> None:
    """Restore every image with every model, and with bicubic and Lanczos, and compare with HR.

    LPIPS, DISTS and NIQE need published files; `rwsr weights` says which are there. A metric whose files are missing is
    skipped by name.

    \b
    Example:
      rwsr eval restoration --store held-out.zarr --model run --out metrics.parquet
      rwsr eval restoration --hr Set5 --scale 4 --model IMDN_x4.pth --metric psnr-y --out metrics.parquet
    """
    from .. import stages
    from ..evaluate import named_models

    job = stages.EvalJob(
        **{key: str(at) for key in ("store", "hr", "lr") if (at := getattr(which, key)) is not None},
        scale=which.scale,
        include=which.include,
        exclude=which.exclude,
        name=which.name,
        models={name: str(path) for name, path in named_models(models).items()},
        metrics=metrics,
        border=border,
        out=str(out),
    )
    made = options.tracked(stages.evaluate, job, "evaluate", track=track)
    options.tell(made.values, made.lines, json_=json_)
    _exit_by(made.values["left_out"])


@evaluate.command("udem-curves")
@_photographs("Folder of clean photographs.")
@_models
@click.option("--levels", type=click.IntRange(2, 100), default=20, show_default=True, help="Of each degradation.")
@_out
@options.as_json
def eval_udem(which: Which, models: tuple[str, ...], levels: int, out: Place, json_: bool) -> None:
    """Draw the scores of runs over rising blur, noise and JPEG (MM-RealSR figure 6): Spearman and dynamic range.

    \b
    Example:
      rwsr eval udem-curves --images photos --model run --out metrics.parquet
    """
    from ...eval.protocols.udem_curves import curves_of
    from ..evaluate import named_models, udem

    named = named_models(models)
    found = udem(which.opened(), named, levels, out)
    result = {name: curves_of(found.rows, name) for name in named}
    lines = [
        f"{name}: rising {each.degradation}: {each.score} score, Spearman {each.spearman:.3f}, "
        f"dynamic range {each.dynamic_range:.3f}"
        for name, all_curves in result.items()
        for each in all_curves
    ]
    values = {
        name: {
            each.degradation: {"score": each.score, "spearman": each.spearman, "dynamic_range": each.dynamic_range}
            for each in all_curves
        }
        for name, all_curves in result.items()
    }
    options.tell({"report": out, "curves": values, "left_out": found.left_out}, [*lines, f"wrote {out}"], json_=json_)
    _exit_by(found.left_out)


@evaluate.command("steering")
@_photographs("Folder of clean photographs.")
@_models
@click.option("--steps", type=click.IntRange(2, 101), default=11, show_default=True, help="Scores from 0 to 1.")
@_out
@options.as_json
def eval_steering(which: Which, models: tuple[str, ...], steps: int, out: Place, json_: bool) -> None:
    """Measure what telling a run more does: noise left under a rising noise score, detail under a rising blur score.

    \b
    Example:
      rwsr eval steering --images photos --model run --out metrics.parquet
    """
    from ...eval.protocols.steering import METRICS, steering_of
    from ..evaluate import named_models, steering_by

    named = named_models(models)
    found = steering_by(which.opened(), named, steps, out)
    result = {name: steering_of(found.rows, name) for name in named}
    lines = [
        f"{name}: {METRICS[each.told]} {each.values[0]:.2f} to {each.values[-1]:.2f} gray levels under a rising "
        f"{each.told} score, Spearman {each.spearman:.3f}, largest step {each.largest_step:.3f} of all"
        for name, every in result.items()
        for each in every
    ]
    values = {
        name: {
            each.told: {"values": each.values, "spearman": each.spearman, "largest_step": each.largest_step}
            for each in every
        }
        for name, every in result.items()
    }
    options.tell({"report": out, "steering": values, "left_out": found.left_out}, [*lines, f"wrote {out}"], json_=json_)
    _exit_by(found.left_out)


@evaluate.command("modulation")
@_images
@click.option("--model", type=options.LOCAL, required=True, help="A run that can be told how strongly to restore.")
@_metrics
@_by
@click.option("--grid", type=click.IntRange(2, 101), default=11, show_default=True, help="Scores along each side.")
@_out
@options.as_json
def eval_modulation(
    which: Which,
    model: Path,
    metrics: tuple[str, ...],
    by: str,
    grid: int,
    out: Place,
    json_: bool,
) -> None:
    """Restore every image under each pair of scores; how good the best pair is, and the run's own (MM-RealSR table 1).

    \b
    Example:
      rwsr eval modulation --store held-out.zarr --model run --by psnr-y --grid 3 --out metrics.parquet
    """
    from ..evaluate import modulation

    _tell(modulation(which.opened(), model, metrics, by, grid, out), out, json_=json_)


@evaluate.command("interpolation")
@_images
@click.argument("first", type=options.LOCAL, metavar="A")
@click.argument("second", type=options.LOCAL, metavar="B")
@_metrics
@click.option("--steps", type=click.IntRange(2, 101), default=11, show_default=True, help="From A to B, both included.")
@_out
@options.as_json
def eval_interpolation(
    which: Which,
    first: Path,
    second: Path,
    metrics: tuple[str, ...],
    steps: int,
    out: Place,
    json_: bool,
) -> None:
    """Measure the networks between checkpoints A and B of one network, their weights mixed.

    \b
    Example:
      rwsr eval interpolation general-wdn.param general.param --hr Set5 --out metrics.parquet
    """
    from ..evaluate import interpolation

    _tell(interpolation(which.opened(), first, second, metrics, steps, out), out, json_=json_)


@evaluate.command("segmented")
@_images
@_models
@_metrics
@_by
@_out
@options.as_json
def eval_segmented(
    which: Which,
    models: tuple[str, ...],
    metrics: tuple[str, ...],
    by: str,
    out: Place,
    json_: bool,
) -> None:
    """Measure models that share a range of degradations among them, and the best of them for each image (MM-RealSR
    table 2).

    \b
    Example:
      rwsr eval segmented --store held-out.zarr --model mild --model strong --by psnr-y --out metrics.parquet
    """
    from ..evaluate import named_models, segmented

    found = segmented(which.opened(), named_models(models), metrics, by, out)
    _tell(found, out, json_=json_)


@evaluate.command("cugan")
@_photographs("Folder of clean images: CBSD68, LIVE1.")
@_models
@_metrics
@click.option(
    "--table",
    type=click.Choice(["1", "2"]),
    default="2",
    show_default=True,
    help="1: LPIPS and DISTS at ten settings. 2: RGB PSNR at eight.",
)
@_out
@options.as_json
def eval_cugan(
    which: Which, models: tuple[str, ...], metrics: tuple[str, ...], table: str, out: Place, json_: bool
) -> None:
    """Degrade clean images at CUGAN's settings and restore them at the same size, by models of scale 1.

    Beside the models stand the degraded images as they are. Settings and crops are those of the published code.

    \b
    Example:
      rwsr eval cugan --images CBSD68 --out metrics.parquet
    """
    from ..evaluate import cugan, named_models

    _tell(cugan(which.opened(), named_models(models), metrics, int(table), out), out, json_=json_)


@evaluate.command("far")
@_photographs("Folder of clean photographs.")
@_networks
@click.option(
    "--far-model", type=options.LOCAL, default=None, help="The SR model that FAR was trained to look through."
)
@_out
@options.as_json
def eval_far(which: Which, networks: tuple[str, ...], far_model: Path | None, out: Place, json_: bool) -> None:
    """Measure whether FAR is greater of degraded photographs than of clean ones (HR-aware figure 8).

    \b
    Example:
      rwsr eval far --images photos --reconstruction reconstruction --out far.parquet
    """
    from ..evaluate import far_of_runs, named_models

    _tell(far_of_runs(which.opened(), named_models(networks), far_model, out), out, json_=json_)


@evaluate.command("reconstruction")
@_images
@_networks
@_metrics
@click.option("--steps", type=click.IntRange(2, 101), default=11, show_default=True, help="From HR to LR enlarged.")
@click.option(
    "--strength",
    type=click.Choice(["hqi", "1-hqi"]),
    default="hqi",
    show_default=True,
    help="What a controller is noise around: hqi as while fine-tuning, 1-hqi as while pretraining.",
)
@_out
@options.as_json
def eval_reconstruction(
    which: Which,
    networks: tuple[str, ...],
    metrics: tuple[str, ...],
    steps: int,
    strength: "Strength",
    out: Place,
    json_: bool,
) -> None:
    """Measure whether LR is reconstructed better from worse HR, which rewards degraded SR (HR-aware figure 7).

    \b
    Example:
      rwsr eval reconstruction --store held-out.zarr --reconstruction with --reconstruction without --out fit.parquet
    """
    from ..evaluate import named_models, reconstruction

    found = reconstruction(which.opened(), named_models(networks), metrics, steps, strength, out)
    _tell(found, out, json_=json_)


@evaluate.command("ablation")
@click.argument("metrics_file", type=options.PLACE, metavar="METRICS")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    required=True,
    metavar="NAME=MODEL[,MODEL...]",
    help="A variant and the models of the report that are its runs (seeds); best first, as expected.",
)
@click.option("--metric", default="psnr-y", show_default=True, metavar="NAME", help="The metric to compare by.")
@options.as_json
def eval_ablation(metrics_file: Place, variants: tuple[str, ...], metric: str, json_: bool) -> None:
    """Compare variants of a training, each by several runs, out of a report: RWSR-EDL's noise-bank ablation (table IX).

    Variants are named in the order in which they should come out, best first; each step of it holds when the means are
    farther apart than their standard error.

    \b
    Example:
      rwsr eval ablation metrics.parquet --variant with=a1,a2 --variant without=b1,b2
    """
    from ...eval.protocols import ablation
    from ...eval.report import table as report

    runs = {name: models.split(",") for name, _, models in (each.partition("=") for each in variants)}
    found = ablation.ablation(report.read(metrics_file), runs, metric)
    steps = {f"{a} > {b}": found.holds(a, b) for a, b in pairwise(runs)}
    lines = [
        f"{name}: {metric} {found.mean(name):.4f} +- {found.spread(name):.4f} ({len(runs[name])} runs)" for name in runs
    ]
    lines += [f"{step}: {'holds' if holds else 'does not hold'}" for step, holds in steps.items()]
    means = {name: {"mean": found.mean(name), "deviation": found.spread(name)} for name in runs}
    options.tell({"metric": metric, "variants": means, "holds": steps}, lines, json_=json_)


@click.command()
@click.option("--metrics", type=options.PLACE, required=True, help="A report that rwsr eval wrote.")
@click.option("--compare", multiple=True, type=options.PLACE, help="Another report, beside it; may be repeated.")
@click.option("--run", "run_folder", type=options.LOCAL, default=None, help="A run, for its loss curves.")
@options.out_file(".html", "The page, an HTML file that needs no other file.")
@options.trackable
@options.as_json
def report(
    metrics: Place, compare: tuple[Place, ...], run_folder: Path | None, out: Place, track: bool, json_: bool
) -> None:
    """Draw metric reports as one HTML page, with crops to look at and the figures of the papers beside them.

    \b
    Example:
      rwsr report --metrics metrics.parquet --run run --out report.html
    """
    from .. import stages

    job = stages.ReportJob(
        metrics=str(metrics),
        compare=tuple(map(str, compare)),
        run=str(run_folder) if run_folder else None,
        out=str(out),
    )
    made = options.tracked(stages.report, job, "report", track=track)
    options.tell(made.values, made.lines, json_=json_)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--download", is_flag=True, help="Fetch what is missing into torch's hub cache, and check it.")
@options.as_json
def weights(names: tuple[str, ...], download: bool, json_: bool) -> None:
    """Say which published files the perceptual metrics need, and where they lie; NAME is a metric, a
    network or a file.

    They are looked for below the folder in RWSR_WEIGHTS, and in torch's hub cache.

    \b
    Example:
      rwsr weights lpips-alex
    """
    from ...eval.metrics.weight_status import states

    found = states(names, download=download)
    lines = [f"{each.name}: {each.state}" for each in found]
    options.tell(
        {each.name: {"file": each.path, "url": each.url, "for": each.used_by} for each in found}, lines, json_=json_
    )
