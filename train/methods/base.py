"""What a method of training is to the rest: a config, its presets, and how the engine's networks and losses come of it.

A method is one value in one file, METHOD; `methods/__init__.py` lists ours, and `train_run` takes any.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from torch import Tensor, nn

from ...degrade.errors import UserError
from ...degrade.family import Frozen
from ...degrade.recipes.base import Recipe
from ..data.batches import GroupBatch, GroupSource, check_scale
from ..data.of_training import Data
from ..engine.loop import built
from ..engine.training import LoopConfig, Training
from ..networks.base import NetworkConfig
from ..runs.model_file import start_with


class TrainingConfig(Frozen):
    """What the config of every training has."""

    method: str
    """Whose it is."""
    needs_start: bool = False
    """It goes on from the weights of an earlier run, and is refused without."""
    loop: LoopConfig = LoopConfig()
    """How it runs."""

    @property
    def photographs_for(self) -> str:
        """What it needs photographs of a camera for, of which nobody has HR; "" where it learns of none."""
        return ""


C = TypeVar("C", bound=TrainingConfig)
Input = Literal[
    "bank", "far_model", "photographs", "downscaling", "extractor"
]  # what a training may be given beside groups and weights to start from


@dataclass(frozen=True)
class Given:
    """What a training is made of beside its config.

    groups: to train on. start: weights of an earlier run, or of a file; partly: those of them that fit are enough.
    judge: weights of a discriminator. far_model: the SR model that FAR looks through. downscaling: the run of a learned
    downscaling, whose discriminator says how near LR is to photographs. extractor: weights of an SRResNet whose trunk
    LWay looks through.
    """

    groups: GroupSource
    start: Mapping[str, Tensor] | None = None
    far_model: Path | None = None
    partly: bool = False
    judge: Mapping[str, Tensor] | None = None
    downscaling: Path | None = None
    extractor: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Preset(Generic[C]):
    """A config with the numbers of a paper or code. about: in a sentence.

    data: the preset of `rwsr degrade` that is rendered where folders are named instead of a store; none: it has to be
    said, as of a training on one degradation.
    """

    config: C
    about: str
    data: str | None = None


_FAST: Mapping[str, Any] = {"precision": "bf16", "channels_last": True}


def with_fp32(published: Mapping[str, Preset[C]], small: Mapping[str, Preset[C]] | None = None) -> dict[str, Preset[C]]:
    """The presets of papers and codes as a GPU is fast at them, in bf16 and channels-last; those for a CPU; and each of
    the first as it is published, as NAME-fp32.

    Sums, losses, weights and averages are fp32 in both, and so are a UDEM, spectral norms and FAR.
    """
    fast = {name: replace(preset, config=_with_loop(preset.config, _FAST)) for name, preset in published.items()}
    slow = {f"{name}-fp32": replace(preset, about=f"{name} in fp32.") for name, preset in published.items()}
    return {**fast, **(small or {}), **slow}


def _with_loop(config: C, changes: Mapping[str, Any]) -> C:
    return config.model_copy(update={"loop": config.loop.model_copy(update=changes)})


def _nothing_to_note(config: Any, data: Data) -> list[str]:
    return []


@dataclass(frozen=True)
class Method(Generic[C]):
    """A way to train a network on groups or pairs.

    name: as in its configs. config: their class. presets: by name, the first is the default. build: networks and losses
    for what is given; raises UserError where it does not fit. why_not: (config, recipe, to learn from it or to be
    measured on it) -> what does not fit, or None; asked before anything is built. inputs: what it takes beside.
    restores: whether what it trains restores images, so that it can be measured on some meanwhile. notes: what a person
    may have forgotten in naming the data.
    """

    name: str
    config: type[C]
    presets: Mapping[str, Preset[C]]
    build: Callable[[C, Given], Training[GroupBatch]]
    why_not: Callable[[C, Recipe, bool], str | None]
    inputs: Sequence[Input] = ()
    restores: bool = True
    notes: Callable[[C, Data], list[str]] = field(default=_nothing_to_note)


def check_start(config: TrainingConfig, named: bool) -> None:
    """Raises UserError where a training that needs an earlier run's weights would start from random ones."""
    if config.needs_start and not named:
        raise UserError("this training goes on from a run of the stage before; name it with --start-from")


def network_of_pairs(config: Any, given: Given, learns: str) -> nn.Module:
    """The network of a training on pairs, from seeded weights or those of an earlier run. learns: what of pairs, for a
    message.

    Raises:
        UserError: what is given holds groups, or is of another scale, or the earlier weights are another network's.
    """
    check_scale(given.groups, config.network.scale)
    if given.groups.members != 1:
        raise UserError(f"{given.groups.name} holds groups; {learns}")
    check_start(config, given.start is not None)
    net = built(config.network.build, config.loop.seed)
    if given.start is not None:
        start_with(net, given.start, partly=given.partly)
    return net


def why_no_pairs(config: Any, recipe: Recipe, to_learn: bool) -> str | None:  # noqa: FBT001 - as `Method.why_not`
    """What does not fit where a training is on pairs of the network's scale."""
    ordered = to_learn and is_group(recipe)
    return other_scale(config.network.scale, recipe) or ("learns from pairs" if ordered else None)


def check_photographs(config: TrainingConfig, named: bool) -> None:
    """Raises UserError where a training lacks photographs, or is given some that it learns nothing of."""
    if config.photographs_for and not named:
        raise UserError(f"this training takes photographs, {config.photographs_for}; name their folder: --photographs")
    if named and not config.photographs_for:
        raise UserError("this training learns of no photographs without HR; leave out --photographs")


def check_measured(method: Method[Any], named: bool) -> None:
    """Raises UserError where held-out images are named for a training whose network restores nothing."""
    if named and not method.restores:
        raise UserError("this training makes no model that restores, so there is nothing to measure; drop --val-hr")


def check_untold(network: NetworkConfig) -> None:
    """Raises ValueError where a network is told how images are degraded, or does not learn from pairs."""
    if network.num_conditions or not network.of_pairs:
        raise ValueError(
            f"network.arch = {network.arch} is told what images are, or learns of each; it has a command of its own, "
            "see `rwsr train --help`"
        )


def other_scale(wanted: int, recipe: Recipe) -> str | None:
    """What does not fit where a network is for another scale than what pairs are drawn from."""
    return None if recipe.scale == wanted else f"is for scale {wanted}, not {recipe.scale}"


def is_group(recipe: Recipe) -> bool:
    """Whether it makes groups of several LR, rather than pairs."""
    return len(recipe.members) > 1
