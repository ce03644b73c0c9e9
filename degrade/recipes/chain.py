"""Chains of anybody's: steps in order, each with a probability, numbers drawn from ranges, and alternatives."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import did_you_mean
from ..ops import CHAIN_OPS
from ..ops.blur import Blur
from ..ops.resize import Resize, ResizeMode
from ..ops.step import NoiseSource, Step
from .base import Chance, Drawn, Preset, Probability, Recipe, Scale

_BY_CHAIN = ("field", "height", "width")  # what a chain itself knows of a step
_KINDS = {each.model_fields["op"].default: each for each in CHAIN_OPS if each.model_fields["op"].default != "bank"}
_BLUR = ("sigma", "size")
_RESIZE = ("factor", "mode", "antialias")
_MOST_ENLARGED = 16  # times, of a side, by all steps of a chain


class Link(BaseModel):
    """A step of a chain, or several of which one is drawn.

    Beside op stand the numbers of the step (degrade/ops): one value; [low, high], drawn evenly between; or, of words,
    [a, b, ...], one of which is drawn. `blur` has sigma (pixels, of a round Gaussian) and size; `resize` has factor (of
    the size that the image has there), mode and antialias. A list of more than two numbers is of choices too.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, use_attribute_docstrings=True)

    op: str | None = None
    """The step."""
    one_of: "tuple[Link, ...]" = ()
    """Or: steps of which one is drawn, by their weights."""
    prob: Probability = 1
    """How often it is there at all."""
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1
    """Among the others of a one_of."""

    @property
    def values(self) -> dict[str, Any]:
        """The numbers of the step as they are written."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _makes_a_step(self) -> Self:
        if (self.op is None) == (not self.one_of):
            raise ValueError("a step of a chain has either op or one_of; write one")
        if self.op is None:
            if self.values:
                raise ValueError(f"{min(self.values)} belongs to a step; write it beside its op")
            return self
        if self.op not in _KINDS:
            raise ValueError(f"op {self.op:.80} is unknown; {did_you_mean(self.op, [*_KINDS])}")
        for name in self.values:
            if name not in self._takes():
                raise ValueError(f"{self.op} takes no {name}; it takes {', '.join(self._takes())}")
        for values in _extremes(self.op, self.values):
            try:
                _step(self, values, (64, 64), "0")
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                said = first["msg"].removeprefix("Value error, ")
                raise ValueError(f"{self.op}: {where}{': ' if where else ''}{said[:1].lower()}{said[1:]}") from None
        return self

    @property
    def enlarges(self) -> float:
        """By how much the image can grow here."""
        if self.op != "resize":
            return max((each.enlarges for each in self.one_of), default=1.0)
        told = self.values.get("factor", 1.0)
        return float(max(told)) if isinstance(told, list | tuple) else float(told)

    def _takes(self) -> Sequence[str]:
        if self.op == "blur":
            return _BLUR
        if self.op == "resize":
            return _RESIZE
        return [name for name in _KINDS[str(self.op)].model_fields if name not in ("op", *_BY_CHAIN)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_range(value: Any, kind: Any) -> bool:
    """Whether a value as it is written is [low, high]; kind: of the step's field."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)) and kind is not Literal


