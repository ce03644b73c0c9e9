"""MM-RealSR's network: a generator steered by degradation scores (Mou et al. 2022); without them, ESRGAN's."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ...eval.images.restoring import Model
from ...eval.images.tiling import TILE_PX, Pixels, is_large
from .base import NetworkConfig, Shapes
from .rrdb import RRDB, scaled_kaiming
from .udem import Udem, UdemConfig

MEMBERS = 5
BASE, BLURRIER, NOISIER, CLEAN, WORST = range(MEMBERS)  # of a group, in the store's order
_LARGEST_SCALE = 4
_SCALES: dict[int, Literal[1, 2, 4]] = {3: 4, 12: 2, 48: 1}  # by the channels of the first conv
BLUR, NOISE = range(2)  # scores
_SCORED_PX = 2 * TILE_PX  # of what is looked at at once where scores alone are wanted


_OLD_NAMES = (  # of ESRGAN's first releases, model.0 and RRDB_trunk, and now
    (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
    (r"model\.1\.sub\.\d+\.(weight|bias)", r"conv_body.\1"),
    (r"RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
    *(
        (rf"(?:{old})\.(weight|bias)", rf"{new}.\1")
        for old, new in (
            (r"model\.0", "conv_first"),
            (r"trunk_conv", "conv_body"),
            (r"model\.3|upconv1", "conv_up1"),
            (r"model\.6|upconv2", "conv_up2"),
            (r"model\.8|HRconv", "conv_hr"),
            (r"model\.10", "conv_last"),
        )
    ),
)


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES:
        renamed, count = re.subn(rf"^{old}", new, name)
        if count:
            return renamed
    return name


class MMRealSRConfig(NetworkConfig):
    """Sizes of the generator and its UDEM; the defaults are the released model's (26,134,149 parameters)."""

    arch: Literal["mm-realsr"] = "mm-realsr"
    scale: Literal[1, 2, 4] = 4
    """1 and 2 fold the pixels of LR into channels first (pixel unshuffle), as Real-ESRGAN's x2 model does."""
    modulated: bool = True
    """Without it there is no UDEM and no condition network, and the rest is the generator of ESRGAN and Real-ESRGAN
    (16,697,987 parameters).
    """
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels of the generator."""
    num_block: Annotated[int, Field(ge=1, le=256)] = 23
    """Residual-in-residual dense blocks."""
    num_grow_ch: Annotated[int, Field(ge=1, le=4096)] = 32
    """Channels that each dense layer adds."""
    embed_feats: Annotated[int, Field(ge=1, le=4096)] = 512
    """Hidden width of what embeds the scores in the condition network."""
    modulator_feats: Annotated[int, Field(ge=1, le=4096)] = 320
    """Hidden width of what makes factors of them there."""
    condition: Literal["mlp", "linear"] = "mlp"
    """How scores become factors: three layers behind an embedding of all, as the code; or one layer of the scores for
    each block and alpha x + beta, as the paper (Eq. 9).
    """
    upsampler: Literal["nearest", "pixelshuffle", "none"] = "nearest"
    """nearest and conv twice, as the code; or conv and pixel shuffle twice, as the paper's text; or none, at scale 1
    alone, whose pixels are not folded then: RWSR-EDL's network for CameraSR, "without up- and downsampling layers".
    """
    init_as_nearest: bool = False
    """Start from weights that enlarge by nearest neighbour instead of from noise. A short training needs that: it would
    spend most of its steps on learning to copy colours.
    """
    udem: UdemConfig = UdemConfig()
    """Sizes of the UDEM."""

    @model_validator(mode="after")
    def _enlarges_by_something(self) -> Self:
        if self.upsampler == "none" and self.scale != 1:
            raise ValueError(f"upsampler = none enlarges nothing, and scale is {self.scale}; set scale=1")
        return self

    def build(self) -> "MMRealSR":
        return MMRealSR(self)

    @classmethod
    def renamed(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By the two older namings of ESRGAN's generator too."""
        return {_new_name(name): value for name, value in weights.items()}

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        """MM-RealSR's, or ESRGAN's in its new names.

        A UDEM of other than the published sizes cannot be told by its tensors, which do not show the strides.
        """
        blocks = len({name.split(".")[1] for name in shapes if name.startswith("body.") and ".rdb1." in name})
        scale = _SCALES.get(shapes.get("conv_first.weight", (0, 0))[1])
        if not blocks or scale is None or "conv_hr.weight" not in shapes:
            return None
        enlarging = shapes.get("conv_up2.weight")
        if enlarging is None:
            scale, upsampler = 1, "none"
        else:
            upsampler = "pixelshuffle" if enlarging[0] == 4 * enlarging[1] else "nearest"
        found = cls(
            scale=scale,
            num_feat=shapes["conv_first.weight"][0],
            num_block=blocks,
            num_grow_ch=shapes["body.0.rdb1.conv1.weight"][0],
            modulated="dd_embed.0.weight" in shapes or "am_list.0.fc.weight" in shapes,
            condition="linear" if "am_list.0.fc.weight" in shapes else "mlp",
            upsampler=upsampler,
        )
        if not found.modulated or found.condition == "linear":
            return found
        embed, hidden = shapes["dd_embed.0.weight"][0], shapes["am_list.0.fc.0.weight"][0]
        return found.model_copy(update={"embed_feats": embed, "modulator_feats": hidden})


