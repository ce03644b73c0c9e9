"""SRVGG "compact": a row of convs at LR size, and the enlarged image added (Real-ESRGAN's general and anime models).

Parameter names are the published ones: body.0 is a conv, body.1 its PReLU, and so on.
"""

import re
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional


class Compact(nn.Module):
    """LR [B, 3, h, w] -> SR [B, 3, s*h, s*w]; feats channels, convs layers between the first and the last."""

    def __init__(self, feats: int, convs: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for channels in (3, *([feats] * convs)):
            layers += [nn.Conv2d(channels, feats, 3, padding=1), nn.PReLU(feats)]
        self.body = nn.ModuleList([*layers, nn.Conv2d(feats, 3 * scale**2, 3, padding=1)])

    def forward(self, lr: Tensor) -> Tensor:
        x = lr
        for layer in self.body:
            x = layer(x)
        return functional.pixel_shuffle(x, self.scale) + functional.interpolate(lr, scale_factor=self.scale)

    @staticmethod
    def of_shapes(shapes: Mapping[str, tuple[int, ...]]) -> "Compact | None":
        """The network that a file's tensors are of; None where they are another's."""
        number = max(
            (int(name.split(".")[1]) for name in shapes if re.fullmatch(r"body\.\d+\.weight", name)), default=0
        )
        last = shapes.get(f"body.{number}.weight", ())
        if number < 4 or len(shapes) != 3 * (number // 2) + 2 or len(last) != 4:
            return None
        return Compact(last[1], number // 2 - 1, round((last[0] / 3) ** 0.5))
