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
from .common import options, params
from .common.mos import mos

if TYPE_CHECKING:
    from ...eval.images.sets import ImageSet
    from ..stages.evaluate import Report

F = TypeVar("F", bound=Callable[..., object])


class _Protocols(click.Group):
    """The commands of the protocols, each made when it is asked for: reading them imports torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from ...eval.protocols import PROTOCOLS

        return [*(each.name for each in PROTOCOLS), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        return own if own is not None or cmd_name not in self.list_commands(ctx) else _command(cmd_name)


@click.group("eval", cls=_Protocols, short_help="Measure models by the protocols of the papers")
def evaluate() -> None:
    """Measure models by the protocols of the papers, into a Parquet report that `rwsr report` draws.

    A report may be written to again and again: what is measured anew takes the place of what was there.
    """


evaluate.add_command(mos)


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
        from ...degrade.pairs.pairing import Selection
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
    lr = click.option("--lr", type=params.PLACE, default=None, help="Folder of LR images.")
    hr = click.option(
        "--hr",
        type=params.PLACE,
        default=None,
        help="Folder of HR images; without --lr, LR is made by MATLAB's bicubic.",
    )
    store = click.option("--store", type=params.PLACE, default=None, help="A store of groups or pairs.")
    return _of_which(function, scale, lr, hr, store)


def _photographs(told: str) -> Callable[[F], F]:
    """--images, and which of them, as `which`."""
    return lambda function: _of_which(
        function, click.option("--images", "lr", type=params.PLACE, required=True, help=told)
    )


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
    far_model = click.option(
        "--far-model", type=params.LOCAL, default=None, help="The SR model that FAR was trained to look through."
    )
    return click.option(
        "--reconstruction",
        "models",
        multiple=True,
        required=True,
        metavar="[NAME=]RUN",
        help="A run of `rwsr train hr-aware-pretrain`; may be repeated.",
    )(far_model(function))


def _command(name: str) -> click.Command:
    """The command of a protocol, made of the protocol itself."""
    from ...eval.measure import protocol_of
    from .common.params import options_of

    protocol = protocol_of(name)

    def run(which: Which, models: tuple[str, ...], out: Place, track: bool, json_: bool, **told: Any) -> None:
        from ..evaluate import named_models
        from ..stages.evaluate import Evaluate

        far_model = told.pop("far_model", None)
        stage = Evaluate(
            protocols={name: told},
            **{key: str(at) for key in ("store", "hr", "lr") if (at := getattr(which, key)) is not None},
            scale=which.scale,
            include=which.include,
            exclude=which.exclude,
            name=which.name,
            models=dict(named_models(models)),
            far_model=far_model,
        )
        made = options.done(stage, out, track=track)
        options.tell(made.values, made.lines, json_=json_)
        if made.values["left_out"]:  # say by the exit code whether every image was measured
            sys.exit(options.LEFT_OUT_EXIT_CODE)

    found: Callable[..., Any] = options.as_json(options.trackable(_out(run)))
    found = options_of(protocol.options)(found)
    found = _networks(found) if protocol.of == "reconstructions" else _models(found)
    found = _images(found) if protocol.on == "pairs" else _photographs("Folder of clean photographs.")(found)
    return click.command(name, help=protocol.about, short_help=protocol.short)(found)


@evaluate.command("ablation", short_help="Variants of a training beside each other")
@click.argument("metrics_file", type=params.PLACE, metavar="METRICS")
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
    from ...eval.report import ablation
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


@click.command(short_help="Metric reports, or a training, as one page")
@click.option("--metrics", type=params.PLACE, default=None, help="A report that rwsr eval wrote.")
@click.option("--compare", multiple=True, type=params.PLACE, help="Another report, beside it; may be repeated.")
@click.option(
    "--run", "run_folder", type=params.LOCAL, default=None, help="A run, also under way: its curves and images."
)
@options.out_file(".html", "The page, an HTML file that needs no other file.")
@click.option(
    "--watch",
    type=click.IntRange(min=1),
    default=None,
    metavar="SECONDS",
    help="Draw it anew so often, until the training of --run is done; an open page follows.",
)
@options.trackable
@options.as_json
def report(
    metrics: Place | None,
    compare: tuple[Place, ...],
    run_folder: Path | None,
    out: Place,
    watch: int | None,
    track: bool,
    json_: bool,
) -> None:
    """Draw metric reports as one HTML page, with crops to look at and the figures of the papers beside them; or a
    training, its losses and its images, at any moment.

    \b
    Example:
      rwsr report --metrics metrics.parquet --run run --out report.html
    """
    from ..stages.evaluate import Report

    if metrics is None and (compare or run_folder is None):
        raise click.UsageError("name --metrics, or a --run")
    if watch is not None and run_folder is None:
        raise click.UsageError("--watch follows a training; name its --run")
    named = () if metrics is None else (metrics, *compare)
    stage = Report(metrics=named, training=run_folder, refresh_s=watch)
    if watch is not None and run_folder is not None:
        _follow(stage, run_folder, out, watch)
        stage = stage.model_copy(update={"refresh_s": None})
    made = options.done(stage, out, track=track)
    options.tell(made.values, made.lines, json_=json_)


def _follow(stage: "Report", run: Path, out: Place, seconds: int) -> None:
    """Draw the page of a training again and again, until it is done."""
    import time

    from ...degrade.errors import StoreError
    from ...degrade.progress import say
    from ...train.run_page import is_under_way

    while is_under_way(run):
        try:
            options.done(stage, out, track=False)
            say(f"drew {out}; again in {seconds} s, until {run} is done (Ctrl-C ends the watching alone)")
        except StoreError as error:  # no checkpoint yet, say
            say(f"waiting: {error}")
        time.sleep(seconds)


@click.command(short_help="The published files that metrics and losses need")
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
