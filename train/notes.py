"""What a person may have forgotten in naming the data of a training."""

from .data.mixed import MixedGroups
from .data.of_training import Data
from .data.on_the_fly import LiveGroups
from .engine.distributed import local_device
from .methods.base import C, Method
from .on_device.samples import steps_of_host

_MANY = 100  # times that a sample is met


def notes_on(method: Method[C], config: C, data: Data) -> list[str]:
    """What a person may have forgotten in naming this data."""
    notes: list[str] = []
    groups = data.groups
    shares = zip(groups.parts, groups.shares, strict=True) if isinstance(groups, MixedGroups) else [(groups, 1.0)]
    for part, share in shares:
        if part.in_use is None:
            continue
        name, count, seen = part.name, len(part.in_use), round(share * config.loop.steps * config.loop.batch_size)
        times = f"each of the {count} samples of {name} is met {seen / max(1, count):,.1f} times"
        if seen < count:
            times = f"{seen} of the {count} samples of {name} are met"
        fresh = "; --source renders fresh ones in every step" if seen > _MANY * count else ""
        notes.append(f"note: {times}{fresh}")
    if isinstance(groups, LiveGroups) and groups.on_device:
        notes += _of_rendering(groups)
    return notes + method.notes(config, data)


def _of_rendering(groups: LiveGroups) -> list[str]:
    """What a person may not expect of --on-device."""
    if local_device().type == "cpu":
        return ["note: the device that trains is the CPU, which renders faster without --on-device"]
    by_host = steps_of_host(groups.config)
    each = "are rendered by the CPU, an image at a time, while the GPU waits"
    return [f"note: {', '.join(by_host)} {each}; without --on-device loop.num_workers share it"] if by_host else []
