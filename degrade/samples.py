"""One sample of a store: what is cut from its source, and every degradation that it goes through.

`draw` decides and touches no pixel; `render` is pure. For groups, `accepted` draws until the measured order is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .errors import UserError
from .images.pixels import U8, to_float, to_uint8
from .ops.render import Rendering, render_all
from .ops.resize import Resize
from .ops.step import Degradation, NoiseSource
from .quality.group_order import Measure, disorders, measure, twin
from .recipes.base import Chance
from .recipes.mm_realsr import ROLES, Role
from .recipes.store_config import StoreConfig
from .seeds import stream

_MOST_TELLING_FIRST = (Role.NOISIER, Role.WORST, Role.BASE, Role.BLURRIER, Role.CLEAN)
# of rejected draws nine in ten have a worst member that is less noisy than the noisier one


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


def draw_sample(config: StoreConfig, source: Source, sample: int, draw: int, bank: NoiseSource | None) -> Draw:
    """Draw number `draw` of a sample: from the streams that (seed, source, sample, draw) name, and no other.

    Raises:
        UserError: the recipe wants a bank and none is given, or its patches are too small.
    """
    identity = (source.sha256, sample, draw)
    given = check_bank(config, bank) if config.recipe.wants_bank else None
    drawn = config.recipe.draw(config.hr_size_px, Chance(config.seed, identity), given)
    hr, crop_px = drawn.hr, config.crop_size_px
    y, x, size = box_of(config, source, sample, draw)
    if size != crop_px:
        hr = (Resize(height=crop_px, width=crop_px, mode="lanczos", antialias=True), *hr)
    return Draw(draw, y, x, size, hr, drawn.members, drawn.condition)


def box_of(config: StoreConfig, source: Source, sample: int, draw: int) -> tuple[int, int, int]:
    """Where draw number `draw` of a sample is cut from its source: top, left and side, in pixels of the source."""
    identity = (source.sha256, sample, draw)
    size = _size_in_source(config, source, stream(config.seed, "source-scale", *identity))
    box = stream(config.seed, "box", *identity)
    y, x = (int(box.integers(0, max(0, side - size) + 1)) for side in (source.height, source.width))
    return y, x, size


def cut(pixels: U8, y: int, x: int, size: int) -> U8:
    """The crop [size, size, 3] of a source, continued by reflection where it ends before."""
    found = pixels[y : y + size, x : x + size]
    below, right = (size - side for side in found.shape[:2])
    if below or right:
        found = np.pad(found, ((0, below), (0, right), (0, 0)), mode="reflect")
    return np.ascontiguousarray(found)


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


def check_bank_named(config: StoreConfig, named: bool) -> None:
    """Raises UserError where a bank is named that the recipe takes no noise from, or none that it does."""
    if config.recipe.wants_bank and not named:
        raise _lacks_bank(config)
    if named and not config.recipe.wants_bank:
        raise UserError(f"recipe {config.recipe.kind} takes no noise from a bank; leave --bank out")


def _lacks_bank(config: StoreConfig) -> UserError:
    return UserError(f"recipe {config.recipe.kind} takes its noise from a bank; name one with --bank")


def check_bank(config: StoreConfig, bank: NoiseSource | None) -> NoiseSource:
    """The bank that the recipe takes noise from.

    Raises:
        UserError: there is none, or an LR crop is larger than its patches.
    """
    if bank is None:
        raise _lacks_bank(config)
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
    found = _rendered(drawn, pixels, bank, in_order=False)
    assert found is not None
    return found


def _rendered(drawn: Draw, pixels: U8, bank: NoiseSource | None, *, in_order: bool) -> Rendered | None:
    """The same; with in_order nothing as soon as the members that were rendered are seen not to be."""
    crop = to_float(cut(pixels, drawn.y, drawn.x, drawn.size))
    hr = render_all(crop, [drawn.hr], bank=bank)[0]
    names = list(drawn.members)
    steps = [drawn.members[name] for name in names]
    if names != list(ROLES):
        lr = np.stack([to_uint8(image) for image in render_all(hr, steps, bank=bank)])
        return Rendered(to_uint8(hr), lr, None)
    rendering = Rendering(hr, [*steps, *(twin(each) for each in steps)], bank=bank)
    members: dict[Role, U8] = {}
    measured: dict[Role, Measure] = {}
    for role in _MOST_TELLING_FIRST:
        number = ROLES.index(role)
        members[role] = to_uint8(rendering.image(number))
        measured[role] = measure(members[role], rendering.image(len(steps) + number))
        if in_order and disorders(measured):
            return None
    lr = np.stack([members[role] for role in ROLES])
    return Rendered(to_uint8(hr), lr, {role: measured[role] for role in ROLES})


def make(
    config: StoreConfig, source: Source, pixels: U8, sample: int, *, bank: NoiseSource | None = None
) -> tuple[Draw, Rendered]:
    """A sample as the store holds it: the first draw, or for groups that reject disorder the first in order.

    When no draw of `num_tries` is in order, the last one stands, and its disorder is in the manifest.
    """
    last = config.recipe.num_tries - 1
    for number in range(last):
        drawn = draw_sample(config, source, sample, number, bank)
        rendered = _rendered(drawn, pixels, bank, in_order=True)
        if rendered is not None:
            return drawn, rendered
    drawn = draw_sample(config, source, sample, last, bank)
    return drawn, render(drawn, pixels, bank=bank)
