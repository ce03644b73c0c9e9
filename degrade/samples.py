"""One sample of a store: what is cut from its source, and every degradation that it goes through.

`draw` decides and touches no pixel; `render` is pure. For groups, `accepted` draws until the measured order is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .errors import UserError
from .images.pixels import U8, to_float, to_uint8
from .ops.render import render_all
from .ops.steps import STEP_TYPE, Degradation, NoiseSource, Resize, UnsharpMask, field_key, from_rows, to_rows
from .quality.group_order import MEASURE_TYPE, Measure, disorders, measure, twin
from .recipes.base import BlurNoise, Downscale, Groups, NoiseInjection, Recipe, SecondOrder, Shuffled, Usm
from .recipes.bsrgan import sample_shuffled
from .recipes.groups import ROLES, Role, sample_group
from .recipes.pairs import downscale, sample_blur_noise, sample_noise_injection, sample_second_order
from .seeds import stream
from .storage.shards.writer import Store

GROUPS, PAIRS = "group-store", "pair-store"
_LR = ("lr",)
_LEAST_LR_PX = 16  # less cannot be measured


class StoreConfig(BaseModel):
    """A store of samples: what they are drawn from, how many, and from which seed.

    hr_size_px: side of the square HR crops; a multiple of the scale. num_samples: groups or pairs. weigh: a source
    serves as many samples as any other (`image`), or by its area, as where large images are cut into pieces first.
    source_scales: crops are cut as if of the source at one of these sizes (1 is as it is), drawn among those at which
    it still holds a crop; Real-ESRGAN's DF2K is at 1, 0.75, 0.5 and 1/3. pad_small: sources smaller than a crop are
    continued by reflection to the right and below, as BasicSR does, instead of left out. shard_mib: size of a shard's
    HR block, MiB; the samples in it are a power of two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    recipe: Recipe
    hr_size_px: Annotated[int, Field(ge=16, le=16384)]
    num_samples: Annotated[int, Field(ge=1)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    weigh: Literal["image", "area"] = "image"
    source_scales: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (1,)
    pad_small: bool = False
    shard_mib: Annotated[float, Field(gt=0, le=65536)] = 32

    @model_validator(mode="after")
    def _whole_lr_pixels(self) -> Self:
        scale, size = self.recipe.scale, self.hr_size_px
        if size % scale:
            below = size - size % scale
            raise ValueError(
                f"hr_size_px = {size} is not a multiple of recipe.scale = {scale}; use {below} or {below + scale}"
            )
        if size // scale < _LEAST_LR_PX:
            raise ValueError(
                f"hr_size_px = {size} makes LR images of {size // scale} px; use {_LEAST_LR_PX * scale} or more"
            )
        return self

    @property
    def lr_size_px(self) -> int:
        return self.hr_size_px // self.recipe.scale

    @property
    def crop_size_px(self) -> int:
        """Side of what is cut from the source; larger than the HR where the recipe cleans up by shrinking."""
        return self.hr_size_px * (self.recipe.cleanup if isinstance(self.recipe, NoiseInjection) else 1)

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the LR images of a sample, in the order in which they are stored."""
        return tuple(ROLES) if isinstance(self.recipe, Groups) else _LR

    @property
    def kind(self) -> str:
        """Of the store that holds these samples."""
        return GROUPS if isinstance(self.recipe, Groups) else PAIRS

    @property
    def wants_bank(self) -> bool:
        return isinstance(self.recipe, NoiseInjection) and self.recipe.strength > 0


@dataclass(frozen=True)
class Source:
    """An image to draw from, by its content; width and height in pixels."""

    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class Draw:
    """Everything that a sample is: a box in the source, the steps to HR, and those from HR to each member.

    draw: how many draws came before this one. condition: what the recipe tells the network (CUGAN's z).
    """

    draw: int
    y: int
    x: int
    size: int
    hr: Degradation
    members: Mapping[str, Degradation]
    condition: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Rendered:
    """hr [H, W, 3] and lr [K, h, w, 3], uint8 RGB; of groups also what was measured of each member."""

    hr: U8
    lr: U8
    measured: Mapping[Role, Measure] | None


def manifest_schema(members: tuple[str, ...]) -> pa.Schema:
    """The columns of the manifest of a store with those members."""
    return pa.schema(
        [
            ("sample", pa.int64()),
            ("source", pa.string()),
            ("source_sha256", pa.string()),
            ("draw", pa.int32()),
            ("y", pa.int32()),
            ("x", pa.int32()),
            ("size", pa.int32()),
            ("condition", pa.list_(pa.float64())),
            ("disorder", pa.list_(pa.string())),
            ("hr", pa.list_(STEP_TYPE)),
            *((name, pa.list_(STEP_TYPE)) for name in members),
            ("measured", pa.struct([(name, MEASURE_TYPE) for name in members])),
        ]
    )


def draw_sample(config: StoreConfig, source: Source, sample: int, draw: int, bank: NoiseSource | None) -> Draw:
    """Draw number `draw` of a sample: from the streams that (seed, source, sample, draw) name, and no other.

    Raises:
        UserError: the recipe wants a bank and none is given, or its patches are too small.
    """
    identity = (source.sha256, sample, draw)
    box = stream(config.seed, "box", *identity)
    rng = stream(config.seed, "sample", *identity)
    fields = [field_key(config.seed, "noise", *identity, i) for i in range(3)]
    recipe, hr_px, crop_px = config.recipe, config.hr_size_px, config.crop_size_px
    hr: Degradation = ()
    condition: tuple[float, ...] | None = None
    match recipe:
        case Groups():
            group = sample_group(recipe, hr_px, rng, (fields[0], fields[1]))
            members = {str(role): steps for role, steps in group.items()}
        case SecondOrder():
            members = {"lr": sample_second_order(recipe, hr_px, rng, (fields[0], fields[1]))}
        case Shuffled():
            members = {"lr": sample_shuffled(recipe, hr_px, rng, fields)}
        case BlurNoise():
            steps, condition = sample_blur_noise(recipe, rng, fields[0])
            members = {"lr": steps}
        case NoiseInjection():
            hr = (Resize(height=hr_px, width=hr_px, mode=recipe.resize),) if recipe.cleanup > 1 else ()
            given = check_bank(config, bank) if config.wants_bank else None
            members = {"lr": sample_noise_injection(recipe, hr_px, rng, given)}
        case Downscale():
            members = {"lr": downscale(recipe, hr_px)}
    if isinstance(recipe, Groups | SecondOrder | Shuffled) and recipe.usm is not None:
        mask = _unsharp_mask(recipe.usm, stream(config.seed, "usm", *identity))
        again = isinstance(recipe, Groups) and recipe.sharpen_clean_again
        members = {
            name: (*((mask, mask) if again and name == Role.CLEAN else (mask,)), *steps)
            for name, steps in members.items()
        }
    size = _size_in_source(config, source, stream(config.seed, "source-scale", *identity))
    if size != crop_px:
        hr = (Resize(height=crop_px, width=crop_px, mode="lanczos", antialias=True), *hr)
    y, x = (int(box.integers(0, max(0, side - size) + 1)) for side in (source.height, source.width))
    return Draw(draw, y, x, size, hr, members, condition)


def _size_in_source(config: StoreConfig, source: Source, rng: np.random.Generator) -> int:
    """Side of what is cut from the source, so that it is a crop once the source is at the drawn scale."""
    if config.source_scales == (1,):
        return config.crop_size_px
    sizes = [round(config.crop_size_px / scale) for scale in config.source_scales]
    fitting = [size for size in sizes if size <= min(source.width, source.height)] or [min(sizes)]
    return fitting[int(rng.integers(len(fitting)))]


def holds(config: StoreConfig, width: int, height: int) -> bool:
    """Whether crops can be cut from an image of that size."""
    least = min(round(config.crop_size_px / scale) for scale in config.source_scales)
    return config.pad_small or min(width, height) >= least


def _unsharp_mask(usm: Usm, rng: np.random.Generator) -> UnsharpMask:
    radius = usm.radius if usm.radius_range is None else int(rng.integers(usm.radius_range[0], usm.radius_range[1] + 1))
    return UnsharpMask(radius=radius, weight=usm.weight, threshold_255=usm.threshold_255)


def check_bank(config: StoreConfig, bank: NoiseSource | None) -> NoiseSource:
    """The bank that the recipe takes noise from.

    Raises:
        UserError: there is none, or an LR crop is larger than its patches.
    """
    if bank is None:
        raise UserError(f"recipe {config.recipe.kind} takes its noise from a bank; name one with --bank")
    if config.lr_size_px > bank.size_px:
        raise UserError(
            f"LR crops of {config.lr_size_px} px are larger than the bank's patches of {bank.size_px} px; "
            f"use --hr-size {bank.size_px * config.recipe.scale} at most, or a bank of a larger --size"
        )
    return bank


def render(drawn: Draw, pixels: U8, *, bank: NoiseSource | None = None) -> Rendered:
    """The images of a draw, from the pixels of its source. Pure.

    Members come from the HR before it is rounded to 8 bits.
    """
    cut = pixels[drawn.y : drawn.y + drawn.size, drawn.x : drawn.x + drawn.size]
    below, right = (drawn.size - side for side in cut.shape[:2])
    if below or right:
        cut = np.pad(cut, ((0, below), (0, right), (0, 0)), mode="reflect")
    crop = to_float(np.ascontiguousarray(cut))
    hr = render_all(crop, [drawn.hr], bank=bank)[0]
    names = list(drawn.members)
    steps = [drawn.members[name] for name in names]
    if names != list(ROLES):
        lr = np.stack([to_uint8(image) for image in render_all(hr, steps, bank=bank)])
        return Rendered(to_uint8(hr), lr, None)
    images = render_all(hr, [*steps, *(twin(each) for each in steps)], bank=bank)
    lr = np.stack([to_uint8(image) for image in images[: len(steps)]])
    twins = images[len(steps) :]
    measured = {role: measure(lr[i], twins[i]) for i, role in enumerate(ROLES)}
    return Rendered(to_uint8(hr), lr, measured)


def make(
    config: StoreConfig, source: Source, pixels: U8, sample: int, *, bank: NoiseSource | None = None
) -> tuple[Draw, Rendered]:
    """A sample as the store holds it: the first draw, or for groups that reject disorder the first in order.

    When no draw of `most_draws` is in order, the last one stands, and its disorder is in the manifest.
    """
    recipe = config.recipe
    most = recipe.most_draws if isinstance(recipe, Groups) and recipe.disorder == "reject" else 1
    for number in range(most):
        drawn = draw_sample(config, source, sample, number, bank)
        rendered = render(drawn, pixels, bank=bank)
        if rendered.measured is None or not disorders(rendered.measured):
            break
    return drawn, rendered  # pyright: ignore[reportPossiblyUnboundVariable]


def to_row(sample: int, path: str, source: Source, drawn: Draw, rendered: Rendered) -> dict[str, Any]:
    """The manifest's row of a sample."""
    measured = rendered.measured
    return {
        "sample": sample,
        "source": path,
        "source_sha256": source.sha256,
        "draw": drawn.draw,
        "y": drawn.y,
        "x": drawn.x,
        "size": drawn.size,
        "condition": drawn.condition,
        "disorder": None if measured is None else list(disorders(measured)),
        "hr": to_rows(drawn.hr),
        **{name: to_rows(steps) for name, steps in drawn.members.items()},
        "measured": None
        if measured is None
        else {str(role): {"detail": each.detail, "noise": each.noise} for role, each in measured.items()},
    }


def in_use(store: Store) -> list[int]:
    """The samples that readers give: all, but for groups that the build measured as disordered: flagged, or such as no
    draw brought in order (a flat photograph has no blur to order). Those of `recipe.disorder=keep` are given.
    """
    samples = range(store.layout.num_samples)
    if store.provenance.config["recipe"].get("disorder", "keep") == "keep":
        return list(samples)
    names = store.manifest(columns=["disorder"])["disorder"].to_pylist()
    return [sample for sample in samples if not names[sample]]


def from_row(row: Mapping[str, Any], members: tuple[str, ...]) -> Draw:
    """The draw that a row of the manifest records."""
    return Draw(
        draw=row["draw"],
        y=row["y"],
        x=row["x"],
        size=row["size"],
        hr=from_rows(row["hr"]),
        members={name: from_rows(row[name]) for name in members},
        condition=None if row["condition"] is None else tuple(row["condition"]),
    )
