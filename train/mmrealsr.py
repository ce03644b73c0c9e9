"""MM-RealSR: a generator steered by degradation scores, and its first training stage (pixel, ranking, anchors)."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from ..degrade.errors import StoreError
from ..degrade.objects import ObjectPath
from ..degrade.shards import Store
from ..degrade.verify import digest
from . import losses
from .checkpoint import read_model, write_identity
from .data import GroupBatch, GroupBatches
from .loop import LoopConfig, built, fit, is_finished
from .rrdb import RRDB, scaled_kaiming
from .udem import Udem, UdemConfig

METHOD = "mm-realsr-net"
BASE, BLURRIER, NOISIER, CLEAN, WORST = range(5)  # members of a group, in the store's order
BLUR, NOISE = range(2)  # scores


class NetworkConfig(BaseModel):
    """Sizes of the generator and its UDEM; the defaults are the released model's (26,134,149 parameters).

    embed_feats, modulator_feats: hidden widths of the condition network.
    start_as_enlarger: start from weights that enlarge by nearest neighbour instead of from noise. A short
    training needs that: it would spend most of its steps on learning to copy colours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    scale: Literal[4] = 4
    feats: Annotated[int, Field(ge=1)] = 64
    blocks: Annotated[int, Field(ge=1)] = 23
    growth: Annotated[int, Field(ge=1)] = 32
    embed_feats: Annotated[int, Field(ge=1)] = 512
    modulator_feats: Annotated[int, Field(ge=1)] = 320
    start_as_enlarger: bool = False
    udem: UdemConfig = UdemConfig()


class LossConfig(BaseModel):
    """Weights of the first stage. The paper has 0.05 for ranking and anchors; the published code these."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pixel: float = 1.0
    ranking: float = 0.01
    margin: float = 0.05
    anchor: float = 1e-4


class TrainConfig(BaseModel):
    """The first stage of MM-RealSR."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["mm-realsr-net"] = METHOD
    network: NetworkConfig = NetworkConfig()
    losses: LossConfig = LossConfig()
    loop: LoopConfig = LoopConfig()


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


