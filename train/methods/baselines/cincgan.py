"""How CinCGAN is trained (Yuan et al., CVPRW 2018): by photographs of a camera and by clean pairs of others.

The first stage learns to clean LR; the second goes on with all of it. The authors gave no code: what is here is what
five people made of the paper alike.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from ....degrade.errors import UserError
from ....degrade.family import Frozen
from ....degrade.recipes.base import Recipe
from ...data.batches import GroupBatch, check_scale
from ...engine.loop import built
from ...engine.schedule import Cosine, MultiStep
from ...engine.training import LoopConfig, Shared, Training
from ...losses.adversarial import DISCRIMINATOR, GENERATOR, start_judge
from ...losses.basic import square
from ...networks.baselines.cincgan import CinCgan, CinCganConfig
from ...networks.discriminators import PatchDiscriminator
from ...runs.model_file import start_with
from ..base import Given, Method, Preset, TrainingConfig, check_start, is_group, other_scale, with_fp32

Weight = Annotated[float, Field(ge=0)]
_OF_HR = f"{DISCRIMINATOR}_hr"


class CycleLosses(Frozen):
    """Weights of the terms of a cycle."""

    gan: Annotated[float, Field(gt=0)] = 1
    """Of its adversary."""
    cycle: Weight = 10
    """Of LR as it was, made again: mean square error."""
    identity: Weight = 5
    """Of what is clean, which should stay."""
    smooth: Weight = 0.5
    """Of the differences between neighbours (total variation), squared."""


class CinCganTraining(TrainingConfig):
    """One training."""

    method: Literal["cincgan"] = "cincgan"
    needs_start: bool = True
    network: CinCganConfig = CinCganConfig()
    """Sizes of the networks."""
    judge_feat: Annotated[int, Field(ge=1, le=1024)] = 64
    """Width of both discriminators."""
    inner: CycleLosses = CycleLosses()
    """The cycle of LR."""
    outer: CycleLosses | None = None
    """The cycle of HR; none: the first stage, which leaves the enlarging as it is."""

    @property
    def photographs_for(self) -> str:
        return "which it is to clean and enlarge"


def _to(target: float, judged: Tensor) -> Tensor:
    """Mean square error of a discriminator's numbers (Mao et al. 2017)."""
    return (judged.float() - target).square().mean()


def smooth(image: Tensor) -> Tensor:
    """Mean squares of the differences of neighbours below and beside, twice their sum, as most of the codes have it."""
    down, across = image.diff(dim=-2), image.diff(dim=-1)
    return 2 * (down.square().mean() + across.square().mean())


def generator_terms(
    net: CinCgan, batch: GroupBatch, config: CinCganTraining, shared: Shared, judge: nn.Module, judge_hr: nn.Module
) -> dict[str, Tensor]:
    """The weighted terms of the networks. shared: gets what the discriminators see, detached."""
    assert batch.photographs is not None
    lr, clean, hr = batch.photographs, batch.lr[:, 0], batch.hr
    cleaned = net.clean(lr).float()
    inner = config.inner
    terms = {
        "gan": inner.gan * _to(1, judge(cleaned)),
        "cycle": inner.cycle * square(net.to_lr(cleaned).float(), lr),
        "identity": inner.identity * (net.clean(clean).float() - clean).abs().mean(),
        "smooth": inner.smooth * smooth(cleaned),
    }
    shared |= {"sr": cleaned.detach(), "real": clean}
    if config.outer is not None:
        outer, sr = config.outer, net.sr(cleaned).float()
        terms |= {
            "gan_hr": outer.gan * _to(1, judge_hr(sr)),
            "cycle_hr": outer.cycle * square(net.hr_to_lr(sr).float(), lr),
            "identity_hr": outer.identity * square(net.sr(clean).float(), hr),
            "smooth_hr": outer.smooth * smooth(sr),
        }
        shared |= {"sr_hr": sr.detach(), "real_hr": hr}
    return terms


