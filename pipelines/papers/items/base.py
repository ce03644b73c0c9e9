"""What an item of a paper is to `rwsr paper`: what it shows, what it takes of the user, and how it is made."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ....degrade.errors import UserError
from ....degrade.storage.local import write_atomic
from ....degrade.storage.location import Place
from ...pipeline import Named, make_all
from ...stages.base import Artifact, Ref, Work
from ...stages.train import Train
from ..parallel_training import telling, train_all

if TYPE_CHECKING:
    from ....eval.images.sets import ImageSet
    from ....eval.report.page import Part
    from ....eval.report.table import MetricRow
    from ....train.methods.base import TrainingConfig

Option = Literal["photos", "target", "auxiliary", "test", "test_lr", "model", "far_model"]
OPTIONS: Mapping[Option, str] = {
    "photos": "--photos",
    "target": "--target",
    "auxiliary": "--auxiliary",
    "test": "--test",
    "test_lr": "--test-lr",
    "model": "--model",
    "far_model": "--far-model",
}


@dataclass(frozen=True)
class Order:
    """What a person asked for: where, with which folders and models, at which size.

    small: minutes on a CPU, instead of the paper's numbers. steps: of every training; samples: of every store; none is
    the item's. seeds: trainings of each row. sets: KEY=VALUE of all trainings, PART:KEY=VALUE of one. metrics: none is
    the paper's. rows: of the table; none is all.
    """

    out: Path
    small: bool = False
    photos: tuple[Place, ...] = ()
    target: tuple[Place, ...] = ()
    auxiliary: tuple[Place, ...] = ()
    test: Place | None = None
    test_lr: Place | None = None
    simulate_camera: Literal["noisy", "soft"] | None = None
    models: Mapping[str, Path] = field(default_factory=dict[str, Path])
    far_model: Path | None = None
    steps: int | None = None
    samples: int | None = None
    seeds: int = 1
    workers: int = 1
    metrics: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    def sets_of(self, part: str, *, alone: bool = False) -> tuple[str, ...]:
        """The keys that are changed of a part, as rwsr-edl or pairs; those of all trainings too, unless alone."""
        named = tuple(text for name, text in map(_named, self.sets) if name == part)
        return named if alone else (*(text for name, text in map(_named, self.sets) if name is None), *named)

    def steps_of(self, part: str) -> int | None:
        """The steps of a part's trainings; none is its own, or what a key of the part says."""
        own = any(text.startswith("loop.steps=") for text in self.sets_of(part, alone=True))
        return None if own else self.steps

    @property
    def parts(self) -> list[str]:
        """The parts of which keys are changed."""
        return [name for name, _ in map(_named, self.sets) if name is not None]

    def wants(self, row: str) -> bool:
        """Whether a row of the table is to be made."""
        return not self.rows or row in self.rows

    def samples_or(self, paper: int) -> int:
        """How many samples a store has, whose published size is given."""
        return self.samples or (2000 if self.small else paper)

    def has(self, option: Option) -> bool:
        """Whether it names something."""
        values: Mapping[Option, object] = {
            "photos": self.photos,
            "target": self.target,
            "auxiliary": self.auxiliary,
            "test": self.test,
            "test_lr": self.test_lr or self.simulate_camera,
            "model": self.models,
            "far_model": self.far_model,
        }
        return bool(values[option])


def _named(text: str) -> tuple[str | None, str]:
    """PART:KEY=VALUE in two; the part is None where none is named."""
    name, colon, rest = text.partition(":")
    return (name.strip(), rest) if colon and "=" not in name else (None, text)


@dataclass(frozen=True)
class Made:
    """What an order gave: its page, lines for a person and, where rows are trained by seeds, of each metric the figures
    of each row's trainings.
    """

    page: Path
    lines: list[str]
    runs: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict[str, Mapping[str, Sequence[float]]])


