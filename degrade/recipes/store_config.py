"""The config of a store: what it is drawn from, how large and how many its samples are, and from which seed."""

import operator
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..errors import UserError, did_you_mean
from ..family import Frozen, OneOf
from ..pairs.recipe import RealPairs
from . import PRESETS
from .base import Recipe

GROUPS, PAIRS = "group-store", "pair-store"
_LEAST_LR_PX = 16  # less cannot be measured
_MANY = 10_000  # samples: what a first training meets some hundred times


class StoreConfig(Frozen):
    """A store of samples: what they are drawn from, how many, and from which seed."""

    recipe: Annotated[Recipe, OneOf(Recipe)]
    """What samples are drawn from."""
    hr_size_px: Annotated[int, Field(ge=16, le=16384)]
    """Side of the square HR crops; a multiple of the scale."""
    num_samples: Annotated[int, Field(ge=1)] = 1000
    """Groups or pairs."""
    grown_from: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(exclude_if=operator.not_)] = ()
    """How many samples the store had before it was made larger, each time: those stay as they are, and what comes is
    shared out among the sources by itself.
    """
    seed: Annotated[int, Field(ge=0)] = 0
    """Of every random draw."""
    weigh: Literal["image", "area"] = "image"
    """A source serves as many samples as any other (`image`), or by its area, as where large images are cut into pieces
    first.
    """
    source_scales: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (1,)
    """Crops are cut as if of the source at one of these sizes (1 is as it is), drawn among those at which it still
    holds a crop; Real-ESRGAN's DF2K is at 1, 0.75, 0.5 and 1/3.
    """
    pad_small: bool = False
    """Sources smaller than a crop are continued by reflection to the right and below, as BasicSR does, instead of left
    out.
    """
    shard_mib: Annotated[float, Field(gt=0, le=65536)] = 32
    """Size of a shard's HR block, MiB; the samples in it are a power of two."""

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

    @model_validator(mode="after")
    def _has_grown(self) -> Self:
        sizes = [*self.grown_from, self.num_samples]
        if any(a >= b for a, b in pairwise(sizes)):
            raise ValueError(f"grown_from = {list(self.grown_from)} does not rise to num_samples = {self.num_samples}")
        return self

    @model_validator(mode="after")
    def _of_photographs(self) -> Self:
        if isinstance(self.recipe, RealPairs) and (self.source_scales != (1,) or self.pad_small):
            raise ValueError("source_scales and pad_small are for degraded images, not for real pairs; leave them out")
        return self

    @property
    def parts(self) -> tuple[range, ...]:
        """The samples that came at one time, which are shared out among the sources by themselves."""
        sizes = [0, *self.grown_from, self.num_samples]
        return tuple(range(a, b) for a, b in pairwise(sizes))

    @property
    def lr_size_px(self) -> int:
        return self.hr_size_px // self.recipe.scale

    @property
    def crop_size_px(self) -> int:
        """Side of what is cut from the source; larger than the HR where the recipe cleans up by shrinking."""
        return self.hr_size_px * self.recipe.crop_per_hr

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the LR images of a sample, in the order in which they are stored."""
        return self.recipe.members

    @property
    def kind(self) -> str:
        """Of the store that holds these samples."""
        return GROUPS if len(self.recipe.members) > 1 else PAIRS


def store_preset(name: str) -> StoreConfig:
    """A store of a preset, of 10,000 samples.

    Raises:
        UserError: there is no such preset.
    """
    if name not in PRESETS:
        raise UserError(f"preset {name} is unknown; {did_you_mean(name, [*PRESETS])}")
    preset = PRESETS[name]
    return StoreConfig(recipe=preset.recipe, hr_size_px=preset.hr_size_px, num_samples=_MANY)
