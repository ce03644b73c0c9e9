"""What a network is to the rest that is trained on each image anew: it learns of a whole image, then restores it."""

import hashlib
from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from ...eval.images.files import Pixels
from ...eval.images.restoring import Model


class ZeroShot(nn.Module):
    """LR [B, 3, h, w] in [0, 1] -> SR [B, 3, scale*h, scale*w]. It has no weights of its own."""

    scale: int

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("nothing", torch.zeros(1))  # a file of weights holds something

    @abstractmethod
    def learn(self, lr: Tensor) -> Model:
        """What restores an image [1, 3, h, w], or parts of it, once it has learned of all of it.

        Raises:
            ImageError: it is too small to be learned from.
        """

    def learned(self, lr: Tensor) -> Model:
        """The same, wherever it is asked for: where no gradients are kept, and under autocast."""
        with torch.enable_grad(), torch.autocast(lr.device.type, enabled=False):
            return self.learn(lr.detach().float())

    def learned_of(self, pixels: Pixels) -> Model:
        """The same of an image [h, w, 3] of 8 or 16 bits."""
        top = np.float32(np.iinfo(pixels.dtype).max)
        image = torch.from_numpy(pixels / top).movedim(-1, 0)[None]
        return self.learned(image.to(self.get_buffer("nothing").device))

    def forward(self, lr: Tensor) -> Tensor:
        return torch.cat([self.learned(image[None])(image[None]) for image in lr])


def stream_of(seed: int, image: Tensor) -> np.random.Generator:
    """The generator of what is drawn for an image [1, 3, h, w] in [0, 1]: the same for the same image."""
    levels = (image * 255).round().to(torch.uint8).cpu().numpy()
    key = np.frombuffer(hashlib.sha256(levels.tobytes()).digest()[:16], dtype=np.uint32)
    return np.random.default_rng([seed, *key])


def turned(image: Tensor, way: int) -> Tensor:
    """[B, C, H, W] turned by right angles and mirrored, in one of eight ways; 0 is as it is."""
    image = torch.rot90(image, way, (-2, -1))
    return image.flip(-1) if way >= 4 else image


def turned_back(image: Tensor, way: int) -> Tensor:
    """What `turned` made, as it was."""
    return torch.rot90(image.flip(-1) if way >= 4 else image, -way, (-2, -1))
