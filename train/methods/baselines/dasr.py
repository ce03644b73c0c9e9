"""How DASR is trained (Wei et al. 2021): on pairs of learned downscaling, each pixel by how near its LR is to the
photographs of a camera, and on those photographs, whose high band should look like one of HR.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from ....degrade.errors import UserError
from ....degrade.family import Frozen
from ....eval.metrics.lpips_dists import Net, check_side, lpips
from ...data.batches import GroupBatch
from ...engine.loop import built
from ...engine.schedule import Cosine, MultiStep
from ...engine.training import LoopConfig, Shared, Training
from ...files.open import judge_weights
from ...losses.adversarial import DISCRIMINATOR, GENERATOR, discriminator_terms, start_judge
from ...losses.basic import pixel
from ...losses.frequencies import Split
from ...networks.baselines.dasr import LEAST_PX, BandDiscriminator
from ...networks.baselines.downscaling import FieldDiscriminator, check_downscaling, nearness
from ...networks.discriminators import generator_loss
from ...networks.mm_realsr import MMRealSRConfig
from ...runs.model_file import start_with
from ..base import Given, Method, Preset, TrainingConfig, network_of_pairs, why_no_pairs, with_fp32
from .downscaling import JudgeConfig, judge_of

Weight = Annotated[float, Field(ge=0)]


class DasrLosses(Frozen):
    """Weights of the terms; 0 leaves a term out."""

    pixel: Weight = 1
    """Mean absolute error, each pixel by how near its LR is to photographs."""
    low: Weight = 1
    """Mean absolute difference of the low bands; all pixels alike."""
    lpips: Weight = 1
    """LPIPS, all pixels alike."""
    lpips_net: Net = "alex"
    """What LPIPS looks through."""
    gan: Annotated[float, Field(gt=0)] = 0.005
    """Of the high band of what is made of photographs."""
    split: Split = Split(kind="haar")
    """How images are parted."""


class DasrConfig(TrainingConfig):
    """One training."""

    method: Literal["dasr"] = "dasr"
    network: MMRealSRConfig = MMRealSRConfig(modulated=False)
    """Sizes of the generator, ESRGAN's."""
    judge_feat: Annotated[int, Field(ge=1, le=1024)] = 64
    """Width of the discriminator."""
    weighted: bool = True
    """Pixels count by how near LR is to photographs; false: all alike (the paper's ablation), without --downscaling."""
    losses: DasrLosses = DasrLosses()
    """What is minimised."""

    @property
    def photographs_for(self) -> str:
        return "which it should do well on"

    @model_validator(mode="after")
    def _what_the_discriminator_takes(self) -> Self:
        side = self.loop.lr_patch_px * self.network.scale // (2 if self.losses.split.kind == "haar" else 1)
        if side < LEAST_PX:
            raise ValueError(
                f"loop.lr_patch_px = {self.loop.lr_patch_px} is too small for the discriminator; double it"
            )
        if self.losses.lpips:
            check_side(self.losses.lpips_net, self.loop.lr_patch_px * self.network.scale, "loop.lr_patch_px")
        if self.network.modulated:
            raise ValueError("network.modulated is for `rwsr train mm-realsr`; set network.modulated=false")
        return self


def generator_terms(
    net: nn.Module,
    batch: GroupBatch,
    config: DasrConfig,
    shared: Shared,
    judge: BandDiscriminator,
    camera: FieldDiscriminator | None,
    looks: nn.Module | None,
) -> dict[str, Tensor]:
    """The weighted terms of the generator, and how near LR is on average. camera: the discriminator of the downscaling.
    shared: gets `sr` of photographs and `real`, HR that is of none of them, detached, for the discriminator.
    """
    lr, hr, weights = batch.lr[:, 0], batch.hr, config.losses
    assert batch.photographs is not None
    sr, enlarged = net(lr).float(), net(batch.photographs).float()
    terms: dict[str, Tensor] = {}
    error = (sr - hr).abs()
    if camera is not None:
        near = nearness(camera, lr, config.network.scale)
        error, terms["near"] = near * error, near.mean()
    if weights.pixel:
        terms["pixel"] = weights.pixel * error.mean()
    if weights.low:
        terms["low"] = weights.low * pixel(weights.split.low(sr), weights.split.low(hr))
    if looks is not None:
        terms["lpips"] = weights.lpips * looks(2 * sr - 1, 2 * hr - 1).mean()
    terms["gan"] = weights.gan * generator_loss(judge(enlarged).float())
    shared |= {"sr": enlarged.detach(), "real": hr}
    return terms


