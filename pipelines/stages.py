"""Each stage as a job that can be written down, and the plain function that does it.

The command line and the flows call the same functions with the same jobs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..degrade import build_store
from ..degrade.images import known_datasets, sources
from ..degrade.images.sources import IndexConfig, SourceRow
from ..degrade.progress import printable, say
from ..degrade.quality.disorder import disorder_of
from ..degrade.recipes.store_config import StoreConfig
from ..degrade.storage.location import Place, place
from ..degrade.storage.shards.verify import digest
from ..degrade.tasks import Run, cores
from ..noisebank import build_bank
from ..noisebank.bank import BankConfig, NoiseBank
from ..noisebank.describe import bank_lines, bank_values
from ..noisebank.scan import ScanConfig, SetScan, open_scan, scan, scan_grids
from .executors import runner


def _is_place(text: str) -> str:
    place(text)
    return text


PlaceText = Annotated[str, AfterValidator(_is_place)]
LR_IMAGES = IndexConfig(role="lr", min_side_px=1)  # of any size: what is fine-tuned on has patches of its own length


class Work(BaseModel):
    """How tasks are run; no part of what comes out.

    workers: threads, or processes of dask=local. dask: `local`, or the address of a scheduler.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: Annotated[int, Field(ge=1)] = Field(default_factory=cores)
    dask: str | None = None

    @property
    def run(self) -> Run:
        return runner(self.workers, self.dask)


class SourcesJob(BaseModel):
    """Index image folders into the table `out`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folders: tuple[PlaceText, ...] = Field(min_length=1)
    out: PlaceText
    images: IndexConfig = IndexConfig()
    work: Work = Field(default_factory=Work)


class BankJob(BaseModel):
    """Build the noise bank `out`, from folders by way of the scan `scan`, or from a finished scan alone.

    scan: where the statistics of every tile are kept; none is OUT.scan.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    out: PlaceText
    target: tuple[PlaceText, ...] = ()
    auxiliary: tuple[PlaceText, ...] = ()
    scan: PlaceText | None = None
    config: BankConfig = BankConfig()
    images: IndexConfig = IndexConfig(role="lr")
    work: Work = Field(default_factory=Work)


class StoreJob(BaseModel):
    """Build the store `out` from folders and distilled lists; its index is kept as OUT.index.parquet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    out: PlaceText
    sources: tuple[PlaceText, ...] = Field(min_length=1)
    distilled: tuple[PlaceText, ...] = ()
    bank: PlaceText | None = None
    images: IndexConfig = IndexConfig(role="hr")
    config: StoreConfig
    work: Work = Field(default_factory=Work)


class TrainJob(BaseModel):
    """Train on the store `store` into the folder `out`, on a disk: a preset, and the keys of it that are changed.

    sources, recipe: instead of a store, folders of images and the config file that groups are rendered by meanwhile.
    start_from: an earlier run whose weights this one starts from. val_store: held-out groups to measure on meanwhile.
    bank: a noise bank of which each LR gets new noise in each step. far_model: the SR model that FAR looks through.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: PlaceText | None = None
    sources: tuple[PlaceText, ...] = ()
    recipe: str | None = None
    out: str
    preset: str
    config: dict[str, Any] = {}
    start_from: str | None = None
    val_store: PlaceText | None = None
    bank: PlaceText | None = None
    images: IndexConfig = IndexConfig(role="hr")
    far_model: str | None = None


class FineTuneJob(BaseModel):
    """Fine-tune the SR model `model` on the LR images of folders, into the folder `out`, on a disk: a preset, and the
    keys of it that are changed.

    reconstruction: the pretrained reconstruction network; self-training has none. far_model: the SR model that its FAR
    looks through. val_store, val_hr, val_lr: held-out images to measure on meanwhile.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    lr_images: tuple[PlaceText, ...] = Field(min_length=1)
    reconstruction: str | None = None
    out: str
    preset: str
    images: IndexConfig = LR_IMAGES
    config: dict[str, Any] = {}
    far_model: str | None = None
    val_store: PlaceText | None = None
    val_hr: PlaceText | None = None
    val_lr: PlaceText | None = None


class EvalJob(BaseModel):
    """Measure models by a protocol, on a store or on folders, into the report `out`.

    options: what the protocol can be told. include, exclude, name: of folders, which images, by patterns, and what the
    report calls them. models: name and place on a disk. far_model: the SR model that FAR was trained to look through.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: str = "restoration"
    options: dict[str, Any] = {}
    store: PlaceText | None = None
    hr: PlaceText | None = None
    lr: PlaceText | None = None
    scale: Annotated[int, Field(ge=1, le=16)] = 4
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    name: str | None = None
    models: dict[str, str] = {}
    far_model: str | None = None
    out: PlaceText