class MMRealSR(nn.Module):
    """LR [B, 3, h, w] in [0, 1] and scores [B, 2] -> SR [B, 3, 4h, 4w].

    Parameter names are those of the published checkpoints. Upsampling is nearest and conv, and each RRDB
    has a three-layer modulator behind one shared embedding, as in the code (the paper says pixel-shuffle and
    one layer).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        feats = config.feats
        self.conv_first = nn.Conv2d(3, feats, 3, padding=1)
        self.body = nn.ModuleList(RRDB(feats, config.growth) for _ in range(config.blocks))
        self.am_list = nn.ModuleList(
            Modulator(feats, config.embed_feats, config.modulator_feats) for _ in range(config.blocks)
        )
        self.conv_body = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_up1 = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_up2 = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_hr = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_last = nn.Conv2d(feats, 3, 3, padding=1)
        self.de_net = Udem(config.udem)
        self.dd_embed = nn.Sequential(nn.Linear(2, config.embed_feats), nn.ReLU())
        if config.start_as_enlarger:
            self._carry_the_image()

    def _carry_the_image(self) -> None:
        """Let the first three feature channels carry R, G and B through, untouched, from end to end."""
        with torch.no_grad():
            for conv in (self.conv_first, self.conv_up1, self.conv_up2, self.conv_hr, self.conv_last):
                conv.weight[:3] = 0
                conv.weight[range(3), range(3), 1, 1] = 1
                assert conv.bias is not None
                conv.bias[:3] = 0
            self.conv_body.weight[:3] = 0
            assert self.conv_body.bias is not None
            self.conv_body.bias[:3] = 0

    def score(self, lr: Tensor) -> Tensor:
        """The UDEM's scores [B, 2] of LR [B, 3, h, w]: blur, noise."""
        return self.de_net(lr)

    def restore(self, lr: Tensor, scores: Tensor) -> Tensor:
        """SR [B, 3, 4h, 4w] under the given scores [B, 2]."""
        embedding = self.dd_embed(scores)
        first = x = self.conv_first(lr)
        for block, modulate in zip(self.body, self.am_list, strict=True):
            x = modulate(block(x), embedding)
        x = first + self.conv_body(x)
        for conv in (self.conv_up1, self.conv_up2):
            x = functional.leaky_relu(conv(functional.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(functional.leaky_relu(self.conv_hr(x), 0.2))

    def restore_at(self, lr: Tensor, blur: float, noise: float) -> Tensor:
        """SR of every image under the same two scores."""
        return self.restore(lr, lr.new_tensor([[blur, noise]]).expand(lr.shape[0], -1))

    def forward(self, lr: Tensor) -> Tensor:
        """SR under the scores that the UDEM predicts."""
        return self.restore(lr, self.score(lr))


def conditions(scores: Tensor) -> Tensor:
    """What steers the restoration of a group: predicted scores [B, 5, 2], with the anchors' at 0 and at 1."""
    conditioned = scores.clone()
    conditioned[:, CLEAN] = 0
    conditioned[:, WORST] = 1
    return conditioned


def stage_1_losses(net: MMRealSR, batch: GroupBatch, config: LossConfig) -> dict[str, Tensor]:
    """The weighted terms of the first stage: all five members are restored to the one HR.

    Predicted scores are not detached, so the pixel loss trains the UDEM too (the published first stage).
    """
    groups, members = batch.lr.shape[:2]
    lr = batch.lr.flatten(0, 1)
    scores = net.score(lr).unflatten(0, (groups, members))
    sr = net.restore(lr, conditions(scores).flatten(0, 1))
    hr = batch.hr[:, None].expand(-1, members, -1, -1, -1).flatten(0, 1)
    blur = losses.ranking(scores[:, BASE, BLUR], scores[:, BLURRIER, BLUR], config.margin)
    noise = losses.ranking(scores[:, BASE, NOISE], scores[:, NOISIER, NOISE], config.margin)
    anchors = sum(losses.anchor(scores[:, CLEAN, which], scores[:, WORST, which]) for which in (BLUR, NOISE))
    return {
        "pixel": config.pixel * losses.pixel(sr, hr),
        "rank_blur": config.ranking * blur,
        "rank_noise": config.ranking * noise,
        "anchor": config.anchor * torch.as_tensor(anchors),
    }


def train(
    run: Path,
    store: Store,
    config: TrainConfig,
    device: torch.device,
    on_step: Callable[[int, dict[str, float]], None],
) -> bool:
    """Train the first stage on a store of groups into the folder `run`; False when that was done before.

    on_step: called with (steps done, their loss terms), first with the steps that a checkpoint holds.

    Raises:
        UserError: `run` holds another training, or the store does not fit the config.
    """
    run.mkdir(parents=True, exist_ok=True)
    write_identity(run, config, digest(store))
    if is_finished(run):
        return False
    loop = config.loop
    batches = GroupBatches(store, groups=loop.groups, lr_patch_px=loop.lr_patch_px, seed=loop.seed)
    net = built(lambda: MMRealSR(config.network), loop.seed)

    def terms(batch: GroupBatch) -> dict[str, Tensor]:
        return stage_1_losses(net, batch, config.losses)

    remote = isinstance(store.path, ObjectPath)
    fit(run, net, terms, batches, loop, device=device, whole_config=config, on_step=on_step, spawn=remote)
    return True


def model_file(path: Path) -> Path:
    """The model file of a finished run, or the file itself."""
    return path / "model.safetensors" if path.is_dir() else path


def is_model(path: Path) -> bool:
    """Whether a safetensors file is one that `rwsr train` wrote."""
    try:
        read_model(path)
    except StoreError:
        return False
    return True


def load(path: Path, device: torch.device) -> MMRealSR:
    """The trained network in a model file, or in the folder of a finished run, ready to restore.

    Raises:
        StoreError: the file is missing, damaged, or of another network.
    """
    file = model_file(path)
    model = read_model(file)
    try:
        net = MMRealSR(TrainConfig.model_validate(model.config).network)
        net.load_state_dict(model.weights)
    except (ValueError, RuntimeError) as error:
        raise StoreError(f"{file} does not hold an MM-RealSR network: {str(error).splitlines()[0]}") from None
    return net.to(device).eval().requires_grad_(False)


def chosen_scores(net: MMRealSR, lr: Tensor, *, blur: float | None, noise: float | None) -> Tensor:
    """Scores [B, 2] to restore LR [B, 3, h, w] under: the given ones, and the UDEM's where none is given."""
    scores = net.score(lr).clone()
    for which, value in ((BLUR, blur), (NOISE, noise)):
        if value is not None:
            scores[:, which] = value
    return scores


def tiny() -> TrainConfig:
    """The first stage at a size that a CPU trains in minutes: for demonstrations and tests, not for results.

    The metric losses weigh more than the published ones and the UDEM starts from larger weights: the published
    values leave its scores near their start for some ten thousand steps. The anchors stay well below the
    ranking: WORST is blurred as well as noisy, and where its anchor rules, the noise score learns blur.
    """
    return TrainConfig(
        network=NetworkConfig(
            feats=16,
            blocks=2,
            growth=8,
            embed_feats=64,
            modulator_feats=64,
            start_as_enlarger=True,
            udem=UdemConfig(feats=(16, 32), blocks=(1, 1), downscales=(2, 2), init_scale=0.7),
        ),
        losses=LossConfig(ranking=0.5, anchor=0.05),
        loop=LoopConfig(
            steps=2400,
            groups=4,
            lr_patch_px=24,
            learning_rate=1e-3,
            ema=0.997,
            log_every=50,
            checkpoint_every=250,
        ),
    )


def published() -> TrainConfig:
    """The first stage with the sizes, weights and steps of the published code."""
    return TrainConfig()
