"""The stages as Prefect flows: the same functions with names, retries, schedules, artifacts and a page to watch.

What is built, skipped or resumed is decided by the stages themselves, never by Prefect: its caching and result storage
stay off. A flow has at most eight tasks; Dask runs inside one of them.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from ..degrade.errors import UserError
from ..degrade.images import sources
from ..degrade.images.sources import SourceRow
from ..degrade.progress import Advance, say, watched_by
from ..degrade.storage.location import Place, place
from ..degrade.tasks import may_pass
from ..noisebank.cati import CatiRule, ThresholdRule
from ..noisebank.describe import between, describe_rule
from ..noisebank.scan import open_scan
from ..noisebank.yields import yields
from . import pipeline, stages
from .pipeline import Built, PipelineConfig
from .stages import BankJob, EvalJob, FineTuneJob, Made, ReportJob, SourcesJob, StoreJob, TrainJob

P = ParamSpec("P")
R = TypeVar("R")

_MOST_ROWS = 200
_STEP_PERCENT, _STEP_S = 2.0, 2.0
_QUANTILES, _MIN_MEANS, _MAX_VAR = (0.005, 0.01, 0.02, 0.05, 0.1), (0.0, 50.0), 20.0


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


def _may_pass(_task: object, _run: object, state: Any) -> bool:
    """Whether a failed task is worth another try: the network's errors are, a wrong input is not."""
    return isinstance(state.data, BaseException | None) and may_pass(state.result(raise_on_failure=False))


def _do(title: str, stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Do a stage as a task of the flow that runs, and record what it made."""
    as_task = task(
        name=title,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=1,
        retry_delay_seconds=30,
        retry_condition_fn=_may_pass,
    )(_followed(stage))
    made: Any = as_task(*args, **kwargs)
    _record(title, made)
    return made


def _followed(stage: Callable[P, R]) -> Callable[P, R]:
    def follow(*args: P.args, **kwargs: P.kwargs) -> R:
        with watched_by(_Run()):
            return stage(*args, **kwargs)

    return follow


# -------------------------------------------------------------------------------------------------- artifacts


def _key(title: str) -> str:
    return title.replace(" ", "-")


def _left_out(rows: list[SourceRow]) -> str:
    """The files that could not be used, as a Markdown table."""
    left = sources.left_out(rows)
    if not left:
        return ""
    lines = [f"| {row.status} | `{row.file}` | {row.reason} |" for row in left[:_MOST_ROWS]]
    more = f"\n\n{len(left) - _MOST_ROWS} more are in the index." if len(left) > _MOST_ROWS else ""
    return "\n\n| status | file | reason |\n|---|---|---|\n" + "\n".join(lines) + more


def _summary(title: str, made: Made) -> None:
    state = "made now" if made.changed else "there already: nothing was done"
    text = "\n".join(f"- {line}" for line in made.lines)
    create_markdown_artifact(f"### {title}: {state}\n\n{text}{_left_out(made.rows)}", key=_key(title))


def _yield_table(scan: Place) -> None:
    """How many patches each rule would take of each set, at each tile size."""
    scans = open_scan(scan)
    rules = [
        rule
        for min_mean in _MIN_MEANS
        for rule in (
            *(CatiRule(quantile=quantile, min_mean=min_mean) for quantile in _QUANTILES),
            ThresholdRule(max_var=_MAX_VAR, min_mean=min_mean),
        )
    ]
    rows: list[dict[str, Any]] = []
    for grid in scans[0].grids():
        for each in yields({one.name: one.read_tiles(grid) for one in scans}, rules, size=grid.size):
            spans = [part.variance for part in each.cati.intervals] if each.cati else []
            row = {"size": each.size, "rule": describe_rule(each.rule), "mean >": each.rule.min_mean}
            row |= {"variance": between(spans, 2)}
            taken = {f"{one.name}: patches (images)": f"{one.num_patches} ({one.num_images})" for one in each.sets}
            rows.append(row | taken)
    create_table_artifact(rows[:_MOST_ROWS], key="yield-table", description="What each rule would take")


def _metric_table(values: dict[str, Any]) -> None:
    rows = [{"model": name} | means for name, means in values["means"].items()]
    text = f"Means over all images; each image is in {values['report']}"
    create_table_artifact(rows, key="metrics", description=text)


def _link(at: Place, text: str) -> None:
    create_link_artifact(at.absolute().as_uri() if isinstance(at, Path) else str(at), link_text=text, key="report")


def _record(title: str, result: object) -> None:
    """What a stage made, as the artifacts that a person looks for in the run."""
    made = result.made if isinstance(result, Built) else result
    if not isinstance(made, Made):
        return
    if title == "report":
        _link(result.at if isinstance(result, Built) else place(str(made.values["page"])), "the report")
        return
    _summary(title, made)
    if "scan" in made.values:
        _yield_table(place(str(made.values["scan"])))
    if "means" in made.values:
        _metric_table(made.values)


# ------------------------------------------------------------------------------------------------------ flows


@flow(name="rwsr sources", persist_result=False)
def index(job: SourcesJob) -> Made:
    """Index image folders."""
    return _do("sources", stages.index, job)


@flow(name="rwsr noise bank", persist_result=False)
def noise_bank(job: BankJob) -> Made:
    """Build a noise bank."""
    return _do("noise bank", stages.bank, job)


@flow(name="rwsr store", persist_result=False)
def store(job: StoreJob) -> Made:
    """Build a store of groups or pairs."""
    return _do("store", stages.store, job)


@flow(name="rwsr train", persist_result=False)
def train(job: TrainJob) -> Made:
    """Train on a store."""
    return _do("train", stages.train, job)


@flow(name="rwsr fine-tune", persist_result=False)
def fine_tune(job: FineTuneJob) -> Made:
    """Fine-tune an SR model on LR images."""
    return _do("fine-tune", stages.fine_tune, job)


@flow(name="rwsr evaluate", persist_result=False)
def evaluate(job: EvalJob) -> Made:
    """Measure models on a store."""
    return _do("evaluate", stages.evaluate, job)


@flow(name="rwsr report", persist_result=False)
def report(job: ReportJob) -> Made:
    """Draw a metric report."""
    return _do("report", stages.report, job)


@flow(name="rwsr pipeline", persist_result=False)
def whole(config: PipelineConfig) -> pipeline.Outputs:
    """Folders to noise bank, stores, training, measurement and report; what is there already is left as it is."""
    found = pipeline.run(config, _do)
    if not found.changed:
        get_run_logger().info(pipeline.NOTHING_DONE)
    return found


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
