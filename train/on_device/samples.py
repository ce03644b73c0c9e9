"""Samples of a store's config made on a device: what `degrade.samples.render` gives, of many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional

from ...degrade.images.pixels import BT601
from ...degrade.quality.group_order import EDGE_PX, Measure, disorders, twin
from ...degrade.recipes.mm_realsr import ROLES
from ...degrade.recipes.store_config import StoreConfig
from ...degrade.samples import Draw, Source, draw_sample
from ...eval.images.kept import row
from .images import levels
from .render import has_form, render_all

_LOOKED_AT, _LARGE = 100, Source("any", 2**16, 2**16)


@dataclass(frozen=True)
class Made:
    """hr [3, H, W] and lr [members, 3, h, w], levels of 0 to 255 in float32. in_order: whether a group is in the order
    that its levels mean; of pairs always.
    """

    hr: Tensor
    lr: Tensor
    in_order: bool


def made_of(draws: Sequence[Draw], crops: Sequence[Tensor]) -> list[Made]:
    """The sample of each draw, from its crop of the source: [3, size, size] float32 in [0, 1] on the device.

    Of groups the order is measured, for which the host waits.
    """
    hr = [one for (one,) in render_all(crops, [[drawn.hr] for drawn in draws])]
    members = [list(drawn.members.values()) for drawn in draws]
    ordered = [list(drawn.members) == list(ROLES) for drawn in draws]
    ways = [each + [twin(steps) for steps in each] if is_group else each
            for each, is_group in zip(members, ordered, strict=True)]  # fmt: skip
    images = render_all(hr, ways)
    lr = [levels(torch.stack(of[: len(each)])) for of, each in zip(images, members, strict=True)]
    twins = [torch.stack(of[len(ROLES) :]) for of, is_group in zip(images, ordered, strict=True) if is_group]
    measured = iter(_in_order([of for of, is_group in zip(lr, ordered, strict=True) if is_group], twins))
    return [
        Made(levels(high), low, next(measured) if is_group else True)
        for high, low, is_group in zip(hr, lr, ordered, strict=True)
    ]


def steps_of_host(config: StoreConfig) -> list[str]:
    """The kinds of steps of a config's samples that only the CPU can do, by their names; of the first ones drawn."""
    found: set[str] = set()
    for sample in range(_LOOKED_AT):
        drawn = draw_sample(config, _LARGE, sample, 0, None)
        steps = chain(drawn.hr, *drawn.members.values())
        found |= {step.op for step in steps if not has_form(step)}
    return sorted(found)


def _in_order(lr: Sequence[Tensor], twins: Sequence[Tensor]) -> list[bool]:
    """Of groups [5, 3, h, w] and their noiseless twins, as `degrade.quality.group_order.measure` has it."""
    if not lr:
        return []
    rendered, noiseless = torch.stack(list(lr)), torch.stack(list(twins))
    gray = (noiseless * row(*BT601, like=noiseless)).sum(dim=2).flatten(0, 1)[:, None]
    wide = functional.pad(gray, (1, 1, 1, 1), mode="reflect")
    around = wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:] + wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1]
    inside = (around - 4 * gray)[..., EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]
    detail = inside.square().mean(dim=(1, 2, 3)).sqrt().unflatten(0, rendered.shape[:2])
    noise = (rendered / 255 - noiseless).square().mean(dim=(2, 3, 4)).sqrt()
    found = (255 * torch.stack([detail, noise], dim=-1)).tolist()  # waits for the device
    return [not disorders({role: Measure(*each) for role, each in zip(ROLES, group, strict=True)}) for group in found]