@dataclass(frozen=True)
class Item:
    """A table or a figure of a paper.

    name: as table2 or fig7. title: what it shows. wants: what of the user's it takes, in words. trains: presets at the
    paper's size, and how often each is trained. files: published files that the paper's size takes, by the names of
    `rwsr weights`. notes: errata, and what is not as the paper has it. make: None of a drawing; why says so. seeded:
    its rows can be trained by several seeds. trained_from: what it takes instead of models, or beside them, to train
    the rows of the table. rows: which can be made alone. parts: of what keys can be changed beside `trains` and the
    stores (`pairs`). may: what it can take beside.
    """

    paper: str
    name: str
    title: str
    wants: Mapping[Option, str] = field(default_factory=dict[Option, str])
    trains: Mapping[str, int] = field(default_factory=dict[str, int])
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    make: Callable[["Item", Order], Made] | None = None
    why: str = ""
    seeded: bool = False
    trained_from: Mapping[Option, str] = field(default_factory=dict[Option, str])
    rows: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    may: Mapping[Option, str] = field(default_factory=dict[Option, str])

    @property
    def called(self) -> str:
        """As a person says it: "CUGAN table 2"."""
        return f"{NAMES[self.paper]} {'table' if self.name.startswith('table') else 'figure'} {self.number}"

    @property
    def number(self) -> str:
        """As printed: 2, or IX."""
        text = self.name.removeprefix("table").removeprefix("fig")
        return _ROMAN[int(text)] if self.paper == "rwsr-edl" and self.name.startswith("table") else text

    def check(self, order: Order) -> None:
        """Raises UserError where it cannot be made, or something that it takes is not named."""
        if self.make is None:
            raise UserError(f"{self.called} is not made here: {self.why}")
        lacking = [f"{OPTIONS[each]} ({said})" for each, said in self._wants(order).items() if not order.has(each)]
        if lacking:
            instead = (
                ""
                if not self.trained_from or self.trains_for(order)
                else (
                    ", or instead of --model "
                    + ", ".join(f"{OPTIONS[each]} ({said})" for each, said in self.trained_from.items())
                )
            )
            them = "it" if len(lacking) == 1 else "them"
            raise UserError(f"{self.called} takes {', '.join(lacking)}{instead}; name {them}")
        known = {*self.wants, *self.trained_from, *self.may}
        unused = [OPTIONS[each] for each in OPTIONS if each not in known and order.has(each)]
        if unused:
            raise UserError(f"{self.called} takes no {unused[0]}; leave it out")
        if order.seeds > 1 and not self.seeded:
            raise UserError(f"{self.called} trains each row once; leave out --seeds")
        _check_among(order.rows, self.rows, f"no row of {self.called}")
        known = (*self.trains, *([PAIRS] if self.trains else []), *self.parts)
        _check_among(order.parts, known, f"no part of {self.called} that has keys")

    def trains_for(self, order: Order) -> bool:
        """Whether an order has it train, rather than measure models that are named alone."""
        return bool(self.trains) and (not self.trained_from or any(order.has(each) for each in self.trained_from))

    def _wants(self, order: Order) -> Mapping[Option, str]:
        """What an order has to name: where it names some of what rows are trained from, all of that."""
        if not self.trained_from or not self.trains_for(order):
            return self.wants
        return {**{each: said for each, said in self.wants.items() if each != "model"}, **self.trained_from}


def _check_among(told: Sequence[str], known: Sequence[str], what: str) -> None:
    """Raises UserError where something is told that is not known."""
    for each in told:
        if each not in known:
            raise UserError(
                f"{each} is {what}" + (f"; name one of {', '.join(known)}" if known else ", which has none")
            )


NAMES = {"cugan": "CUGAN", "mm-realsr": "MM-RealSR", "rwsr-edl": "RWSR-EDL", "hr-aware": "HR-aware"}
_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_RUNS = "runs"
_NO_WORK = (".json", ".index.parquet", ".sha256")  # what an order leaves that was refused
PAIRS = "pairs"  # the part that all stores of an order are


def carry_out(item: Item, order: Order) -> Made:
    """Make an item into the folder of an order, or go on with it.

    Raises:
        UserError: something is missing, or a stage failed; the same order goes on from there.
    """
    item.check(order)
    assert item.make is not None
    _check_measurement(order)
    _claim(item, order)
    return item.make(item, order)


def _check_measurement(order: Order) -> None:
    """Look, before any long work, at what comes last: the metrics and the images that are measured on."""
    from ....eval.images.sets import check_fits
    from ....eval.metrics import metric

    for name in order.metrics:
        metric(name)
    for folder in (order.test, order.test_lr):
        if folder is not None:
            check_fits(photographs(folder))


def _claim(item: Item, order: Order) -> None:
    """Note what a folder is of; raises UserError where it holds another item, or one on other images."""
    told = {
        "item": f"{item.paper} {item.name}",
        "--small": order.small,
        "--test": str(order.test),
        "--test-lr": str(order.test_lr),
        "--simulate-camera": str(order.simulate_camera),
    }
    noted = order.out / "order.json"
    if noted.exists() and any(not each.name.endswith(_NO_WORK) for each in order.out.iterdir()):
        before = json.loads(noted.read_text())
        other = next((key for key, value in told.items() if before.get(key) != value), None)
        if other is not None:
            said = str(before.get("item")) + ("" if other == "item" else f" of {other} {before.get(other)}")
            raise UserError(f"{order.out} holds {said}; use another --out")
    order.out.mkdir(parents=True, exist_ok=True)
    write_atomic(noted, json.dumps(told, indent=1).encode())


def build_stores(order: Order, stores: Sequence[Named]) -> dict[str, Artifact]:
    """The stores (and indexes) of an order, by their names."""
    return make_all(stores, order.out, order.out / _RUNS, Work(workers=order.workers), telling)