class ReportJob(BaseModel):
    """Draw the metric report `metrics`, and the losses of the training `run`, as the page `out`.

    compare: other reports, to stand beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: PlaceText
    compare: tuple[PlaceText, ...] = ()
    run: str | None = None
    out: PlaceText


@dataclass(frozen=True)
class Made:
    """What a job made: as plain values, as lines for a person; and the rows of the images that it looked at.

    changed: False when everything was there already.
    """

    values: dict[str, Any]
    lines: list[str]
    rows: list[SourceRow]
    changed: bool


def name_left_out(rows: Sequence[SourceRow]) -> None:
    """A line for each file that cannot be used."""
    for row in sources.left_out(rows):
        say(f"left out: {row.status}: {printable(row.file)}: {printable(row.reason)}")


def counts(rows: Sequence[SourceRow]) -> dict[str, int]:
    """How many files have each status."""
    return dict(Counter(row.status for row in rows))


def _places(texts: Sequence[str]) -> list[Place]:
    return [place(text) for text in texts]


def index(job: SourcesJob) -> Made:
    """Read every image below the folders and write one row each; raises UserError."""
    rows = sources.index(_places(job.folders), place(job.out), job.images, job.work.run)
    name_left_out(rows)
    found = known_datasets.recognise(rows)
    lines = [*(each.line for each in found), sources.summary(rows), f"wrote {job.out}"]
    values = {"index": job.out, "counts": counts(rows), "layouts": [each.as_dict() for each in found]}
    return Made(values, lines, rows, changed=True)


def scan_sets(
    out: Place, target: Sequence[Place], auxiliary: Sequence[Place], config: ScanConfig, images: IndexConfig, work: Work
) -> tuple[tuple[SetScan, ...], list[SourceRow]]:
    """Measure every tile of the sets; says which files were left out and which folders are well known."""
    found, rows = scan(out, target, auxiliary, config, images, work.run)
    name_left_out(rows)
    for each in known_datasets.recognise(rows):
        say(each.line)
    return found, rows


def scans_of(job: BankJob) -> tuple[tuple[SetScan, ...], list[SourceRow]]:
    """The scans that a bank is made from, made now where folders are named; and every file's row."""
    out = place(job.out)
    folder = place(job.scan) if job.scan else out.with_name(f"{out.name}.scan")
    if job.target:
        grids = ScanConfig(grids=scan_grids(job.config.grids()))
        scans, rows = scan_sets(folder, _places(job.target), _places(job.auxiliary), grids, job.images, job.work)
    else:
        scans = open_scan(folder)
        rows = [row for each in scans for row in each.rows()]
        name_left_out(rows)
    return scans, rows


def bank(job: BankJob) -> Made:
    """Scan the sets, take the rule, cut the tiles; raises UserError."""
    scans, rows = scans_of(job)
    return harvested(job, scans, rows)


def harvested(job: BankJob, scans: Sequence[SetScan], rows: list[SourceRow]) -> Made:
    """Take the rule and cut the tiles of scanned sets; raises UserError."""
    out, folder = place(job.out), scans[0].folder.parent
    made, num_cut = build_bank.build(out, scans, job.config, job.work.run)
    wrote = [*([folder] if job.target else []), *([build_bank.distilled_path(out)] if len(scans) > 1 else []), out]
    lines = [sources.summary(rows), *bank_lines(made)]
    lines += [f"wrote {path}" for path in wrote] if num_cut else [f"{out} was there already"]
    return Made(bank_values(made) | {"scan": folder, "counts": counts(rows)}, lines, rows, changed=num_cut > 0)


def open_bank(text: str | None) -> NoiseBank | None:
    """The bank at a place, if one is named."""
    return NoiseBank.open(place(text)) if text else None


def indexed(
    folders: Sequence[Place], distilled: Sequence[Place], out: Place, images: IndexConfig, work: Work
) -> list[SourceRow]:
    """Every file of the folders, then the images of the distilled lists; what cannot be used is named."""
    rows = sources.index(folders, out, images, work.run)
    listed = [row for path in distilled for row in build_bank.read_distilled(path)]
    name_left_out(rows)
    return sources.mark_duplicates([*rows, *listed])


def planned(job: StoreJob) -> tuple[build_store.Plan, list[SourceRow]]:
    """What a store would be built from; indexes the folders."""
    out, opened = place(job.out), open_bank(job.bank)
    index_at = out.with_name(f"{out.name}.index.parquet")
    rows = indexed(_places(job.sources), _places(job.distilled), index_at, job.images, job.work)
    return build_store.plan(job.config, rows, opened), rows


def store(job: StoreJob) -> Made:
    """Index the folders, then draw and render every sample; raises UserError."""
    return rendered(job, *planned(job))


def rendered(job: StoreJob, plan: build_store.Plan, rows: list[SourceRow]) -> Made:
    """Draw and render every sample of a plan into the job's `out`; raises UserError."""
    _, num_rendered = build_store.build(place(job.out), plan, job.work.run)
    made = build_store.open_samples(place(job.out))
    found, disorder = digest(made), disorder_of(made)
    noun = "pairs" if disorder is None else "groups"
    lines = [sources.summary(rows)]
    if plan.num_too_small:
        lines.append(f"{plan.num_too_small} of them are smaller than a crop of {job.config.crop_size_px} px")
    if disorder is not None:
        lines.append(disorder.line)
    done = f"rendered {num_rendered} {noun}" if num_rendered else f"all {noun} were there already"
    lines += [f"{done}; {job.out} holds {job.config.num_samples}, digest {found[:16]}"]
    values = {
        "store": job.out,
        "rendered": num_rendered,
        "num_samples": job.config.num_samples,
        "digest": found,
        "counts": counts(rows),
        "smaller_than_crop": plan.num_too_small,
        "disorder": None if disorder is None else disorder.as_dict(),
    }
    return Made(values, lines, rows, changed=num_rendered > 0)