def build(config: CinCganTraining, given: Given) -> Training[GroupBatch]:
    """The networks, from the weights of an EDSR or of the first stage, and their losses.

    Raises:
        UserError: the pairs are not what the config trains on, or the earlier weights are another network's.
    """
    check_scale(given.groups, config.network.scale)
    if given.groups.members != 1:
        raise UserError(f"{given.groups.name} holds groups; CinCGAN takes clean pairs (bicubic)")
    check_start(config, given.start is not None)
    net = built(config.network.build, config.loop.seed)
    if given.start is not None:
        _start(net, given.start, partly=given.partly, whole=config.outer is not None)
    seed = config.loop.seed
    judge = built(lambda: PatchDiscriminator(config.judge_feat, strided=False), seed)
    judge_hr = built(lambda: PatchDiscriminator(config.judge_feat), seed)
    start_judge(judge, given.judge)
    nets: dict[str, nn.Module] = {GENERATOR: net, DISCRIMINATOR: judge}
    if config.outer is None:
        net.sr.requires_grad_(False)
        net.hr_to_lr.requires_grad_(False)
    else:
        nets[_OF_HR] = judge_hr

    def terms(name: str, batch: GroupBatch, shared: Shared) -> dict[str, Tensor]:
        if name == GENERATOR:
            return generator_terms(net, batch, config, shared, judge, judge_hr)
        end = name.removeprefix(DISCRIMINATOR)
        return {
            f"real{end}": _to(1, nets[name](shared[f"real{end}"])),
            f"fake{end}": _to(0, nets[name](shared[f"sr{end}"])),
        }

    return Training(nets, terms)


def _start(net: CinCgan, weights: Mapping[str, Tensor], *, partly: bool, whole: bool) -> None:
    """Of the first stage all; of an EDSR what enlarges. whole: of the first stage alone."""
    if any(name.startswith("clean.") for name in weights):
        start_with(net, weights, partly=partly)
    elif whole:
        raise UserError("--start-from cleans nothing yet; name a run of the first stage, as of --preset cincgan-inner")
    else:
        start_with(net.sr, weights, partly=partly)


def _why_not(config: CinCganTraining, recipe: Recipe, to_learn: bool) -> str | None:
    ordered = to_learn and is_group(recipe)
    return other_scale(config.network.scale, recipe) or ("takes clean pairs (bicubic)" if ordered else None)


# ---------------------------------------------------------------------------------------------------- presets

_HALVED = MultiStep(milestones=tuple(range(40_000, 400_000, 40_000)))
_INNER = CinCganTraining(
    loop=LoopConfig(
        steps=400_000,
        batch_size=16,
        lr_patch_px=32,
        use_rot90=True,
        learning_rate=2e-4,
        betas=(0.5, 0.999),
        schedule=_HALVED,
        ema_decay=0,
    )
)
_OUTER: Mapping[str, Any] = {"inner": CycleLosses(identity=1), "outer": CycleLosses(smooth=2)}
_JOINT = _INNER.model_copy(update={**_OUTER, "loop": _INNER.loop.model_copy(update={"learning_rate": 1e-4})})
_SMALL = CinCganTraining(
    network=CinCganConfig(num_feat=24, num_block=2, edsr_feat=24, edsr_block=4, edsr_range=1),
    judge_feat=12,
    inner=CycleLosses(gan=0.02, cycle=30, identity=10, smooth=0.02),
    loop=LoopConfig(
        steps=1200,
        batch_size=8,
        lr_patch_px=32,
        use_rot90=True,
        learning_rate=5e-4,
        betas=(0.5, 0.999),
        warmup_steps=50,
        schedule=Cosine(min_factor=0.05),
        ema_decay=0.99,
        log_every=50,
        checkpoint_every=250,
    ),
)
_SMALL_JOINT = _SMALL.model_copy(
    update={
        "outer": CycleLosses(gan=0.005, cycle=30, identity=50, smooth=0.02),
        "loop": _SMALL.loop.model_copy(update={"learning_rate": 5e-5, "steps": 400}),
    }
)

PRESETS = with_fp32(
    {
        "cincgan-inner": Preset(
            _INNER, "Its first stage, from a run of EDSR on bicubic LR (`rwsr train sr`).", "bicubic"
        ),
        "cincgan": Preset(_JOINT, "All of it, from a run of cincgan-inner.", "bicubic"),
    },
    {
        "cincgan-inner-small": Preset(_SMALL, "The first stage in minutes on a CPU.", "bicubic"),
        "cincgan-small": Preset(_SMALL_JOINT, "All of it in minutes on a CPU.", "bicubic"),
    },
)
METHOD = Method("cincgan", CinCganTraining, PRESETS, build, _why_not, inputs=("photographs",))
