"""What the members of a group are in fact: how blurred, how noisy, and whether their order is what their levels mean.

MM-RealSR's ranking loss is trained on the order of levels; a stronger JPEG, say, can take out the very noise that
should make a member the noisier one. So each group is measured when it is rendered, against its *noiseless
twins*: the same steps without noises and codecs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import pyarrow as pa

from ..images.pixels import F32, U8, luma_of, to_float
from ..ops.step import Degradation
from ..recipes.mm_realsr import Role

MEASURE_TYPE = pa.struct([("detail", pa.float64()), ("noise", pa.float64())])
_TELLING = 0.01  # gray levels: less is rounding, a flat image has no order
EDGE_PX = 2  # borders are reflected: their second differences are not the image's


@dataclass(frozen=True)
class Measure:
    """detail: root mean square of the noiseless twin's Laplacian, in gray levels of 255: less is more blurred.

    noise: root mean square of what differs from the noiseless twin, in gray levels of 255.
    """

    detail: float
    noise: float


def twin(degradation: Degradation) -> Degradation:
    """The steps without those that add noise or compress: the noise-free reference."""
    return tuple(step for step in degradation if not step.is_noise)


def measure(rendered: U8, noiseless: F32) -> Measure:
    """Of a member [h, w, 3] uint8 and its noiseless twin [h, w, 3] float32."""
    gray = luma_of(noiseless)
    curvature = cv2.Laplacian(gray, cv2.CV_32F, borderType=cv2.BORDER_REFLECT_101)
    inside = curvature[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]
    return Measure(
        detail=255 * cv2.norm(inside) / inside.size**0.5,
        noise=255 * cv2.norm(to_float(rendered), noiseless) / noiseless.size**0.5,
    )


def disorders(of: Mapping[Role, Measure]) -> Sequence[str]:
    """Which of the four statements do not hold: "blur", "noise", "worst-blur", "worst-noise"; of some members, which of
    those that speak of them.
    """
    base, worst = of.get(Role.BASE), of.get(Role.WORST)
    blurrier, noisier = of.get(Role.BLURRIER), of.get(Role.NOISIER)
    degraded = [each for each in (base, blurrier, noisier) if each is not None]
    holds = {
        "blur": not base or not blurrier or blurrier.detail < base.detail - _TELLING,
        "noise": not base or not noisier or noisier.noise > base.noise + _TELLING,
        "worst-blur": not worst or all(worst.detail <= each.detail + _TELLING for each in degraded),
        "worst-noise": not worst or all(worst.noise >= each.noise - _TELLING for each in degraded),
    }
    return [name for name, true in holds.items() if not true]