def _extremes(op: str, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Values between which all others lie: both ends of each range, with those of all others; each of several choices.

    Raises:
        ValueError: a range falls, or there is nothing to choose from.
    """
    kinds = {name: _kind_of(_KINDS[op], name) for name in values}
    of_range = {name: value for name, value in values.items() if _is_range(value, kinds[name])}
    of_choice = {n: v for n, v in values.items() if isinstance(v, list | tuple) and n not in of_range}
    for name, (low, high) in of_range.items():
        if low > high:
            raise ValueError(f"{op}: {name} = [{low}, {high}] falls; write [{high}, {low}]")
    for name, choices in of_choice.items():
        if not choices:
            raise ValueError(f"{op}: {name} is empty; name at least one")
    first = {name: value[0] if name in of_choice else value for name, value in values.items()}
    for ends in product(*of_range.values()):
        yield first | dict(zip(of_range, ends, strict=True))
    plain = first | {name: low for name, (low, _) in of_range.items()}
    for name, choices in of_choice.items():
        yield from (plain | {name: each} for each in choices)


def _picked(value: Any, kind: Any, rng: np.random.Generator) -> Any:
    """What is drawn of a value as it is written; kind: of the step's field."""
    if not isinstance(value, list | tuple):
        return value
    if _is_range(value, kind):
        low, high = value
        return int(rng.integers(int(low), int(high) + 1)) if kind is int else float(rng.uniform(low, high))
    return value[int(rng.integers(len(value)))]


def _kind_of(step: type[Step], name: str) -> Any:
    """The type of a number of a step; Literal where one of several is chosen."""
    if name not in step.model_fields:
        return Literal if name == "size" else float
    annotation: Any = step.model_fields[name].annotation
    return Literal if getattr(annotation, "__origin__", None) is Literal else annotation


def _step(link: Link, values: Mapping[str, Any], size: tuple[int, int], field: str) -> Step:
    """The step of drawn values, on an image of a size (height, width)."""
    if link.op == "blur":
        sigma, taps = values.get("sigma", 1.0), values.get("size", 21)
        if _is_number(sigma) and _is_number(taps) and sigma > taps:
            raise ValueError(f"blur: sigma = {sigma} is wider than the kernel, {taps} px; lower it, or raise size")
        kernel = {"kind": "iso", "size": taps, "sigma_x": sigma, "sigma_y": sigma}
        return Blur.model_validate({"kernel": kernel})
    if link.op == "resize":
        factor = values.get("factor", 1.0)
        if not _is_number(factor) or not 0 < factor <= _MOST_ENLARGED:
            raise ValueError(f"resize: factor = {factor!s:.40} is no number above 0 and up to {_MOST_ENLARGED}")
        sides = {name: max(1, round(side * factor)) for name, side in zip(("height", "width"), size, strict=True)}
        return Resize.model_validate(sides | {"mode": "bicubic"} | {n: v for n, v in values.items() if n != "factor"})
    kind = _KINDS[str(link.op)]
    told = {"field": field} if "field" in kind.model_fields else {}
    return kind.model_validate({**values, **told})


class Chain(Recipe):
    """Steps in an order of one's own, then a resize to LR's size: what wtp_dataset_destroyer's users write."""

    ops: ClassVar[tuple[type[Step], ...]] = CHAIN_OPS

    kind: Literal["chain"] = "chain"
    scale: Scale = 4
    """HR size / LR size."""
    steps: Annotated[tuple[Link, ...], Field(min_length=1)]
    """In their order."""
    to_lr: ResizeMode = "bicubic"
    """How the image becomes as large as LR, behind the last step that stands before `at_lr`."""
    to_lr_antialias: bool = True
    """Of the modes that have both forms."""
    at_lr: tuple[Link, ...] = ()
    """Steps behind that, on images of LR's size."""

    @model_validator(mode="after")
    def _stays_at_lr(self) -> Self:
        for link in self.at_lr:
            if any(each.op == "resize" for each in (link, *link.one_of)):
                raise ValueError("at_lr: a resize would change LR's size; put it among steps")
        self._to_lr(16)
        times = prod(max(1.0, link.enlarges) for link in self.steps)
        if times > _MOST_ENLARGED:
            raise ValueError(
                f"steps: the image can grow {times:g} times, and {_MOST_ENLARGED} is the most; lower a resize's factor"
            )
        return self

    @property
    def packages(self) -> tuple[str, ...]:
        """Those of the codecs in it."""
        ops = set(_ops((*self.steps, *self.at_lr)))
        return tuple(name for op, name in (("video", "av"), ("jpeg-xl", "pillow-jxl-plugin")) if op in ops)

    def _to_lr(self, side: int) -> Resize:
        return Resize(height=side, width=side, mode=self.to_lr, antialias=self.to_lr_antialias)

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        """Each step from a stream of its own, so that another step more changes no other's numbers."""
        side = hr_px // self.scale
        found: list[Step] = []
        size = (hr_px, hr_px)
        for number, link in enumerate(self.steps):
            step = _drawn(link, chance, f"chain {number}", number, size)
            if step is not None:
                found.append(step)
                size = (step.height, step.width) if isinstance(step, Resize) else size
        if size != (side, side):
            found.append(self._to_lr(side))
        for number, link in enumerate(self.at_lr):
            step = _drawn(link, chance, f"chain at LR {number}", len(self.steps) + number, (side, side))
            found += [] if step is None else [step]
        return Drawn({"lr": tuple(found)})


def _ops(links: Sequence[Link]) -> Iterator[str]:
    for link in links:
        if link.op is not None:
            yield link.op
        yield from _ops(link.one_of)


def _drawn(link: Link, chance: Chance, name: str, number: int, size: tuple[int, int]) -> Step | None:
    rng = chance.stream(name)
    if rng.random() >= link.prob:
        return None
    while link.one_of:
        weights = np.array([each.weight for each in link.one_of])
        link = link.one_of[int(rng.choice(len(weights), p=weights / weights.sum()))]
        if rng.random() >= link.prob:
            return None
    kind = _KINDS[str(link.op)]
    values = {each: _picked(value, _kind_of(kind, each), rng) for each, value in link.values.items()}
    return _step(link, values, size, chance.field(number))


def _links(*values: dict[str, Any]) -> tuple[Link, ...]:
    return tuple(Link.model_validate(each) for each in values)


PRESETS = {
    "old-video": Preset(
        Chain(
            steps=_links(
                {"op": "blur", "sigma": [0.3, 1.5], "prob": 0.7},
                {"op": "chroma", "subsampling": ["420", "411"], "shift_x": [-2, 2], "shift_y": [-1, 1], "prob": 0.5},
                {"op": "gaussian", "sigma_255": [1, 12], "gray": [True, False], "prob": 0.6},
            ),
            at_lr=_links(
                {"op": "halo", "halo_px": [0.7, 2], "amount": [0.3, 1.5], "prob": 0.3},
                {
                    "one_of": [
                        {"op": "video", "codec": "h264", "crf": [22, 38], "weight": 2},
                        {"op": "video", "codec": "hevc", "crf": [24, 40]},
                        {"op": "jpeg", "quality": [30, 90]},
                    ]
                },
            ),
        ),
        256,
        "Video: soft, colour out of place, noise, halos, H.264 and HEVC. Numbers of ours.",
    ),
    "scanned-print": Preset(
        Chain(
            steps=_links(
                {"op": "screentone", "dot_px": [4, 8], "angle": [0.2, 1.2], "gray": [True, False], "prob": 0.5},
                {"op": "levels", "black": [0, 0.1], "white": [0.85, 1], "gamma": [0.8, 1.3], "prob": 0.7},
                {"one_of": [{"op": "blur", "sigma": [0.3, 1.5]}, {"op": "lens-blur", "disk_px": [0.6, 2]}]},
            ),
            at_lr=_links(
                {"op": "dither", "colours": [8, 32], "pattern": "ordered", "prob": 0.1},
                {"one_of": [{"op": "jpeg", "quality": [35, 92]}, {"op": "webp", "quality": [30, 90]}]},
            ),
        ),
        256,
        "Scanned print: screentone, levels, soft focus, JPEG and WebP. Numbers of ours.",
    ),
}