def build(config: DasrConfig, given: Given) -> Training[GroupBatch]:
    """The networks, from seeded weights or those of an earlier run, and their losses.

    Raises:
        UserError: the pairs are not what the config trains on, the earlier weights are another network's, or there is
            no run of learned downscaling, or it is of another kind.
        MissingWeights: those of LPIPS are not there.
    """
    net = network_of_pairs(config, given, "DASR learns from pairs")
    judge = built(lambda: BandDiscriminator(config.losses.split, config.judge_feat), config.loop.seed)
    start_judge(judge, given.judge)
    camera = _camera(config, given.downscaling)
    looks = lpips(config.losses.lpips_net) if config.losses.lpips else None

    def terms(name: str, batch: GroupBatch, shared: Shared) -> dict[str, Tensor]:
        if name == DISCRIMINATOR:
            halves = discriminator_terms(judge, shared, relativistic=False)
            return {side: value / 2 for side, value in halves.items()}
        return generator_terms(net, batch, config, shared, judge, camera, looks)

    fixed = [each for each in (camera, looks) if each is not None]
    return Training({GENERATOR: net, DISCRIMINATOR: judge}, terms, fixed)


def _camera(config: DasrConfig, run: Path | None) -> FieldDiscriminator | None:
    """The discriminator of a run of learned downscaling, with its weights; raises UserError."""
    if not config.weighted:
        if run is not None:
            raise UserError("weighted = false looks at no --downscaling; drop it")
        return None
    if run is None:
        raise UserError(
            "name the --downscaling that made the LR, a run of `rwsr train downscaling`, or set weighted=false"
        )
    told = check_downscaling(run)
    camera = judge_of(JudgeConfig.model_validate(told["judge"]))
    start_with(camera, judge_weights(run)[0], option="--downscaling")
    return camera.eval().requires_grad_(False)


# The published numbers for AIM 2019.
_PUBLISHED = DasrConfig(
    loop=LoopConfig(
        batch_size=6,
        lr_patch_px=32,
        use_rot90=True,
        learning_rate=1e-4,
        betas=(0.9, 0.999),
        ema_decay=0,
        steps=350_000,
        schedule=MultiStep(milestones=(35_000, 80_000, 100_000, 150_000)),
    ),
)
_SMALL = DasrConfig(
    network=MMRealSRConfig(modulated=False, num_feat=16, num_block=2, num_grow_ch=8, init_as_nearest=True),
    judge_feat=16,
    losses=DasrLosses(lpips=0.05, lpips_net="squeeze", gan=0.001),
    loop=LoopConfig(
        steps=600,
        batch_size=8,
        lr_patch_px=24,
        use_rot90=True,
        learning_rate=5e-4,
        betas=(0.9, 0.999),
        warmup_steps=50,
        schedule=Cosine(min_factor=0.05),
        ema_decay=0.99,
        log_every=50,
        checkpoint_every=250,
    ),
)

PRESETS = with_fp32(
    {"dasr": Preset(_PUBLISHED, "DASR by its published training file for AIM 2019.", None)},
    {"dasr-small": Preset(_SMALL, "Minutes on a CPU: for tests and small tables.", None)},
)
METHOD = Method("dasr", DasrConfig, PRESETS, build, why_no_pairs, inputs=("photographs", "downscaling"))
