"""ZSSR and KernelGAN on photographs that a slanted Gaussian made small: the kernel, and what is gained by it.

    python benchmarks/papers/zero_shot.py PHOTOGRAPHS [--images N] [--side PX]

Of each photograph the middle, made half as large by a Gaussian of 2.2 and 1.0 px; then KernelGAN's estimate against
MATLAB's cubic, and ZSSR by the cubic, by the estimate and by the true kernel against bicubic enlarging, all by small
presets. On one core a minute and a half a photograph; exits 1 when a promise is not kept.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import middle
from rwsr.eval.images.tensors import to_tensor
from rwsr.train.zero_shot.kernelgan import estimated, kernel_error
from rwsr.train.zero_shot.presets import PRESETS
from rwsr.train.zero_shot.resampling import by_kernel, centred, resized

CUBIC = np.outer(*[np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256] * 2)


def gaussian(sigma_x: float, sigma_y: float, angle: float, side: int = 21) -> np.ndarray:
    """Of widths along two axes that are turned."""
    at = np.arange(side) - side // 2
    x, y = np.meshgrid(at, at)
    u, v = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    found = np.exp(-0.5 * (u**2 / sigma_x**2 + v**2 / sigma_y**2))
    return found / found.sum()


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """In dB, without a border of 4 px."""
    return -10 * float(np.log10(((a - b)[..., 4:-4, 4:-4] ** 2).mean().item()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--side", type=int, default=320)
    told = parser.parse_args()
    true = gaussian(2.2, 1.0, 0.6)
    kernel = torch.from_numpy(centred(true, 2)).float()
    small, with_kernel = PRESETS["zssr-small"], PRESETS["kernelgan-zssr-small"]
    errors: list[tuple[float, float]] = []
    gains: dict[str, list[float]] = {}
    for path in sorted(each for each in told.photographs.iterdir() if each.is_file())[: told.images]:
        hr = to_tensor(middle(decode(path.read_bytes()).pixels, told.side))[None]
        lr = (by_kernel(hr, kernel, 2).clamp(0, 1) * 255).round() / 255
        errors.append(tuple(kernel_error(k, true) for k in (estimated(with_kernel.kernelgan, lr), CUBIC)))  # type: ignore[arg-type]
        bicubic = psnr(resized(lr, *hr.shape[-2:]).clamp(0, 1), hr)
        ways = {
            "ZSSR": small,
            "KernelGAN + ZSSR": with_kernel,
            "ZSSR with the true kernel": with_kernel.model_copy(update={"kernel": tuple(map(tuple, true.tolist()))}),
        }
        for name, config in ways.items():
            gains.setdefault(name, []).append(psnr(config.build()(lr), hr) - bicubic)
        found = ", ".join(f"{name} {values[-1]:+.2f} dB" for name, values in gains.items())
        kernels = f"kernel's error {errors[-1][0]:.3f}, cubic's {errors[-1][1]:.3f}"
        print(f"{path.name}: {kernels}; bicubic {bicubic:.2f} dB, {found}", flush=True)
    ours, theirs = np.mean(errors, axis=0)
    kept = promise(f"error of the kernel, of its energy: {ours:.3f}, the cubic's {theirs:.3f}", bool(ours < theirs / 2))
    for name, values in gains.items():
        kept &= promise(f"{name}: {np.mean(values):+.2f} dB over bicubic", bool(np.mean(values) > 0))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