class Modulator(nn.Module):
    """The condition network of one RRDB: embedding [B, E] -> x * (1 + gamma) + beta, per channel."""

    def __init__(self, feats: int, embed_feats: int, hidden: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(embed_feats, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2 * feats),
        )
        scaled_kaiming(self, 0.1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        gamma, beta = self.fc(embedding)[:, :, None, None].chunk(2, dim=1)
        return (1 + gamma) * x + beta


class LinearModulator(nn.Module):
    """The paper's own: scores [B, 2] -> alpha * x + beta, one layer (Eq. 9); near the identity to begin with."""

    def __init__(self, feats: int) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2 * feats)
        scaled_kaiming(self, 0.1)
        with torch.no_grad():
            self.fc.bias[:feats] = 1

    def forward(self, x: Tensor, scores: Tensor) -> Tensor:
        alpha, beta = self.fc(scores)[:, :, None, None].chunk(2, dim=1)
        return alpha * x + beta


class MMRealSR(nn.Module):
    """LR [B, 3, h, w] in [0, 1] and scores [B, 2] -> SR [B, 3, scale*h, scale*w].

    Parameter names are those of the published checkpoints. Upsampling is nearest and conv, and each RRDB has a
    three-layer modulator behind one shared embedding, as in the code; the paper says pixel-shuffle and one layer, which
    are `upsampler` and `condition`. The UDEM sees LR as it is at every scale (in the published code scales 1 and 2 end
    in an error).
    """

    def __init__(self, config: MMRealSRConfig) -> None:
        super().__init__()
        self.compiled_parts = ("", "de_net") if config.modulated else ("",)
        feats = config.num_feat
        self._fold = 1 if config.upsampler == "none" else _LARGEST_SCALE // config.scale
        self.conv_first = nn.Conv2d(3 * self._fold**2, feats, 3, padding=1)
        self.body = nn.ModuleList(RRDB(feats, config.num_grow_ch) for _ in range(config.num_block))
        self.conv_body = nn.Conv2d(feats, feats, 3, padding=1)
        self.shuffles = config.upsampler == "pixelshuffle"
        wide = 4 * feats if self.shuffles else feats
        if config.upsampler != "none":
            self.conv_up1 = nn.Conv2d(feats, wide, 3, padding=1)
            self.conv_up2 = nn.Conv2d(feats, wide, 3, padding=1)
        self.conv_hr = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_last = nn.Conv2d(feats, 3, 3, padding=1)
        self.scale: int = config.scale
        self.modulated = config.modulated
        if config.modulated:
            told = config.condition == "linear"
            self.am_list = nn.ModuleList(
                LinearModulator(feats) if told else Modulator(feats, config.embed_feats, config.modulator_feats)
                for _ in range(config.num_block)
            )
            self.de_net = Udem(config.udem)
            self.dd_embed = nn.Identity() if told else nn.Sequential(nn.Linear(2, config.embed_feats), nn.ReLU())
        if config.init_as_nearest:
            self._carry_the_image()

    def _enlarging(self) -> tuple[nn.Conv2d, ...]:
        """The convs that enlarge, each by two."""
        return (self.conv_up1, self.conv_up2) if hasattr(self, "conv_up1") else ()

    def _carry_the_image(self) -> None:
        """Let the first three feature channels carry R, G and B through, untouched, from end to end."""
        with torch.no_grad():
            for conv in (self.conv_first, *self._enlarging(), self.conv_hr, self.conv_last):
                folded = self._fold**2 if conv is self.conv_first else 1  # channels of one colour
                made = 4 if self.shuffles and conv in self._enlarging() else 1  # pixels of one
                conv.weight[: 3 * made] = 0
                for colour in range(3):
                    of_colour = slice(colour * made, (colour + 1) * made)
                    conv.weight[of_colour, colour * folded : (colour + 1) * folded, 1, 1] = 1 / folded
                assert conv.bias is not None
                conv.bias[: 3 * made] = 0
            self.conv_body.weight[:3] = 0
            assert self.conv_body.bias is not None
            self.conv_body.bias[:3] = 0

    def score(self, lr: Tensor) -> Tensor:
        """The UDEM's scores [B, 2] of LR [B, 3, h, w]: blur, noise."""
        return self.de_net(lr)

    def score_in_tiles(self, lr: Tensor, tile_px: int) -> Tensor:
        """The same of one image, a tile at a time; 0 is the whole image at once."""
        return self.de_net.in_tiles(lr, tile_px or max(lr.shape[2:]))

    def forward(self, lr: Tensor, scores: Tensor | None = None) -> Tensor:
        """SR under the given scores [B, 2]; without them, under those that the UDEM predicts."""
        first = x = self.conv_first(self._folded(lr))
        if self.modulated:
            embedding = self.dd_embed(self.score(lr) if scores is None else scores)
            for block, modulate in zip(self.body, self.am_list, strict=True):
                x = modulate(block(x), embedding)
        else:
            for block in self.body:
                x = block(x)
        x = first + self.conv_body(x)
        for conv in self._enlarging():
            if self.shuffles:
                x = functional.leaky_relu(functional.pixel_shuffle(conv(x), 2), 0.2)
            else:
                x = functional.leaky_relu(conv(functional.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        sr = self.conv_last(functional.leaky_relu(self.conv_hr(x), 0.2))
        return sr if self._fold == 1 else sr[:, :, : lr.shape[2] * self.scale, : lr.shape[3] * self.scale]

    def _folded(self, lr: Tensor) -> Tensor:
        """Blocks of LR pixels as channels; sides that are not whole blocks get their last pixels again."""
        if self._fold == 1:
            return lr
        below, right = (-lr.shape[axis] % self._fold for axis in (2, 3))
        return functional.pixel_unshuffle(functional.pad(lr, (0, right, 0, below), mode="replicate"), self._fold)

    def restore_at(self, lr: Tensor, blur: float, noise: float) -> Tensor:
        """SR of every image under the same two scores."""
        return self(lr, lr.new_tensor([[blur, noise]]).expand(lr.shape[0], -1))


def chosen_scores(net: MMRealSR, lr: Tensor, *, blur: float | None, noise: float | None) -> Tensor:
    """Scores [B, 2] to restore LR [B, 3, h, w] under: the given ones, and the UDEM's where none is given."""
    scores = net.score(lr).clone()
    for which, value in ((BLUR, blur), (NOISE, noise)):
        if value is not None:
            scores[:, which] = value
    return scores


def whole_scores(net: MMRealSR, pixels: Pixels, tile_px: int) -> tuple[float, float]:
    """Blur and noise of a whole image [h, w, 3], of which no more than a tile is looked at at once; 0 is all of it."""
    top = np.float32(np.iinfo(pixels.dtype).max)
    with torch.no_grad():
        blur, noise = net.score_in_tiles(torch.from_numpy(pixels / top).movedim(-1, 0)[None], tile_px)[0].tolist()
    return blur, noise


def scores_of(net: MMRealSR, lr: Tensor) -> Tensor:
    """The UDEM's scores [B, 2] of images [B, 3, h, w]; one that is large is looked at in tiles."""
    return net.score_in_tiles(lr, _SCORED_PX) if lr.shape[0] == 1 and is_large(lr, 1) else net.score(lr)


def under_whole_scores(net: MMRealSR, lr: Tensor) -> Model:
    """The network under the scores of a whole image [1, 3, h, w], for the tiles of it."""
    blur, noise = net.score_in_tiles(lr, _SCORED_PX)[0].tolist()
    return lambda tile: net.restore_at(tile, blur, noise)
