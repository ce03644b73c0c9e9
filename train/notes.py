"""What a person may have forgotten in naming the data of a training."""

from .methods import cugan, mm_realsr, rwsr_edl
from .train import Config, Data


def notes_on(config: Config, data: Data) -> list[str]:
    """What a person may have forgotten in naming this data."""
    name, notes = data.groups.name, list[str]()
    if data.groups.in_use is not None:
        count, seen = len(data.groups.in_use), config.loop.steps * config.loop.batch
        times = f"each of the {count} samples of {name} is met {seen / max(1, count):,.1f} times"
        if seen < count:
            times = f"{seen} of the {count} samples of {name} are met"
        fresh = "; --source renders fresh ones in every step" if seen > _MANY * count else ""
        notes.append(f"note: {times}{fresh}")
    if isinstance(config, rwsr_edl.EdlConfig) and data.recipe.get("strength") == 0 and data.noise is None:
        notes.append(f"note: the pairs of {name} have no noise, and no --bank is named: none is injected")
    notes += _notes_on_sharpening(config, data)
    told = not isinstance(config, cugan.CuganConfig) or config.network.conditioned
    if not told and data.recipe.get("fixed_level") is None:
        notes.append(
            f"note: the network is told nothing, and {name} has all degradations; the paper's Unet is trained on one "
            "(recipe.fixed_level=[2,30])"
        )
    return notes


def _notes_on_sharpening(config: Config, data: Data) -> list[str]:
    """Where LR and targets are not sharpened as the published training has them."""
    if not isinstance(config, mm_realsr.TrainConfig):
        return []
    name, sharp = data.groups.name, data.groups.sharpened
    if not config.losses.sharpen_target:
        mend = "set losses.sharpen_target=true, as published"
        return (
            [f"note: LR of {name} is made of sharpened HR, and the targets are not sharpened; {mend}"] if sharp else []
        )
    wanted = config.stage == 1 if config.network.modulated else True
    if sharp == wanted:
        return []
    preset = "real-esrgan" if not config.network.modulated else "mm-realsr-stage-1" if wanted else "mm-realsr"
    made, published = ("sharpened HR", "HR as it is") if sharp else ("HR as it is", "sharpened HR")
    return [
        f"note: LR of {name} is made of {made}; the published training has LR of {published} (rwsr degrade build "
        f"--preset {preset}; recipe.usm)"
    ]


_MANY = 100  # times that a sample is met
