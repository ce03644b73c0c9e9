"""BasicSR's own training step and degradation as functions, out of a clone of it, for benchmarks to compare with.

Its package is not installed: what those two need of it is imported from the clone, all else of it and torchvision is a
stand-in.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

_SKIPPED = ("", "data", "models", "archs", "losses", "metrics", "ops", "ops.dcn")  # packages that import all there is
_GRAY = (0.2989, 0.587, 0.114)

# The x4plus training file of Real-ESRGAN.
_TRAINING = {
    "resize_prob": [0.2, 0.7, 0.1],
    "resize_range": [0.15, 1.5],
    "gaussian_noise_prob": 0.5,
    "noise_range": [1, 30],
    "poisson_scale_range": [0.05, 3],
    "gray_noise_prob": 0.4,
    "jpeg_range": [30, 95],
    "second_blur_prob": 0.8,
    "resize_prob2": [0.3, 0.4, 0.3],
    "resize_range2": [0.3, 1.2],
    "gaussian_noise_prob2": 0.5,
    "noise_range2": [1, 25],
    "poisson_scale_range2": [0.05, 2.5],
    "gray_noise_prob2": 0.4,
    "jpeg_range2": [30, 95],
    "scale": 4,
}


class _Anything(ModuleType):
    """A module that has every name."""

    def __init__(self, name: str, path: Path | None = None) -> None:
        super().__init__(name)
        self.__path__ = [] if path is None else [str(path)]

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _gray(image: Tensor, num_output_channels: int = 1) -> Tensor:
    weights = torch.tensor(_GRAY, device=image.device)[:, None, None]
    return (image * weights).sum(-3, keepdim=True).expand(*image.shape[:-3], num_output_channels, -1, -1)


def _module(clone: Path, name: str) -> Any:
    for part in _SKIPPED:
        full = f"basicsr.{part}".rstrip(".")
        sys.modules.setdefault(full, _Anything(full, clone.joinpath("basicsr", *filter(None, part.split(".")))))
    vision = [f"torchvision{part}" for part in ("", ".ops", ".utils", ".transforms", ".transforms.functional")]
    for full in ("basicsr.losses.loss_util", "basicsr.models.srgan_model", *vision):
        sys.modules[full] = _Anything(full)
    sys.modules["torchvision"].__version__ = "1.0"  # type: ignore[attr-defined]
    sys.modules[vision[-1]].rgb_to_grayscale = _gray  # type: ignore[attr-defined]
    return importlib.import_module(f"basicsr.{name}")


def degradation(clone: Path, count: int, hr_px: int, device: torch.device) -> Callable[[], Tensor]:
    """Its degradation of Real-ESRGAN, of a batch that is on the device but for the kernels: gives LR [N, 3, h, w]."""
    module = _module(clone, "models.realesrgan_model")
    plain = module.filter2D
    module.filter2D = lambda image, kernel: plain(image.contiguous(), kernel)  # it fails on torch of today without
    model = SimpleNamespace(
        device=device,
        opt=_TRAINING | {"gt_size": hr_px},
        is_train=True,
        usm_sharpener=module.USMSharp().to(device),
        jpeger=module.DiffJPEG(differentiable=False).to(device),
        _dequeue_and_enqueue=lambda: None,
    )
    kernels = {name: torch.rand(count, 21, 21) for name in ("kernel1", "kernel2", "sinc_kernel")}
    data = {name: kernel / kernel.sum(dim=(1, 2), keepdim=True) for name, kernel in kernels.items()}
    data["gt"] = torch.rand(count, 3, hr_px, hr_px)

    def run() -> Tensor:
        module.RealESRGANModel.feed_data(model, data)
        return model.lq

    return run


def step(clone: Path, lr: Tensor, hr: Tensor, **sizes: int) -> Callable[[], None]:
    """A step of its RRDBNet by L1 and Adam in fp32, as it runs where nothing is set."""
    net = _module(clone, "archs.rrdbnet_arch").RRDBNet(num_in_ch=3, num_out_ch=3, scale=4, **sizes).to(lr.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.9, 0.99))

    def run() -> None:
        optimizer.zero_grad()
        torch.nn.functional.l1_loss(net(lr), hr).backward()
        optimizer.step()

    return run
