"""Recipes by name, with the numbers of the paper that each comes from."""

from collections.abc import Callable

from ..samples import StoreConfig
from .base import BlurNoise, Downscale, Groups, NoiseInjection, Order, ResizeProbabilities, SecondOrder, Shuffled, Usm

_MANY = 10_000  # samples: what a first training meets some hundred times
_FIRST = Order(
    blur_sigma=(0.2, 3),
    resize=ResizeProbabilities(up=0.2, down=0.7, keep=0.1),
    resize_range=(0.15, 1.5),
    noise_sigma_255=(1, 30),
    poisson_scale=(0.05, 3),
)
_SECOND = Order(
    blur_sigma=(0.2, 1.5),
    resize=ResizeProbabilities(up=0.3, down=0.4, keep=0.3),
    resize_range=(0.3, 1.2),
    noise_sigma_255=(1, 25),
    poisson_scale=(0.05, 2.5),
)


def mm_realsr() -> StoreConfig:
    """MM-RealSR's contrast and anchor groups: Real-ESRGAN's second-order chain, five members a group.

    The numbers are those of both training files of MM-RealSR (commit 3473102), which are Real-ESRGAN's x4plus
    ones. The second blur is always on and both JPEGs share one range, as in that code. LR is made of HR as it is, as in
    its second stage; for its first stage there is `mm-realsr-stage-1`. HR is the same in both.
    """
    return StoreConfig(recipe=Groups(scale=4, first=_FIRST, second=_SECOND), hr_size_px=400, num_samples=_MANY)


def mm_realsr_stage_1() -> StoreConfig:
    """MM-RealSR's groups, LR of sharpened HR, CLEAN of twice sharpened: its first stage's, by the published code."""
    return StoreConfig(
        recipe=Groups(scale=4, first=_FIRST, second=_SECOND, usm=Usm()), hr_size_px=400, num_samples=_MANY
    )


def real_esrgan() -> StoreConfig:
    """Real-ESRGAN's second-order pairs, LR of sharpened HR, with the numbers of its x4plus training file."""
    second = _SECOND.model_copy(update={"blur_prob": 0.8})
    return StoreConfig(
        recipe=SecondOrder(scale=4, first=_FIRST, second=second, usm=Usm()), hr_size_px=400, num_samples=_MANY
    )


def second_order() -> StoreConfig:
    """The same pairs, LR of the HR as it is: HR-aware's, which learns how LR comes of natural images."""
    sharpened = real_esrgan()
    return sharpened.model_copy(update={"recipe": sharpened.recipe.model_copy(update={"usm": None})})


def bsrgan() -> StoreConfig:
    """BSRGAN's pairs: blurs, two-part downscale, noise and JPEG in random order, as in its released code."""
    return StoreConfig(recipe=Shuffled(scale=4), hr_size_px=288, num_samples=_MANY)


def cugan() -> StoreConfig:
    """CUGAN's blur and noise pairs at one size: r in [0, 4] by 0.1, sigma in [0, 50], and the condition z."""
    return StoreConfig(recipe=BlurNoise(), hr_size_px=480, num_samples=_MANY)


def rwsr_edl() -> StoreConfig:
    """RWSR-EDL's noise-injected pairs: the source halved is the HR, a quarter of it plus bank noise the LR."""
    return StoreConfig(recipe=NoiseInjection(scale=4, cleanup=2), hr_size_px=256, num_samples=_MANY)


def rwsr_edl_without_noise() -> StoreConfig:
    """The same without noise, which a training then draws anew in each epoch."""
    return StoreConfig(recipe=NoiseInjection(scale=4, cleanup=2, strength=0), hr_size_px=256, num_samples=_MANY)


def bicubic() -> StoreConfig:
    """LR by MATLAB's bicubic alone: the baseline of most papers."""
    return StoreConfig(recipe=Downscale(scale=4), hr_size_px=400, num_samples=_MANY)


PRESETS: dict[str, Callable[[], StoreConfig]] = {
    "real-esrgan": real_esrgan,
    "second-order": second_order,
    "bsrgan": bsrgan,
    "mm-realsr": mm_realsr,
    "mm-realsr-stage-1": mm_realsr_stage_1,
    "cugan": cugan,
    "rwsr-edl": rwsr_edl,
    "bicubic": bicubic,
}
