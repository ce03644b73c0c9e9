"""The zero-shot methods with their published numbers, and small ones; each is written as a run without weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...degrade.config import compose
from ..runs.model_file import write_run
from .kernelgan import KernelGanConfig
from .zssr import ZssrConfig

_SMALL: dict[str, Any] = {"num_feat": 32, "steps": 600, "crop_px": 64}
_WITH_KERNEL: dict[str, Any] = {"augment": False, "ensemble": False, "back_projections": 2}
_SMALL_KERNELGAN = KernelGanConfig(num_feat=32, steps=1200)

PRESETS: dict[str, ZssrConfig] = {
    "zssr": ZssrConfig(),
    "zssr-real": ZssrConfig(noise_255=3.2, augment=False, ensemble=False, back_projections=0),
    "kernelgan-zssr": ZssrConfig(kernel="kernelgan", **_WITH_KERNEL),
    "zssr-small": ZssrConfig(**_SMALL),
    "kernelgan-zssr-small": ZssrConfig(kernel="kernelgan", kernelgan=_SMALL_KERNELGAN, **(_SMALL | _WITH_KERNEL)),
}


def zero_shot(preset: str, out: Path, *, scale: int, sets: Sequence[str] = ()) -> Path:
    """Write a run that learns of each image when it restores it; gives its file.

    Raises:
        UserError: a key is wrong, or `out` holds something.
    """
    config = compose(PRESETS[preset], sets=[f"scale={scale}", *sets])
    about = {"method": "zssr", "network": config.model_dump(mode="json")}
    return write_run(out, config.build().state_dict(), about)
