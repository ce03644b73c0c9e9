"""The stages as Prefect flows and assets: the same graph with names, schedules, lineage and a page to watch.

What is built, skipped or resumed is decided by the stages themselves, never by Prefect: its caching and result storage
stay off. A task is a stage; Dask runs inside one of them.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prefect import flow, get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.assets import materialize
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from ..degrade.errors import UserError
from ..degrade.images import sources
from ..degrade.images.rows import SourceRow
from ..degrade.progress import Advance, say, watched_by
from ..degrade.storage.location import Place, absolute, place
from ..noisebank.describe import between, describe_rule
from ..noisebank.set_scan import open_scan
from ..noisebank.yields import rules_of, yields
from . import pipeline
from .pipeline import Named, PipelineConfig
from .stages.base import Artifact, Given, Stage, Work

_MOST_ROWS = 200
_STEP_PERCENT, _STEP_S = 2.0, 2.0


class _Run:
    """Passes on to a flow run what a person would see: lines as its logs, long jobs as progress artifacts."""

    def __init__(self) -> None:
        self._artifacts: dict[str, Any] = {}
        self._said: dict[str, tuple[float, float]] = {}

    def line(self, text: str) -> None:
        get_run_logger().info(text)

    @contextmanager
    def shown(self, title: str, total: int) -> Generator[Advance]:
        done = 0

        def advance(count: int, note: str) -> None:
            nonlocal done
            done += count
            self._progress(title, done, total)

        yield advance

    def _progress(self, title: str, done: int, total: int) -> None:
        percent, now = 100.0 * done / total if total else 100.0, time.monotonic()
        last, at = self._said.get(title, (-100.0, 0.0))
        if done < total and (percent - last < _STEP_PERCENT or now - at < _STEP_S):
            return
        self._said[title] = (percent, now)
        if title not in self._artifacts:
            self._artifacts[title] = create_progress_artifact(progress=percent, description=title)
        else:
            update_progress_artifact(self._artifacts[title], progress=percent)


def asset_key(at: Place) -> str:
    """The key of an asset: its URL, of the letters that Prefect takes."""
    found = absolute(at)
    return quote(found.as_uri() if isinstance(found, Path) else str(found), safe=":/._-").replace("%", "_")


def _do(named: Named, at: Place, given: Given, make: Callable[[], Artifact]) -> Artifact:
    """Do a stage as a task of the flow that runs, which materialises an asset out of those of the stages that are its
    inputs; and record what it made.
    """

    def follow() -> Artifact:
        with watched_by(_Run()):
            return make()

    as_task: Any = materialize(
        asset_key(at),
        asset_deps=[asset_key(given[ref].at) for ref in named.stage.inputs() if ref in given],
        name=named.name,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(follow)
    made: Artifact = as_task()
    _record(named.name, made)
    return made


# -------------------------------------------------------------------------------------------------- artifacts


def _key(title: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower())


def _left_out(rows: Sequence[SourceRow]) -> str:
    """The files that could not be used, as a Markdown table."""
    left = sources.left_out(rows)
    if not left:
        return ""
    lines = [f"| {row.status} | `{row.file}` | {row.reason} |" for row in left[:_MOST_ROWS]]
    more = f"\n\n{len(left) - _MOST_ROWS} more are in the index." if len(left) > _MOST_ROWS else ""
    return "\n\n| status | file | reason |\n|---|---|---|\n" + "\n".join(lines) + more


def _summary(title: str, made: Artifact) -> None:
    state = "made now" if made.changed else "there already: nothing was done"
    text = "\n".join(f"- {line}" for line in made.lines)
    create_markdown_artifact(f"### {title}: {state}\n\n{text}{_left_out(made.rows)}", key=_key(title))


def _yield_table(scan: Place, key: str) -> None:
    """How many patches each rule would take of each set, at each tile size."""
    scans = open_scan(scan)
    rows: list[dict[str, Any]] = []
    for grid in scans[0].grids():
        for each in yields({one.name: one.read_tiles(grid) for one in scans}, rules_of(), size=grid.size):
            spans = [part.variance for part in each.cati.intervals] if each.cati else []
            row = {"size": each.size, "rule": describe_rule(each.rule), "mean >": each.rule.min_mean}
            row |= {"variance": between(spans, 2)}
            taken = {f"{one.name}: patches (images)": f"{one.num_patches} ({one.num_images})" for one in each.sets}
            rows.append(row | taken)
    create_table_artifact(rows[:_MOST_ROWS], key=key, description="What each rule would take")


def _metric_table(values: dict[str, Any], key: str) -> None:
    rows = [{"model": name} | means for name, means in values["means"].items()]
    text = f"Means over all images; each image is in {values['report']}"
    create_table_artifact(rows, key=key, description=text)


def _link(at: Place, text: str, key: str) -> None:
    create_link_artifact(at.absolute().as_uri() if isinstance(at, Path) else str(at), link_text=text, key=key)


def _record(title: str, made: Artifact) -> None:
    """What a stage made, as the artifacts that a person looks for in the run, each by a key of its own."""
    _summary(title, made)
    if made.kind == "report":
        _link(made.at, "the report", _key(f"{title} page"))
    if made.kind == "bank":
        _yield_table(place(made.values["scan"]), _key(f"{title} yields"))
    if made.values.get("means"):
        _metric_table(made.values, _key(f"{title} means"))


# ------------------------------------------------------------------------------------------------------ flows


@flow(name="rwsr pipeline", persist_result=False)
def whole(config: PipelineConfig) -> pipeline.Outputs:
    """The stages of a config; what is there already is left as it is."""
    found = pipeline.run(config, _do)
    if not found.changed:
        get_run_logger().info(pipeline.NOTHING_DONE)
    return found


def one(stage: Stage, at: Place, work: Work) -> Artifact:
    """One stage as a flow of its own, which a command tracks."""

    @flow(name=f"rwsr {stage.kind}", persist_result=False)
    def of_one() -> Artifact:
        return _do(Named(stage.kind, stage), at, Given({}), lambda: stage.run(at, Given({}), work))

    return of_one()


# ---------------------------------------------------------------------------------------------------- serving


def check_server(*, needed: bool) -> None:
    """Check that the server that is configured answers.

    Raises:
        UserError: it does not; or there is none, and it is needed: on a server that Prefect starts for a moment a
            schedule would never fire.
    """
    url = get_current_settings().api.url
    if url is None and needed:
        raise UserError(
            "a schedule needs a Prefect server: run `prefect server start`, then "
            "`export PREFECT_API_URL=http://127.0.0.1:4200/api`, then this again"
        )
    if url is None:
        return
    with get_client(sync_client=True) as client:
        if client.api_healthcheck() is not None:
            raise UserError(f"no Prefect server answers at PREFECT_API_URL={url}; start it, or unset the variable")


def _check_cron(cron: str) -> None:
    try:
        CronSchedule(cron=cron)
    except ValueError:
        raise UserError(
            f"--cron {cron!r} is not a schedule; write five fields, as '0 3 * * *' for 3 at night"
        ) from None


def serve(config: PipelineConfig, *, name: str, cron: str | None, interval_s: float | None) -> None:
    """Run the pipeline by its schedule, one run at a time, until the process is ended.

    Raises:
        UserError: there is no server, or the schedule is wrong.
    """
    if cron is not None:
        _check_cron(cron)
    check_server(needed=True)
    say(f"running {name} {f'by cron {cron!r}' if cron else f'every {interval_s:g} s'}; end it with Ctrl-C")
    whole.serve(
        name=name,
        cron=cron,
        interval=interval_s,
        parameters={"config": config.model_dump(mode="json")},
        limit=1,
        global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        pause_on_shutdown=False,
        print_starting_message=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
