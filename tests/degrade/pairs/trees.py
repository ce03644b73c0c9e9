"""Folders of pairs as the authors of data sets lay them out, with small images of ours."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rwsr.degrade.images.pixels import U8
from rwsr.degrade.seeds import stream

HR_PX = (96, 128)


def photograph(seed: int, height: int = HR_PX[0], width: int = HR_PX[1]) -> U8:
    """Texture of many sizes everywhere, [height, width, 3]."""
    rng = stream(seed, "photograph")
    image = np.zeros((height, width, 3), dtype=np.float32)
    for cell in (2, 4, 8, 16):
        small = rng.normal(0, 1, (-(-height // cell), -(-width // cell), 3)).astype(np.float32)
        image += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) * cell**0.5
    image -= image.min()
    return (image * (255 / image.max())).astype(np.uint8)


def smaller(hr: U8, scale: int) -> U8:
    size = (hr.shape[1] // scale, hr.shape[0] // scale)
    return np.asarray(cv2.resize(hr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def save(path: Path, pixels: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def _pairs(root: Path, hr: str, lr: str, scale: int, count: int = 2, first: int = 1) -> None:
    """HR and LR by the patterns of their names, {} the number."""
    for i in range(first, first + count):
        image = photograph(i)
        save(root / hr.format(i), image)
        save(root / lr.format(i), smaller(image, scale) if scale > 1 else cv2.GaussianBlur(image, (0, 0), 1))


def _realsr_v3(root: Path) -> None:
    for camera in ("Canon", "Nikon"):
        for split, first in (("Train", 1), ("Test", 40)):
            for scale in (2, 3, 4):
                folder = f"RealSR(V3)/{camera}/{split}/{scale}"
                name = f"{folder}/{camera}_{{:03}}"
                _pairs(root, f"{name}_HR.png", f"{name}_LR{scale}.png", scale, 1, first + 3 * (camera == "Nikon"))


def _realsr_v1(root: Path) -> None:
    for camera in ("Canon", "Nikon"):
        for split in ("Train", "Test"):
            name = f"RealSR (ICCV2019)/{camera}/{split}/4/{camera}_{{:03}}"
            _pairs(root, f"{name}_HR.png", f"{name}_LR4.png", 1, 1, 1 + 2 * (camera == "Nikon"))


def _drealsr(root: Path) -> None:
    for split in ("Train", "Test"):
        low = split.lower()
        _pairs(root, f"{split}_x4/{low}_HR/DSC_{{:04}}_x1.png", f"{split}_x4/{low}_LR/DSC_{{:04}}_x4.png", 4)


def _dped(root: Path) -> None:
    for folder in ("training_data", "test_data/patches"):
        _pairs(root, f"dped/iphone/{folder}/canon/{{}}.jpg", f"dped/iphone/{folder}/iphone/{{}}.jpg", 1)


def _city100(root: Path) -> None:
    _pairs(root, "City100_iPhoneX/{:03}H.PNG", "City100_iPhoneX/{:03}L.PNG", 1)


def _ntire(root: Path) -> None:
    _pairs(root, "track1-valid-gt/{:04}.png", "track1-valid-input/{:04}.png", 4, first=801)


def _aim(root: Path) -> None:
    _pairs(root, "valid-gt-clean/{:04}.png", "valid-input-noisy/{:04}.png", 4, first=801)


def _div2k(root: Path) -> None:
    _pairs(root, "DIV2K_train_HR/{:04}.png", "DIV2K_train_LR_bicubic/X4/{:04}x4.png", 4)
    _pairs(root, "DIV2K_valid_HR/{:04}.png", "DIV2K_valid_LR_bicubic/X4/{:04}x4.png", 4, first=801)


def _flickr2k(root: Path) -> None:
    _pairs(root, "Flickr2K/Flickr2K_HR/{:06}.png", "Flickr2K/Flickr2K_LR_bicubic/X4/{:06}x4.png", 4)


def _folders(root: Path) -> None:
    _pairs(root, "hr/{:06}.png", "lr/{:06}.png", 2)


TREES: dict[str, tuple[Callable[[Path], None], int, int, tuple[str, ...]]] = {
    # how it is made, its scale, how many pairs there are to train on, more options
    "realsr-v3": (_realsr_v3, 4, 2, ("--scale", "4")),
    "realsr-v1": (_realsr_v1, 1, 2, ()),
    "drealsr": (_drealsr, 4, 2, ()),
    "dped": (_dped, 1, 2, ()),
    "city100": (_city100, 1, 2, ()),
    "ntire2020": (_ntire, 4, 2, ("--split", "test")),
    "aim2019": (_aim, 4, 2, ("--split", "test")),
    "div2k": (_div2k, 4, 2, ()),
    "flickr2k": (_flickr2k, 4, 2, ()),
    "folders": (_folders, 2, 2, ()),
}
