"""The options that mean the same in every command, and how a command prints what it did."""

import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ....degrade.storage.location import Place
from .params import LOCAL, OUT, PLACE, DaskType, FloatRange, LazyChoice

if TYPE_CHECKING:
    from types import ModuleType

    from ....degrade.images.listing import IndexConfig
    from ....degrade.images.rows import SourceRow
    from ....degrade.tasks import Run
    from ...stages.base import Artifact, Stage

F = TypeVar("F", bound=Callable[..., Any])


def out_file(suffix: str, told: str) -> Callable[[F], F]:
    """--out, a file of that kind."""

    def checked(_: click.Context, __: click.Parameter, value: Place) -> Place:
        if not value.name.lower().endswith(suffix):
            raise click.BadParameter(f"{value} is no name of such a file; end it in {suffix}")
        return value

    return click.option("--out", type=OUT, required=True, callback=checked, help=told)


LEFT_OUT_EXIT_CODE = 3

Dask = str | None


def _cores() -> int:
    from ....degrade.tasks import cores

    return cores()


def workers(function: F) -> F:
    """--workers and --dask."""
    function = click.option(
        "--dask",
        type=DaskType(),
        default=None,
        metavar="local|tcp://HOST:PORT",
        help="Run on Dask: processes of this machine, or all workers of the scheduler at an address.",
    )(function)
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=_cores,
        show_default="all cores",
        help="Threads, and processes where they pay, or Dask's of --dask local. The result is the same for any number.",
    )(function)


def runner(workers: int, dask: Dask) -> "Run":
    """How --workers and --dask run tasks."""
    from ... import executors

    return executors.runner(workers, dask)


def trackable(function: F) -> F:
    """--track."""
    return click.option(
        "--track",
        is_flag=True,
        help="Record this as a run in Prefect: of the server in PREFECT_API_URL, else of one started for it.",
    )(function)


def done(stage: "Stage", out: Place, *, workers: int | None = None, dask: Dask = None, track: bool) -> "Artifact":
    """Make a stage at a place of its own; as a flow when it is to be tracked."""
    from ...stages.base import Given, Work

    stage.check({})
    work = Work() if workers is None else Work(workers=workers, dask=dask)
    if not track:
        return stage.run(out, Given({}), work)
    flows = import_flows()
    flows.check_server(needed=False)
    return flows.one(stage, out, work)


