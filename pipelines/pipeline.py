"""The whole way as one config: folders to noise bank, stores, training, measurement and report.

Everything that is built is named by what it is made of, the config and the content of the images, so that a later
run finds what is there and builds only what is new:

    OUT/index.parquet, OUT/held-out.index.parquet, OUT/bank.scan/   kept up to date
    OUT/banks/<id>.zarr, OUT/stores/<id>.zarr                       a noise bank, a store
    RUNS/<id>/                                                      a training, on a disk of this machine
    OUT/metrics/<id>.parquet, OUT/reports/<id>.html                 what was measured, and drawn
    OUT/latest.json                                                 where the last run's artefacts are
"""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ParamSpec, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ..degrade import build_store
from ..degrade.config import compose_values
from ..degrade.errors import StoreError, UserError
from ..degrade.images import sources
from ..degrade.images.sources import IndexConfig, SourceRow
from ..degrade.progress import say
from ..degrade.recipes.rwsr_edl import NoiseInjection
from ..degrade.recipes.store_config import StoreConfig, store_preset
from ..degrade.storage.location import Place, absolute, place, write
from ..degrade.storage.provenance import Json, canonical, sha256_of
from ..noisebank import build_bank
from ..noisebank.bank import BankConfig
from ..noisebank.scan import ScanConfig, scan, scan_grids, set_scans
from . import stages
from .stages import BankJob, Made, StoreJob, Work

NOTHING_DONE = "all is there already: nothing was done (`rwsr store verify` says whether it is still whole)"

P = ParamSpec("P")
R = TypeVar("R")


class Changed(BaseModel):
    """A preset by its name, and the keys of its config that are changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    config: dict[str, Any] = {}


def _anchored(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write a path or a URL")
    return str(absolute(place(text)))


def _none_is_empty(value: object) -> object:
    return () if value is None else value


AbsolutePlace = Annotated[str, AfterValidator(_anchored)]
Places = Annotated[tuple[AbsolutePlace, ...], BeforeValidator(_none_is_empty)]


class PipelineConfig(BaseModel):
    """One data set and what is made of it. Places are paths, from the working folder, or URLs.

    out: the folder of everything. runs: the folder of trainings, on a disk; none is OUT/runs. sources: the images to
    train on, and the target set of the noise bank; auxiliary: its auxiliary sets, each a folder. held_out: images to
    measure on. bank: none is no noise bank. store, test_store: the training and the held-out store; train: none is
    no training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    out: AbsolutePlace
    runs: AbsolutePlace | None = None
    sources: tuple[AbsolutePlace, ...] = Field(min_length=1)
    auxiliary: Places = ()
    held_out: Places = ()
    images: IndexConfig = IndexConfig()
    bank: BankConfig | None = None
    store: Changed
    test_store: Changed | None = None
    train: Changed | None = None
    work: Work = Field(default_factory=Work)


