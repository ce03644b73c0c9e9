"""The LR reconstruction network of HR-aware and LWay: X of LR again, from an HR image Y and what E_deg knows of X.

Resolution (the papers leave it open): the image encoder keeps Y's size, and so does the reconstructor. So
that the two meet, X is LR enlarged bicubically to the size of HR, as LWay's authors say; HQI looks at the same. With
`resolution` = lr, X is LR as it is, and what is reconstructed is made smaller with antialiasing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ...degrade.errors import StoreError, UserError
from ...degrade.family import Frozen
from ...eval.images.restoring import bicubic, smaller
from ...eval.metrics.lpips_dists import Net
from ..files.open import open_restorer
from ..losses.far import Far, controller
from ..losses.far_encoders import Established, FarConfig, established
from ..runs.model_file import ModelFile, read_model
from ..runs.moments import model_file
from .base import PRETRAINED
from .keyed_noise import Normal
from .reconstructor import CODE_FEATS, FEATS, LEAST_PX, DegradationEncoder, ImageEncoder, Reconstructor

_Count = Annotated[int, Field(ge=1, le=4096)]


class ControllerConfig(Frozen):
    """The controller s = n + strength (Eq. 8)."""

    noise_std: Annotated[float, Field(ge=0)] = 1.0
    """Of n, which is drawn anew for every image and step; 1 as published is more than the strength itself."""
    hqi: Net = "alex"
    """The LPIPS that HQI is made of; which is not said."""


class ReconstructionConfig(Frozen):
    """Sizes of the network; the defaults are the paper's, and where it has none DegAE's."""

    scale: Literal[1, 2, 4] = 4
    """HR size / LR size."""
    num_feat: _Count = FEATS
    """Channels of features."""
    code: _Count = CODE_FEATS
    """Channels of a degradation's code."""
    degradation_blocks: _Count = 16
    """Residual blocks of E_deg."""
    frozen_extractor: bool = False
    """E_deg's blocks are those of an SRResNet that was trained on clean LR by an adversary, and stay as they are, as
    LWay's and DegAE's; it sees LR itself (resolution = lr).
    """
    image_blocks: Annotated[int, Field(ge=0, le=256)] = 6
    """Residual blocks of E_img; with 0 the reconstructor takes HR itself, as LWay's."""
    demodulate: bool = True
    """Whether modulated weights are normed again; without, the controller's strength counts for more."""
    style_bias: Literal[0, 1] = 0
    """What a style starts at without a code (StyleGAN2 has 1); with 1 the controller's strength counts for more."""
    skip: bool = False
    """Around the whole reconstructor, which so starts by giving HR itself: what a short training needs."""
    resolution: Literal["hr", "lr"] = "hr"
    """At whose size LR is reconstructed."""
    controller: ControllerConfig | None = ControllerConfig()
    """None leaves the code as it is."""
    far: FarConfig | None = FarConfig()
    """FAR; none leaves it out."""

    @model_validator(mode="after")
    def _far_has_features(self) -> Self:
        if self.far is not None and not self.image_blocks:
            raise ValueError("FAR looks at the image encoder, and image_blocks = 0 leaves none; set far=null, or more")
        if self.frozen_extractor and self.resolution != "lr":
            raise ValueError("frozen_extractor knows LR of its own size; set resolution=lr")
        return self

    def least_lr_px(self) -> int:
        """The least side of LR that the degradation encoder takes."""
        return LEAST_PX if self.resolution == "lr" else -(-LEAST_PX // self.scale)


class LrReconstruction(nn.Module):
    """E_deg, E_img, R and, where FAR is on, T_a and T_m.

    established: channels of FAR's established encoder; 0 is no FAR.
    """

    compiled_parts: ClassVar[tuple[str, ...]] = ("degradation", "image", "reconstructor")

    def __init__(self, config: ReconstructionConfig, established: int = 0) -> None:
        super().__init__()
        feats, code = config.num_feat, config.code
        self.config = config
        self.degradation = DegradationEncoder(feats, config.degradation_blocks, code)
        if config.frozen_extractor:
            self.degradation.body.requires_grad_(False)
        encoder = ImageEncoder(feats, config.image_blocks, carries=config.skip) if config.image_blocks else None
        self.image: nn.Module = encoder or nn.Identity()
        self.reconstructor = Reconstructor(
            feats,
            code,
            entering=feats if config.image_blocks else 3,
            demodulate=config.demodulate,
            style_bias=config.style_bias,
            skip=config.skip,
        )
        told = config.far
        self.far = (
            Far(feats, established, diagonal=told.diagonal, divisor=told.divisor) if told and established else None
        )

    def extract_with(self, weights: Mapping[str, Tensor]) -> None:
        """Give E_deg the trunk of an SRResNet; raises UserError where it is of another size."""
        trunk: dict[str, Tensor] = {}
        for name, value in weights.items():
            first, _, rest = name.partition(".")
            number, _, below = rest.partition(".")
            if first == "conv_first":
                trunk[f"0.{rest}"] = value
            elif first == "body":
                trunk[f"{int(number) + 1}.{below}"] = value
        wanted = {name: value.shape for name, value in self.degradation.body.state_dict().items()}
        if {name: value.shape for name, value in trunk.items()} != wanted:
            sizes = f"{self.config.degradation_blocks} blocks of {self.config.num_feat} features"
            raise UserError(
                f"--extractor is no SRResNet of {sizes}; name a run of `rwsr train sr --preset lway-extractor` (or "
                "-small), or its sizes with network.degradation_blocks and network.num_feat"
            )
        self.degradation.body.load_state_dict(trunk)

    def wanted(self, lr: Tensor) -> Tensor:
        """X: what is reconstructed of LR [B, 3, h, w], and what E_deg sees."""
        return lr if self.config.resolution == "lr" else self.enlarged(lr)

    def enlarged(self, lr: Tensor) -> Tensor:
        """f_up(LR), [B, 3, H, W]: what HQI compares HR with."""
        return bicubic(lr, self.config.scale) if self.config.scale > 1 else lr

    def features(self, hr: Tensor) -> Tensor:
        """e_im = E_img(Y)."""
        return self.image(hr)

    def reconstruct(self, x: Tensor, features: Tensor, strength: Tensor | None, normal: Normal) -> Tensor:
        """R(s . E_deg(X), e_im) (Eq. 4). strength [B]: what s is noise around; without it s is 1. normal: of all noise.

        Raises UserError where X is smaller than the degradation encoder takes.
        """
        code = self.degradation(x)
        if strength is not None:
            assert self.config.controller is not None
            code = code * controller(strength, self.config.code, self.config.controller.noise_std, normal)
        found = self.reconstructor(features, code, normal)
        return found if self.config.resolution == "hr" else smaller(found, self.config.scale)

    def forward(self, lr: Tensor, hr: Tensor, normal: Normal) -> Tensor:
        """X again, from LR and any HR, under the code as it is."""
        return self.reconstruct(self.wanted(lr), self.features(hr), None, normal)


def far_of(net: LrReconstruction, encoder: Established, image: Tensor) -> Tensor:
    """Phi_far of images [B, 3, H, W] (Eq. 9), [B]."""
    assert net.far is not None
    return net.far(net.features(image), encoder(image))


def encoder_for(
    path: Path, far: FarConfig, trained_with: str | None, far_model: Path | None, device: torch.device
) -> Established:
    """FAR's established encoder of a pretrained network, by what the network's file says of it.

    trained_with: the SHA-256 of the SR model that it looked through, if any.

    Raises:
        MissingWeights: its file is not there.
        UserError: far_model is missing, is another one, or is named where none is meant.
    """
    restorer = None if far_model is None else open_restorer(far_model, device)
    found = established(far, None if restorer is None else restorer.net)
    if restorer is not None and restorer.checkpoint != trained_with:
        raise UserError(f"{far_model} is not the model that FAR of {path} was trained with; name that one")
    return found.to(device)


def open_reconstruction(path: Path, device: torch.device) -> tuple[LrReconstruction, ModelFile]:
    """A pretrained reconstruction network, frozen, by the folder of its run or by its file, and what is in the file.

    Raises:
        StoreError: there is none, it is damaged, or it is of another method.
    """
    file = model_file(path)
    model = read_model(file)
    if model.config.get("method") != PRETRAINED:
        raise StoreError(
            f"{file} is of {model.config.get('method')}, not of a reconstruction; name a run of "
            "`rwsr train hr-aware-pretrain`"
        )
    carried = model.weights.get("far.mean.weight")  # is as wide as the established encoder
    try:
        net = LrReconstruction(
            ReconstructionConfig.model_validate(model.config["network"]), 0 if carried is None else len(carried)
        )
        net.load_state_dict(model.weights)
    except (ValueError, KeyError, RuntimeError) as error:
        raise StoreError(f"{file} does not hold a reconstruction network: {str(error).splitlines()[0]}") from None
    return net.to(device).eval().requires_grad_(False), model