def composed(order: Order, preset: str, *sets: str, part: str | None = None) -> "TrainingConfig":
    """The config of a preset with the keys of an item, then those of the order. part: what it is to a person, if not
    the preset.
    """
    from ....train.compose import compose_training

    part = part or preset.removesuffix("-small")
    try:
        return compose_training(preset, sets=[*sets, *order.sets_of(part)], steps=order.steps_of(part))
    except UserError as error:
        raise UserError(f"of {part}: {error}") from None


def stage(order: Order, preset: str, data: Ref, *sets: str, part: str | None = None, **inputs: Any) -> Train:
    """A training by a preset, on a store of the order."""
    return Train.of(preset, composed(order, preset, *sets, part=part), data=(data,), **inputs)


def run_of(order: Order, name: str) -> Path:
    """Where a training of an order lies."""
    return order.out / _RUNS / name


def training(name: str, stage: Any) -> Named:
    """A training of an order."""
    return Named(name, stage, f"{_RUNS}/{name}")


def train(order: Order, waves: Sequence[Sequence[Named]], made: Mapping[str, Artifact]) -> None:
    """Trainings in waves: those of one hang on those before."""
    for wave in waves:
        if wave:
            train_all(wave, order.out, made, order.workers)


def photographs(folder: Place | None) -> "ImageSet":
    """Clean photographs to measure on; raises UserError."""
    from ...evaluate import image_set

    assert folder is not None
    return image_set(None, None, folder, 1)


def on_disk(folder: Place | None) -> Path:
    """A folder that is restored as `rwsr restore` does it, from a disk; raises UserError where it lies elsewhere."""
    if not isinstance(folder, Path):
        raise UserError(f"{folder} lies on object storage, and is restored from a disk; name a copy on one")
    return folder


def measure_into(out: Path, name: str, images: "ImageSet", models: Mapping[str, Path], options: Any) -> None:
    """Measure models by a protocol into a report, beside what it holds."""
    from ....eval.images.restoring import pick_device
    from ....eval.measure import measure, protocol_of
    from ...evaluate import open_subjects

    protocol, device = protocol_of(name), pick_device()
    subjects = open_subjects(models, device, reconstructions=protocol.of == "reconstructions")
    measure(protocol, images, subjects, options, out, device)


# ------------------------------------------------------------------------------------------------------------ page


def _printed(item: Item, rows: "Sequence[MetricRow]", names: Mapping[str, str]) -> "Part | None":
    """The figures of the table that the paper prints, and ours where one was measured under the same name."""
    from ....eval.report.page import Table
    from ....eval.report.parts import figure_of
    from ....eval.report.published import published
    from ....eval.report.table import mean_of

    cells = [each for each in published() if f"{each.paper} {each.table}" == item.called]
    cells = [each for each in cells if not each.metric.startswith(("distance-", "parameters"))]  # of other rows
    if not cells:
        return None
    ours: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        for member in {row.member, ""}:
            by_metric = ours.setdefault((names.get(row.model, row.model), member), {})
            by_metric.setdefault(row.metric, []).append(row.value)
    lines: list[tuple[str, ...]] = []
    for each in cells:
        found, family = ours.get((each.method, each.member), {}), each.metric.partition("-")[0]
        alike = [each.metric, *(name for name in found if name.partition("-")[0] == family)]
        metric = next((name for name in alike if name in found), None)
        own = ("", "") if metric is None else (figure_of(metric, mean_of(found[metric])), metric)
        lines.append((each.data, each.method, each.member, each.metric, each.printed, *own, each.note))
    return Table(("data", "method", "setting", "metric", "printed", "measured here", "by", "note"), tuple(lines))


def finished(
    item: Item,
    order: Order,
    *,
    metrics: Path | None = None,
    body: "Sequence[Part]" = (),
    said: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    lines: Sequence[str] | None = None,
) -> Made:
    """With OUT/report.html: what was made, the printed figures beside ours, and the sections of what was measured.

    names: the methods of the paper that models stand for, by their names in the report. lines: for a person; none are
    those of the metrics.
    """
    from ....eval.measure import summary_of
    from ....eval.pages import sections_of
    from ....eval.report.page import Section, page
    from ....eval.report.table import read

    size = "small, minutes on a CPU: only orders can be compared" if order.small else "at the paper's size"
    lead = [f"{item.title}. Trained {size}." if item.trains_for(order) else f"{item.title}.", *said]
    lead += [f"Note: {each}" for each in item.notes]
    parts = list(body)
    if metrics is not None:
        rows = read(metrics)
        printed = _printed(item, rows, names or {})
        if printed is not None:
            lead.append(f"Measured here on {', '.join(dict.fromkeys(row.data for row in rows))}.")
            parts.append(printed)
    sections = [Section(item.called, tuple(lead), parts)]
    if metrics is not None:
        sections += sections_of(metrics)
    at = order.out / "report.html"
    write_atomic(at, page(item.called, str(order.out), sections))
    if lines is None:
        lines = [] if metrics is None else summary_of(metrics)[1]
    return Made(at, [*lines, f"wrote {at}"])