class Do(Protocol):
    """How a stage is done: called at once, or as a task of a flow. title: what a person reads."""

    def __call__(self, title: str, stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...


def at_once(title: str, stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Do a stage by calling it."""
    say(f"{title}:")
    return stage(*args, **kwargs)


@dataclass(frozen=True)
class Built:
    """A stage's artefact: where it lies, and what was made of it."""

    at: Place
    made: Made


def _name(config: BaseModel, inputs: str) -> str:
    """The name of what a config makes of those inputs."""
    return sha256_of([canonical(config.model_dump(mode="json")), inputs])[:12]


def _store_config(stage: Changed) -> StoreConfig:
    return compose_values(store_preset(stage.preset), stage.config)


@contextmanager
def _within(stage: str) -> Generator[None]:
    """Name the stage whose config holds a wrong key."""
    try:
        yield
    except UserError as error:
        raise UserError(f"in {stage}: {error}") from None


def check(config: PipelineConfig) -> None:
    """Everything about a config that can be wrong before work begins.

    Raises:
        UserError: a preset or key is unknown, or stages do not go together.
    """
    _check_places(config)
    with _within("store"):
        store = _store_config(config.store)
    if store.recipe.wants_bank and config.bank is None:
        raise UserError(f"store.preset = {config.store.preset} takes noise from a bank; add `bank: {{}}`")
    if (config.test_store is None) != (not config.held_out):
        raise UserError("held_out and test_store go together; name both or neither")
    test_store = None
    if config.test_store is not None:
        with _within("test_store"):
            test_store = _store_config(config.test_store)
    if config.train is not None:
        _check_training(config, config.train, store, test_store)
        _runs(config)


def _check_training(config: PipelineConfig, train: Changed, store: StoreConfig, test_store: StoreConfig | None) -> None:
    """Raises UserError where the training cannot learn from the one store, or not be measured on the other."""
    from ..train.compose import method_of, training_of

    with _within("train"):
        method, trained = method_of(train.preset), training_of(train.preset, train.config)
    reason = method.why_not(trained, store, True)
    if reason:
        raise UserError(
            f"store.preset = {config.store.preset}, but train.preset = {train.preset} {reason}; change one, or drop "
            "`train`"
        )
    reason = None if test_store is None else method.why_not(trained, test_store, False)
    if reason and config.test_store is not None:
        raise UserError(f"test_store.preset = {config.test_store.preset}, but train.preset = {train.preset} {reason}")


def _check_places(config: PipelineConfig) -> None:
    out = place(config.out)
    if isinstance(out, Path) and out.exists() and not out.is_dir():
        raise UserError(f"out = {out} is a file; name a folder")
    for text in (*config.sources, *config.auxiliary, *config.held_out):
        if f"{out}/".startswith(f"{text}/"):
            raise UserError(f"out = {out} lies in {text}, which is searched for images; name a folder outside")


def _runs(config: PipelineConfig) -> Path:
    found = place(config.runs) if config.runs is not None else place(config.out) / "runs"
    if not isinstance(found, Path):
        raise UserError(f"runs = {found}: a training needs a disk of this machine; set `runs` to a folder")
    return found


# ------------------------------------------------------------------------------------------------ stages


def _index(config: PipelineConfig, *, held_out: bool) -> Place:
    return place(config.out) / ("held-out.index.parquet" if held_out else "index.parquet")


def _scan(config: PipelineConfig) -> Place:
    return place(config.out) / "bank.scan"


def index(config: PipelineConfig) -> Built:
    """The indexes of the sources and of the held-out images, brought up to date; where a bank is wanted, the
    statistics of their tiles too, at one decode.

    Raises:
        UserError: a held-out image is one of the sources too.
    """
    at, at_held_out = _index(config, held_out=False), _index(config, held_out=True)
    before = (_known(at), _known(at_held_out) if config.held_out else None)
    held_out: list[SourceRow] = []
    if config.bank is not None:
        grids = ScanConfig(grids=scan_grids(config.bank.grids()))
        target, auxiliary = [*map(place, config.sources)], [*map(place, config.auxiliary)]
        scans, together = scan(_scan(config), target, auxiliary, grids, config.images, config.work.run)
        rows = scans[0].rows()
        sources.write(at, rows, config.images)
    else:
        rows = together = sources.index([*map(place, config.sources)], at, config.images, config.work.run)
    if config.held_out:
        held_out = sources.index([*map(place, config.held_out)], at_held_out, config.images, config.work.run)
        sources.check_apart(rows, held_out)
    everything = [*together, *held_out]
    stages.name_left_out(everything)
    lines = [sources.summary(together), *([f"held out: {sources.summary(held_out)}"] if held_out else [])]
    changed = before != (sources.sources_sha256(rows), sources.sources_sha256(held_out) if config.held_out else None)
    return Built(at, Made({"index": at, "counts": stages.counts(everything)}, lines, everything, changed=changed))


def _known(at: Place) -> str | None:
    """The identity of what an index has."""
    try:
        return sources.sources_sha256(sources.read(at))
    except StoreError:
        return None


def make_bank(config: PipelineConfig) -> Built:
    """The noise bank of the sources, under the name of what it is made of."""
    assert config.bank is not None
    scans = set_scans(_scan(config), len(config.auxiliary))
    rows = [row for each in scans for row in each.rows()]
    at = place(config.out) / "banks" / f"{_name(config.bank, build_bank.inputs_sha256(scans))}.zarr"
    job = BankJob(out=str(at), target=config.sources, config=config.bank, work=config.work)
    return Built(at, stages.harvested(job, scans, rows))


def make_store(config: PipelineConfig, bank: Built | None, *, held_out: bool) -> Built:
    """The training or the held-out store, under the name of what it is made of."""
    stage = config.test_store if held_out else config.store
    assert stage is not None
    out, wanted = place(config.out), _store_config(stage)
    with_bank = bank if wanted.recipe.wants_bank else None
    distilled = build_bank.distilled_path(with_bank.at) if with_bank and config.auxiliary and not held_out else None
    folders = config.held_out if held_out else config.sources
    rows = sources.read(_index(config, held_out=held_out))
    rows = sources.mark_duplicates([*rows, *(build_bank.read_distilled(distilled) if distilled else [])])
    plan = build_store.plan(wanted, rows, stages.open_bank(str(with_bank.at)) if with_bank else None)
    at = out / "stores" / f"{_name(wanted, plan.inputs_sha256)}.zarr"
    job = StoreJob(out=str(at), sources=folders, config=wanted, work=config.work)
    made = stages.rendered(job, plan, rows)
    sources.write(at.with_name(f"{at.name}.index.parquet"), rows, config.images)
    return Built(at, made)


def _noise(config: PipelineConfig, bank: Built | None) -> Built | None:
    """The bank of which the training draws new noise in each step: where the pairs are for that, and have none."""
    recipe = _store_config(config.store).recipe
    return bank if isinstance(recipe, NoiseInjection) and not recipe.strength else None


def train(config: PipelineConfig, store: Built, bank: Built | None) -> Built:
    """The training on a store, under the name of its config and the digests of the store and of a bank."""
    from ..train.compose import method_of, training_of
    from ..train.data.of_training import stored
    from ..train.train import train_run

    assert config.train is not None
    method, composed = method_of(config.train.preset), training_of(config.train.preset, config.train.config)
    noise = _noise(config, bank)
    inputs = str(store.made.values["digest"])
    if noise is not None:
        inputs = sha256_of([inputs, str(noise.made.values["digest"])])
    at = _runs(config) / _name(composed, inputs)
    trained = train_run(at, stored(store.at, noise.at if noise is not None else None), method, composed)
    line = f"trained {composed.loop.steps} steps into {at}" if trained else f"{at} was trained already"
    return Built(at, Made({"run": at, "steps": composed.loop.steps}, [line], [], changed=trained))


def evaluate(config: PipelineConfig, store: Built, run: Built | None) -> Built:
    """The measurement of a training, and of bicubic, on the held-out store."""
    from ..degrade.storage.location import sha256
    from ..eval.images.sets import of_store
    from ..eval.images.tiling import pick_device
    from ..eval.measure import lines_of, means_of, measure
    from ..eval.protocols import restoration
    from ..eval.report import table
    from ..train.engine.model_file import model_file
    from .evaluate import open_subjects

    images = of_store(build_store.open_samples(store.at))
    models = {"trained": run.at} if run is not None and isinstance(run.at, Path) else {}
    identity = sha256_of([images.sha256, *(sha256(model_file(each)) for each in models.values())])
    at = place(config.out) / "metrics" / f"{identity[:12]}.parquet"
    new, protocol = not at.is_file(), restoration.PROTOCOL
    if new:
        measure(protocol, images, open_subjects(models, pick_device()), restoration.RestorationOptions(), at)
    rows = table.read(at)
    lines = [*lines_of(protocol, rows), f"wrote {at}" if new else f"{at} was there already"]
    return Built(at, Made({"report": at, "means": means_of(protocol, rows)}, lines, [], changed=new))


def write_reports(config: PipelineConfig, store: Built, run: Built | None, metrics: Built | None) -> Built:
    """The quality of the training store and, where there was a measurement, its page; both as HTML."""
    from ..eval.pages import write_report
    from ..eval.store_page import write_quality
    from ..train.engine.checkpoint import read_log

    folder = place(config.out) / "reports"
    quality = folder / f"{store.at.stem}.quality.html"
    page = folder / f"{metrics.at.stem}.html" if metrics is not None else None
    new: list[Place] = []
    if not quality.is_file():
        new += write_quality(build_store.open_samples(store.at), quality, 200, config.work.run)
    if metrics is not None and page is not None and not page.is_file():
        run_folder = run.at if run is not None and isinstance(run.at, Path) else None
        write_report([metrics.at], None if run_folder is None else read_log(run_folder), page)
        new.append(page)
    lines = [f"wrote {each}" for each in new] or [f"{page or quality} was there already"]
    return Built(page or quality, Made({"quality": quality, "page": page}, lines, [], changed=bool(new)))


# ------------------------------------------------------------------------------------------------- the whole


@dataclass(frozen=True)
class Outputs:
    """What a run of the pipeline left, by stage; None where the stage is not configured."""

    sources: Built | None = None
    bank: Built | None = None
    store: Built | None = None
    test_store: Built | None = None
    train: Built | None = None
    metrics: Built | None = None
    report: Built | None = None

    def items(self) -> list[tuple[str, Built]]:
        """(stage, artefact) of those that there are, in order."""
        named = ("sources", "bank", "store", "test_store", "train", "metrics", "report")
        return [(name, built) for name in named if (built := getattr(self, name)) is not None]

    @property
    def changed(self) -> bool:
        return any(built.made.changed for _, built in self.items())


def run(config: PipelineConfig, do: Do = at_once) -> Outputs:
    """Do every stage that is configured; what is there already is left as it is.

    Raises:
        UserError: the config is wrong, or a stage failed; what was finished stays, and the next run goes on from there.
    """
    check(config)
    done = Outputs()
    done = replace(done, sources=do("sources", index, config))
    if config.bank is not None:
        done = replace(done, bank=do("noise bank", make_bank, config))
    store = do("store", make_store, config, done.bank, held_out=False)
    done = replace(done, store=store)
    if config.test_store is not None:
        done = replace(done, test_store=do("held-out store", make_store, config, done.bank, held_out=True))
    if config.train is not None:
        done = replace(done, train=do("train", train, config, store, done.bank))
    if done.test_store is not None:
        done = replace(done, metrics=do("evaluate", evaluate, config, done.test_store, done.train))
    done = replace(done, report=do("report", write_reports, config, store, done.train, done.metrics))
    latest: Json = {name: str(built.at) for name, built in done.items()}
    latest |= {"quality": str(done.report.made.values["quality"])} if done.report is not None else {}
    write(place(config.out) / "latest.json", f"{json.dumps(latest, indent=1)}\n".encode())
    return done
