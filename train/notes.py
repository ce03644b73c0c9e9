"""What a person may have forgotten in naming the data of a training."""

from .data.of_training import Data
from .methods.base import C, Method

_MANY = 100  # times that a sample is met


def notes_on(method: Method[C], config: C, data: Data) -> list[str]:
    """What a person may have forgotten in naming this data."""
    notes: list[str] = []
    if data.groups.in_use is not None:
        name, count, seen = data.groups.name, len(data.groups.in_use), config.loop.steps * config.loop.batch_size
        times = f"each of the {count} samples of {name} is met {seen / max(1, count):,.1f} times"
        if seen < count:
            times = f"{seen} of the {count} samples of {name} are met"
        fresh = "; --source renders fresh ones in every step" if seen > _MANY * count else ""
        notes.append(f"note: {times}{fresh}")
    return notes + method.notes(config, data)
