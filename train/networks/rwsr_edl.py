"""RWSR-EDL's network: RRDBs to an intermediate image, then two branches that a mask parts (Li et al. 2021)."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from .base import NetworkConfig
from .mm_realsr import MMRealSR, MMRealSRConfig
from .rrdb import scaled_kaiming

RESIDUAL_BLOCKS = 3  # of a branch: what the paper's parameter count and the code have
Branches = Literal["none", "single", "dual", "masked", "masked-features"]


class EdlNetworkConfig(NetworkConfig):
    """Sizes; the defaults are the paper's (16,729,694 parameters, Table VI)."""

    arch: Literal["rwsr-edl"] = "rwsr-edl"
    scale: Literal[1, 2, 4] = 4
    """How many times it enlarges."""
    upsampler: Literal["nearest", "none"] = "nearest"
    """none, at scale 1: the main generator without up- and downsampling layers, which the paper has for CameraSR."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels of the main generator."""
    num_block: Annotated[int, Field(ge=1, le=256)] = 23
    """Residual-in-residual dense blocks."""
    num_grow_ch: Annotated[int, Field(ge=1, le=4096)] = 32
    """Channels that each dense layer adds."""
    branches: Branches = "masked"
    """`masked` is the paper's network; `masked-features` the published code's, whose branches and mask have
    branch_feats channels instead of three (17,286,473 parameters). Of Table VII: `dual` has the two branches and no
    mask, `single` one branch. `none` is the main generator alone: ESRGAN's and Impressionism's.
    """
    branch_feats: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels of the branches."""
    init_as_nearest: bool = False
    """As of `MMRealSRConfig`."""

    @model_validator(mode="after")
    def _enlarges_by_something(self) -> Self:
        self.generator()
        return self

    def build(self) -> "Edl | MMRealSR":
        """Without branches the plain generator, under its published names."""
        return MMRealSR(self.generator()) if self.branches == "none" else Edl(self)

    def generator(self) -> MMRealSRConfig:
        """Of the main generator."""
        shared = self.model_dump(
            include={"scale", "upsampler", "num_feat", "num_block", "num_grow_ch", "init_as_nearest"}
        )
        return MMRealSRConfig(modulated=False, **shared)


@dataclass(frozen=True)
class Parts:
    """What the losses look at, images [B, 3, H, W]: the adversarial branch's, the pixel branch's, and the SR."""

    adversarial: Tensor
    pixel: Tensor
    sr: Tensor


class ImageBlock(nn.Module):
    """I + conv(ReLU(conv(I))) on an image, 3 -> feats -> 3 (Eq. 3)."""

    def __init__(self, feats: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, feats, 3, padding=1)
        self.conv2 = nn.Conv2d(feats, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.conv2(functional.relu(self.conv1(image)))


class FeatureBlock(nn.Module):
    """A 1x1 conv of x and two activated 3x3 convs of it, summed: the published code's."""

    def __init__(self, came: int, feats: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(came, feats, 3, padding=1)
        self.conv2 = nn.Conv2d(feats, feats, 3, padding=1)
        self.skip = nn.Conv2d(came, feats, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.leaky_relu(self.conv2(functional.leaky_relu(self.conv1(x), 0.2)), 0.2)
        return inner + self.skip(x)


def _branch(config: EdlNetworkConfig) -> nn.Sequential:
    feats = config.branch_feats
    if config.branches == "masked-features":
        return nn.Sequential(*(FeatureBlock(3 if not i else feats, feats) for i in range(RESIDUAL_BLOCKS)))
    return nn.Sequential(*(ImageBlock(feats) for _ in range(RESIDUAL_BLOCKS)))


class Edl(nn.Module):
    """LR [B, 3, h, w] in [0, 1] -> SR [B, 3, scale*h, scale*w].

    The mask is a softmax over channels (Eq. 4), so that it sums to 1 over them at every pixel, and M_beta = 1 - M_alpha
    (paper and code; a third of three channels on average: it parts colours rather than places). Branches of images
    start near the identity, from a tenth of Kaiming's weights; those of features have no identity to start near, and
    keep torch's own weights, as published. What the paper leaves open: `dual` without a mask is the mean of the two
    branches, since the sum of two images would be twice as bright.
    """

    def __init__(self, config: EdlNetworkConfig) -> None:
        super().__init__()
        self.scale: int = config.scale
        self.branches: Branches = config.branches
        self.generator = MMRealSR(config.generator())
        self.adversarial = _branch(config)
        if config.branches != "single":
            self.pixel = _branch(config)
        if config.branches in ("masked", "masked-features"):
            self.mask = _branch(config)
        if config.branches == "masked-features":
            self.adversarial_tail = nn.Conv2d(config.branch_feats, 3, 3, padding=1)
            self.pixel_tail = nn.Conv2d(config.branch_feats, 3, 3, padding=1)
        self.compiled_parts = tuple(name for name, _ in self.named_children())  # losses call `parts`
        if config.branches != "masked-features":
            for name, part in self.named_children():
                if name != "generator":
                    scaled_kaiming(part, 0.1)

    def masks(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """M_alpha and M_beta of the intermediate image [B, 3, H, W]; their sum is 1 (Eq. 4)."""
        alpha = self.mask(image).softmax(dim=1)
        return alpha, 1 - alpha

    def parts(self, lr: Tensor) -> Parts:
        """The SR and what it is made of."""
        image = self.generator(lr)
        adversarial = self.adversarial(image)
        if self.branches == "single":
            return Parts(adversarial, adversarial, adversarial)
        pixel = self.pixel(image)
        if self.branches == "dual":
            return Parts(adversarial, pixel, (adversarial + pixel) / 2)
        alpha, beta = self.masks(image)
        adversarial, pixel = alpha * adversarial, beta * pixel
        if self.branches == "masked-features":
            adversarial, pixel = self.adversarial_tail(adversarial), self.pixel_tail(pixel)
        return Parts(adversarial, pixel, adversarial + pixel)

    def forward(self, lr: Tensor) -> Tensor:
        return self.parts(lr).sr


def parts_of(net: Edl | MMRealSR, lr: Tensor) -> Parts:
    """What the losses look at; of the plain generator one image."""
    if isinstance(net, Edl):
        return net.parts(lr)
    sr = net(lr)
    return Parts(sr, sr, sr)
