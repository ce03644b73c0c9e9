"""The zero-shot methods with their published numbers, and small ones; each is written as a run without weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from ...degrade.config import compose, composed_values
from ...degrade.errors import UserError
from ...degrade.images.decode import decode, is_image
from ...degrade.images.pixels import U8, middle
from ...degrade.storage.location import sha256
from ...degrade.storage.provenance import sha256_of
from ...eval.images.restoring import pick_device
from ...eval.images.tensors import to_tensor
from ..files.open import open_restorer
from ..networks.baselines.corruption_classifier import open_classifier
from ..runs.model_file import weights_of, write_run, written_run
from ..runs.moments import model_file
from .kernelgan import KernelGanConfig
from .srtta import SrttaConfig
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


def kernelgan_of(*, small: bool, sets: Sequence[str] = ()) -> KernelGanConfig:
    """How kernels are estimated, with some keys changed; raises UserError."""
    return compose(_SMALL_KERNELGAN if small else KernelGanConfig(), sets=sets)


SRTTA: dict[str, dict[str, Any]] = {
    "srtta": {},
    "srtta-small": {"steps": 20, "batch_size": 12, "crop_px": 48, "learning_rate": 1e-4},
}


def srtta(
    preset: str, out: Path, *, model: Path, classifier: Path | None, clean: Sequence[Path], sets: Sequence[str] = ()
) -> Path:
    """Write a run that adapts a model to each image when it restores it; gives its file.

    classifier: a run that says what befell an image; without one the key `kinds` says it. clean: LR images of which is
    learned which numbers of the model stay.

    Raises:
        UserError: the model is of no network of ours, or has no body; there is no clean image; a key is wrong; or `out`
            holds something.
    """
    device = pick_device()
    restorer = open_restorer(model, device)
    if restorer.sizes is None:
        raise UserError(f"{model} is of a network of spandrel's; SRTTA adapts an EDSR or an ESRGAN")
    told = None if classifier is None else open_classifier(classifier, device)
    values = SRTTA[preset] | {
        "scale": restorer.scale,
        "inner": restorer.sizes.model_dump(mode="json"),
        "classifier": None if told is None else told.config.model_dump(mode="json"),
    }
    try:
        config = SrttaConfig.model_validate(values | composed_values(None, sets))
        net = config.build().to(device)
    except ValueError as error:
        raise UserError(_said(error)) from None
    images = _clean(clean) if config.kept_share else []
    inputs = {
        "model": restorer.checkpoint,
        "classifier": None if classifier is None else sha256(model_file(classifier)),
        "clean": sha256_of(str(each.tolist()) for each in images),
    }
    about = {"method": "srtta", "network": config.model_dump(mode="json"), "inputs": inputs}
    there = written_run(out, about)
    if there is not None:
        return there
    net.net.load_state_dict(restorer.net.state_dict())
    if net.classifier is not None and told is not None:
        net.classifier.load_state_dict(told.state_dict())
    net.eval().requires_grad_(False)  # noqa: FBT003
    if images:
        net.keep([image.to(device) for image in images])
    return write_run(out, weights_of(net), about)


def _said(error: ValueError) -> str:
    """The first thing that is wrong, behind its key."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    return (f"{key}: " if key else "") + first["msg"].removeprefix("Value error, ")


_LEAST_PX = 16  # of a clean image
_LOOKED_AT_PX = 128  # side of the middle of a clean image; of several that is plenty


def _clean(files: Sequence[Path]) -> list[Tensor]:
    """The middle of each image [1, 3, h, w]; raises UserError where there is none."""
    found = [path for each in files for path in (sorted(each.rglob("*")) if each.is_dir() else [each])]
    images = [path for path in found if path.is_file() and is_image(path.name)]
    if not images:
        raise UserError("name --clean, LR images that nothing befell (Set5's LR), or set kept_share=0")
    return [to_tensor(middle(_read(path), _LOOKED_AT_PX))[None] for path in images]


def _read(path: Path) -> U8:
    """The pixels of a file; raises UserError, which names it."""
    try:
        pixels = decode(path.read_bytes()).pixels
    except (UserError, OSError) as error:
        raise UserError(f"{path}: {error}; name others with --clean") from None
    if min(pixels.shape[:2]) < _LEAST_PX:
        raise UserError(f"{path}: has less than {_LEAST_PX} px on a side; name others with --clean")
    return pixels
