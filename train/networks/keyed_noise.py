"""Normal noise that networks draw, sample by sample: a function of the sample's key, wherever it is drawn."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...degrade.storage.provenance import sha256
from ...eval.images.kept import to_device


class Normal:
    """Draws for the samples of a batch, one after the other; each sample's are those of its key alone.

    So the parts of a batch, in several processes or one after another, get what the whole batch would.
    """

    def __init__(self, keys: Sequence[int] | Tensor) -> None:
        self._generators = [torch.Generator().manual_seed(int(key)) for key in keys]

    def __call__(self, *shape: int, like: Tensor) -> Tensor:
        """[B, *shape], of the type of another tensor and on its device; drawn on the CPU, so the same everywhere."""
        drawn = torch.stack([torch.randn(shape, generator=each) for each in self._generators])
        return to_device(drawn, like.device).to(like)


def of_name(name: str) -> Normal:
    """The draws for one image, by its name."""
    return Normal([int(sha256(name.encode())[:15], 16)])
