"""Recipes by name, with the numbers of the paper that each comes from."""

from collections.abc import Callable

from ..degrade.groups import GroupsConfig
from ..degrade.recipe import Order, Recipe, ResizeProbabilities


def mm_realsr() -> GroupsConfig:
    """MM-RealSR's contrast and anchor groups: Real-ESRGAN's second-order chain, five members a group.

    The numbers are those of both training files of MM-RealSR (commit 3473102), which are Real-ESRGAN's x4plus
    ones. The second blur is always on and both JPEGs share one range, as in that code.
    """
    return GroupsConfig(
        recipe=Recipe(
            scale=4,
            first=Order(
                blur_sigma=(0.2, 3),
                resize=ResizeProbabilities(up=0.2, down=0.7, keep=0.1),
                resize_range=(0.15, 1.5),
                noise_sigma_255=(1, 30),
                poisson_scale=(0.05, 3),
            ),
            second=Order(
                blur_sigma=(0.2, 1.5),
                resize=ResizeProbabilities(up=0.3, down=0.4, keep=0.3),
                resize_range=(0.3, 1.2),
                noise_sigma_255=(1, 25),
                poisson_scale=(0.05, 2.5),
            ),
        ),
        hr_size_px=400,
    )


PRESETS: dict[str, Callable[[], GroupsConfig]] = {"mm-realsr": mm_realsr}
