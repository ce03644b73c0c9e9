"""Two looks into HR-aware's training: does FAR tell degraded images from clean ones, and does the reconstruction of LR
reward a degraded HR (HR-aware figures 8 and 7)? The networks come as callables.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..degrade.image import U8
from .images import ImageSet, opened
from .metrics import Metric
from .report import MetricRow, setting_of
from .restore import bicubic
from .tensors import to_tensor

FAR, RECONSTRUCTION = "far-histogram", "lr-reconstruction"
CLEAN = "clean"


def far(
    images: ImageSet,
    degradations: Mapping[str, Callable[[U8, int], U8]],
    value_of: Callable[[Tensor], Tensor],
    name: str,
    checkpoint: str,
    device: torch.device,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """FAR of each HR image as it is and under each degradation (figure 8); (images done, rows) as they come.

    degradations: by name, HR [h, w, 3] and the image's number -> degraded. value_of: [B, 3, H, W] in 0..1 -> [B].
    """
    for count, items in opened(images):
        rows: list[MetricRow] = []
        for item in items:
            clean = item.lr if item.hr is None else item.hr
            versions = {CLEAN: clean} | {kind: make(clean, item.sample) for kind, make in degradations.items()}
            for kind, pixels in versions.items():
                with torch.inference_mode():
                    value = value_of(to_tensor(pixels)[None].to(device)).item()
                rows.append(
                    MetricRow(
                        protocol=FAR,
                        model=name,
                        checkpoint=checkpoint,
                        setting="{}",
                        **images.names(item),
                        member=kind,
                        metric="far",
                        value=value,
                        better="lower",
                        space="RGB, 0..1",
                        border=0,
                        version="HR-aware figure 8",
                    )
                )
        yield count, rows


def area_under_curve(clean: Sequence[float], degraded: Sequence[float]) -> float:
    """The chance that a degraded image has the greater value, ties counted half: 1 parts them, 0.5 knows nothing."""
    a, b = np.asarray(clean)[:, None], np.asarray(degraded)[None]
    return float(((b > a) + 0.5 * (b == a)).mean())


def reconstruction(
    images: ImageSet,
    reconstruct: Callable[[Tensor, Tensor], Tensor],
    name: str,
    checkpoint: str,
    metrics: Sequence[Metric],
    device: torch.device,
    *,
    steps: int = 11,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """How well LR X is reconstructed from Y_i = i f(X) + (1 - i) HR, f bicubic (equation 12, figure 7).

    reconstruct: LR [B, 3, h, w], Y [B, 3, H, W] -> LR again. Without the controller the fit gets better with i.
    """
    ratios = [round(float(ratio), 4) for ratio in np.linspace(0, 1, steps)]
    for count, items in opened(images):
        rows: list[MetricRow] = []
        for item in items:
            assert item.hr is not None
            lr, hr = to_tensor(item.lr)[None].to(device), to_tensor(item.hr)[None].to(device)
            for ratio in ratios:
                with torch.inference_mode():
                    found = reconstruct(lr, ratio * bicubic(lr, images.scale) + (1 - ratio) * hr)
                rows += [
                    MetricRow(
                        protocol=RECONSTRUCTION,
                        model=name,
                        checkpoint=checkpoint,
                        setting=setting_of({"i": ratio}),
                        **images.names(item),
                        member=item.member,
                        metric=metric.name,
                        value=metric.measure(found, lr).item(),
                        better=metric.better,
                        space=metric.space,
                        border=metric.border,
                        version=metric.version,
                    )
                    for metric in metrics
                ]
        yield count, rows