def import_flows(console: str = "CRITICAL") -> "ModuleType":
    """The flows, once Prefect is told to keep to itself: no reports home, no lines among ours, time to start.

    console: the least level of Prefect's own lines on the terminal; its records have all of them.
    """
    for name, value in (_PREFECT | {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": console}).items():
        os.environ.setdefault(name, value)
    from ... import flows

    return flows


_PREFECT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a first start makes its database, which takes a while
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def image_limits(function: F) -> F:
    """--max-pixels and --follow-links."""
    function = click.option("--follow-links", is_flag=True, help="Follow links that lead out of the named folders.")(
        function
    )
    return click.option(
        "--max-pixels",
        type=click.IntRange(min=1),
        default=None,
        help="Refuse larger images before decoding them.  [default: 178956970]",
    )(function)


@dataclass(frozen=True)
class Chosen:
    """Which files of the folders are looked at: of pairs one role, and by patterns."""

    role: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    rehash: bool


def choosing(role: str) -> Callable[[F], F]:
    """--role, --include, --exclude and --rehash, as the one argument `chosen`. role: its default."""

    def add(function: F) -> F:
        @click.option(
            "--role",
            type=click.Choice(["hr", "lr", "both"]),
            default=role,
            show_default=True,
            help="Of a folder of pairs (_HR and _LR4, 001H and 001L, ...): which of them.",
        )
        @click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave such files out; repeatable.")
        @click.option(
            "--include", multiple=True, metavar="PATTERN", help="Only files like it, as '*_HR.png'; repeatable."
        )
        @click.option(
            "--rehash", is_flag=True, help="Read every file again, also where its size and time are as before."
        )
        @wraps(function)
        def chosen(
            *args: Any, role: str, include: tuple[str, ...], exclude: tuple[str, ...], rehash: bool, **kwargs: Any
        ) -> Any:
            return function(*args, chosen=Chosen(role, include, exclude, rehash), **kwargs)

        return cast(F, chosen)

    return add


def index_config(
    chosen: Chosen, max_pixels: int | None = None, follow_links: bool = False, min_side: int | None = None
) -> "IndexConfig":
    """Which images count as usable."""
    from ....degrade.config import compose
    from ....degrade.images.listing import IndexConfig

    return compose(
        IndexConfig(),
        min_side_px=min_side,
        max_pixels=max_pixels,
        follow_links=follow_links or None,
        role=chosen.role,
        include=chosen.include,
        exclude=chosen.exclude,
        rehash=chosen.rehash,
    )


def configured(function: F) -> F:
    """--config and --set."""
    function = click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY.PATH=VALUE",
        help="Change one config key; may be repeated, and wins over --config; an option wins over it.",
    )(function)
    return click.option("--config", type=LOCAL, default=None, help="YAML or TOML file of config keys.")(function)


def seeded(function: F) -> F:
    """--seed."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=None, help="Seed of every random draw.  [default: 0]"
    )(function)


def branching(function: F) -> F:
    """--branch."""
    return click.option(
        "--branch", is_flag=True, help="A training under way may go on under another rate, schedule or clipping."
    )(function)


def as_json(function: F) -> F:
    """--json."""
    return click.option("--json", "json_", is_flag=True, help="Print the result as JSON on stdout.")(function)


def tell(result: dict[str, Any], lines: list[str], *, json_: bool) -> None:
    """The result: as JSON, or as lines for a person; of several processes by the first."""
    from ....degrade.progress import process_number

    if process_number():
        return
    if json_:
        click.echo(json.dumps(_plain(result), indent=1, default=str, allow_nan=False))
    elif lines:
        click.echo("\n".join(lines))


def _plain(value: Any) -> Any:
    """What JSON can say: no number that is none, and no end to it, has a form there."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def exit_by(rows: "Sequence[SourceRow]") -> None:
    """Say by the exit code whether every image was used."""
    from ....degrade.images.sources import left_out

    if left_out(rows):
        sys.exit(LEFT_OUT_EXIT_CODE)


def presets_of(method: str) -> Callable[[], list[str]]:
    """The names of a method's presets, the default first."""

    def read() -> list[str]:
        from ....train.methods import METHODS

        return [name for each in METHODS if each.name == method for name in each.presets]

    return read


def of_a_training(method: str, default: str, told: str, also: Sequence[Callable[[Any], Any]] = ()) -> Callable[[F], F]:
    """The options that the training of every method has, and others of one."""
    shared = (
        click.option("--store", "stores", multiple=True, type=PLACE, help="Store to train on; several are mixed."),
        click.option(
            "--weight",
            "weights",
            multiple=True,
            type=FloatRange(min=0, min_open=True),
            help="How often each of several stores is drawn, in their order.  [default: by their samples]",
        ),
        click.option(
            "--source", "folders", multiple=True, type=PLACE, help="Or: folders of images, rendered meanwhile."
        ),
        click.option("--recipe", type=LOCAL, default=None, help="Of --source: a config as `rwsr degrade show` writes."),
        click.option(
            "--on-device",
            is_flag=True,
            help="Of --source: rendered by the GPU that trains; the same steps and numbers, other last digits.",
        ),
        click.option("--out", type=LOCAL, required=True, help="Folder of the run."),
        click.option(
            "--preset",
            type=LazyChoice(presets_of(method)),
            default=default,
            show_default=True,
            help=f"{told} Published ones train in bf16, as NAME-fp32 in fp32.",
        ),
        click.option(
            "--start-from",
            type=LOCAL,
            default=None,
            help="Weights to start from: a run, RUN@STEP, or any published file.",
        ),
        *also,
        click.option("--start-partly", is_flag=True, help="What fits of --start-from is enough; says what does not."),
        click.option(
            "--start-discriminator", type=LOCAL, default=None, help="The same of its discriminator: a run, or a file."
        ),
        click.option("--val-store", type=PLACE, default=None, help="Store of held-out samples to measure meanwhile."),
        click.option("--val-hr", type=PLACE, default=None, help="Or: folder of held-out HR, with --val-lr."),
        click.option("--val-lr", type=PLACE, default=None, help="Folder of its LR."),
        click.option(
            "--steps", type=click.IntRange(min=1), default=None, help="Training steps.  [default: the preset's]"
        ),
        branching,
        choosing("hr"),
        seeded,
        configured,
        trackable,
        as_json,
    )

    def add(command: F) -> F:
        for option in reversed(shared):
            command = option(command)
        return command

    return add
