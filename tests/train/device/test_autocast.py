"""What autocast leaves in fp32 on CUDA, by CUDA's own lists: they hold on a machine without it, for fake tensors."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from rwsr.eval.metrics.lpips_dists import Lpips
from rwsr.train.networks.discriminators import UnetDiscriminator
from rwsr.train.networks.udem import Udem, UdemConfig

FINE = ("aten::convolution", "aten::relu", "aten::leaky_relu", "aten::add", "aten::_to_copy", "prim::device")


class _InBf16(TorchDispatchMode):
    """The ops that are given bf16."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(isinstance(each, Tensor) and each.dtype == torch.bfloat16 for each in args):
            self.found.add(func.name().split(".")[0])
        return func(*args, **(kwargs or {}))


def _in_bf16(net: nn.Module, images: int) -> set[str]:
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def on_cuda(value: Tensor) -> Tensor:
        return FakeTensor(mode, torch.empty_like(value, device="meta"), torch.device("cuda", 0))

    for part in net.eval().requires_grad_(False).modules():
        for held in (part._parameters, part._buffers):  # noqa: SLF001
            held |= {name: on_cuda(value) for name, value in held.items() if value is not None}
    told = [on_cuda(torch.empty(1, 3, 64, 64)) for _ in range(images)]
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    torch.set_autocast_enabled("cuda", True)
    try:
        with mode, torch.no_grad(), _InBf16() as seen:
            net(*told)
    finally:
        torch.set_autocast_enabled("cuda", False)
    return seen.found


@pytest.mark.parametrize(
    ("make", "images", "fine"),
    [
        (lambda: Udem(UdemConfig(num_feat=(8,), num_block=(1,), downscales=(2,))), 1, FINE),
        (lambda: UnetDiscriminator(8), 1, FINE),
        (lambda: Lpips("squeeze"), 2, ()),
    ],
    ids=["udem", "spectral norm", "lpips"],
)
def test_what_needs_fp32_has_it(make: Callable[[], nn.Module], images: int, fine: tuple[str, ...]) -> None:
    """bf16 has eight bits: UDEM's means, layers and sigmoids, sigma of a spectral norm, squares of features."""
    assert _in_bf16(make(), images) - set(fine) == set()


def test_products_of_layers_are_not() -> None:
    """So that the test above looks at something."""
    assert {"aten::convolution"} <= _in_bf16(nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU()), 1)
