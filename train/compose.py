"""The config of a training or fine-tuning: a preset by its name, changed by a file, by keys and by options."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..degrade.config import compose_values, composed_values, merged
from ..degrade.errors import UserError, did_you_mean
from .methods import METHODS
from .methods.base import Method, Preset, TrainingConfig
from .methods.hr_aware import FINE_TUNING, FineTuneConfig


def method_of(preset: str) -> Method[Any]:
    """The method that a preset is of; raises UserError where there is none."""
    for method in METHODS:
        if preset in method.presets:
            return method
    known = [name for method in METHODS for name in method.presets]
    raise UserError(f"preset {preset} is unknown; {did_you_mean(preset, known)}")


def _composed(found: Preset[Any], config: Path | None, sets: Sequence[str], steps: int | None, seed: int | None) -> Any:
    loop = {name: value for name, value in (("steps", steps), ("seed", seed)) if value is not None}
    values = composed_values(config, sets)
    return compose_values(found.config, merged(values, {"loop": loop} if loop else {}))


def compose_training(
    preset: str,
    *,
    config: Path | None = None,
    sets: Sequence[str] = (),
    steps: int | None = None,
    seed: int | None = None,
) -> TrainingConfig:
    """The training config of a preset, changed by a file, `--set`s and options; raises UserError."""
    return _composed(method_of(preset).presets[preset], config, sets, steps, seed)


def _fine_tuning(preset: str) -> Preset[FineTuneConfig]:
    if preset not in FINE_TUNING:
        raise UserError(f"preset {preset} is unknown; {did_you_mean(preset, [*FINE_TUNING])}")
    return FINE_TUNING[preset]


def compose_fine_tuning(
    preset: str,
    *,
    config: Path | None = None,
    sets: Sequence[str] = (),
    steps: int | None = None,
    seed: int | None = None,
) -> FineTuneConfig:
    """The config of a preset of fine-tuning, changed by a file, `--set`s and options; raises UserError."""
    return _composed(_fine_tuning(preset), config, sets, steps, seed)


def training_of(preset: str, values: Mapping[str, Any]) -> TrainingConfig:
    """The training config of a preset with some keys changed; raises UserError."""
    return compose_values(method_of(preset).presets[preset].config, values)


def fine_tuning_of(preset: str, values: Mapping[str, Any]) -> FineTuneConfig:
    """The config of a preset of fine-tuning with some keys changed; raises UserError."""
    return compose_values(_fine_tuning(preset).config, values)