def train(job: TrainJob) -> Made:
    """Train into the job's folder, or find it trained; raises UserError."""
    from ..train.compose import method_of, training_of
    from ..train.data.of_training import live, stored
    from ..train.engine.identity import check_free
    from ..train.train import train_run
    from ..train.validation import held_out

    method, composed, out = method_of(job.preset), training_of(job.preset, job.config), Path(job.out)
    check_free(out)
    recipe, bank = Path(job.recipe) if job.recipe else None, place(job.bank) if job.bank else None
    if job.store:
        data = stored(place(job.store), bank)
    else:
        data = live(
            _places(job.sources), recipe, out, preset=method.presets[job.preset].data, images=job.images, bank=bank
        )
    trained = train_run(
        out,
        data,
        method,
        composed,
        start_from=Path(job.start_from) if job.start_from else None,
        far_model=Path(job.far_model) if job.far_model else None,
        val=held_out(place(job.val_store)) if job.val_store else None,
    )
    return _trained(out, f"trained {composed.loop.steps} steps" if trained else None)


def _trained(out: Path, line: str | None) -> Made:
    """What a training left in its folder; line: what it did, if anything."""
    model, log = out / "model.safetensors", out / "train.parquet"
    values = {"model": model, "log": log, "trained": line is not None}
    lines = [line or "the training was done already", f"wrote {model} and {log}"]
    return Made(values, lines, [], changed=line is not None)


def index_lr(
    folders: Sequence[Place],
    at: Path,
    run: Run,
    images: IndexConfig = LR_IMAGES,
) -> tuple[SourceRow, ...]:
    """The index of LR images of any size, as what is fine-tuned on has patches of its own length; what is left out is
    named.
    """
    rows = sources.index(folders, at, images, run)
    name_left_out(rows)
    return tuple(rows)


def fine_tune(job: FineTuneJob) -> Made:
    """Fine-tune into the job's folder, or find it done; raises UserError."""
    from ..train.compose import fine_tuning_of
    from ..train.engine.identity import check_free
    from ..train.fine_tune import Inputs, fine_tune_run
    from . import evaluate as evaluating

    config, out = fine_tuning_of(job.preset, job.config), Path(job.out)
    check_free(out)
    val = None
    if job.val_store or job.val_hr or job.val_lr:
        val = partial(
            evaluating.image_set, *(place(at) if at else None for at in (job.val_store, job.val_hr, job.val_lr))
        )
    rows = index_lr(_places(job.lr_images), out / "index.parquet", Work().run, job.images)
    inputs = Inputs(
        model=Path(job.model),
        rows=rows,
        reconstruction=Path(job.reconstruction) if job.reconstruction else None,
        far_model=Path(job.far_model) if job.far_model else None,
    )
    lines = fine_tune_run(out, inputs, config, val=val)
    made = _trained(out, lines)
    return Made(made.values | {"counts": counts(rows)}, made.lines, list(rows), changed=made.changed)


def evaluate(job: EvalJob) -> Made:
    """Measure the models of a job; raises UserError."""
    from ..degrade.config import validated
    from ..eval.images.pairing import Selection
    from ..eval.images.tiling import pick_device
    from ..eval.measure import lines_of, means_of, measure, protocol_of
    from ..eval.report import table
    from .evaluate import image_set, open_subjects

    protocol, device = protocol_of(job.protocol), pick_device()
    options = validated(protocol.options, job.options, f"protocol {job.protocol}")
    store, hr, lr = (place(text) if text else None for text in (job.store, job.hr, job.lr))
    scale = 1 if protocol.on == "photographs" else job.scale
    images = image_set(store, hr, lr, scale, Selection(job.include, job.exclude, job.name))
    table.check(place(job.out))
    subjects = open_subjects(
        {name: Path(at) for name, at in job.models.items()},
        device,
        reconstructions=protocol.of == "reconstructions",
        far_model=Path(job.far_model) if job.far_model else None,
    )
    found = measure(protocol, images, subjects, options, place(job.out), device)
    values = {
        "report": job.out,
        "means": means_of(protocol, found.rows),
        "skipped": found.skipped,
        "left_out": found.left_out,
    }
    lines = [*lines_of(protocol, found.rows), f"wrote {job.out}"]
    return Made(values | protocol.values(found.rows), lines, [], changed=True)


def report(job: ReportJob) -> Made:
    """Draw the page of a job; raises UserError."""
    from ..eval.pages import write_report
    from ..train.engine.checkpoint import read_log

    log = read_log(Path(job.run)) if job.run else None
    write_report([place(job.metrics), *_places(job.compare)], log, place(job.out))
    return Made({"page": job.out}, [f"wrote {job.out}"], [], changed=True)
