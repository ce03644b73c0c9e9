"""An accelerator that is only pretended: its tensors have sizes and no numbers, so no memory, and each op is looked at.

torch's Python backend for PrivateUse1 under FakeTensorMode. What reads a number (`.item()`, `.tolist()`, `if tensor:`)
is refused by the mode itself, so that whatever would make a real device wait is found, and a dispatch mode refuses ops
that mix devices and counts the copies between host and device. Neither numbers nor streams are looked at.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "pretended"
DEVICE = torch.device("privateuseone", 0)
_COPIES = ("aten::_to_copy", "aten::copy_", "aten::_copy_from")
_TAKE_NUMBERS_OF_ANY = ("aten::set_data", "aten::index", "aten::_index_put")


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


def device() -> torch.device:
    """The device; it is registered once in a process."""
    if torch._C._get_privateuse1_backend_name() != NAME:  # noqa: SLF001
        _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
        _held.append(_register_autocast())
    return torch.device(NAME, 0)


_LOWER = ("conv2d", "conv_transpose2d.input", "linear", "matmul", "mm", "bmm", "addmm", "prelu")
_FP32 = ("l1_loss", "mse_loss", "binary_cross_entropy_with_logits", "softmax.int", "sum", "sum.dim_IntList")


def _register_autocast() -> torch.library.Library:
    """As CUDA's, for the ops that are used here: layers in the autocast type, losses and sums in fp32."""
    ours = torch.library.Library("aten", "IMPL")
    anything = torch.library.Library("_", "IMPL")
    anything.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    _held.append(anything)
    for names, wanted in ((_LOWER, torch.bfloat16), (_FP32, torch.float32)):
        for name in names:
            ours.impl(name, _in_type(name, wanted), "AutocastPrivateUse1")
    return ours


_held: list[torch.library.Library] = []  # what is registered lasts as long as these


def _in_type(name: str, wanted: torch.dtype) -> Callable[..., Any]:
    packet, _, overload = name.partition(".")
    op = getattr(getattr(torch.ops.aten, packet), overload or "default")

    def cast(value: Any) -> Any:
        return value.to(wanted) if isinstance(value, Tensor) and value.dtype.is_floating_point else value

    def call(*told: Any, **named: Any) -> Any:
        with torch.autocast(NAME, enabled=False):
            return op(*map(cast, told), **named)

    return call


class _Mode(FakeTensorMode):
    """Numbers that torch's knows are not computed with on the device."""

    @property
    def avoid_device_init(self) -> bool:
        return True


class Watch(TorchDispatchMode):
    """copies: between host and device, that the host waits for, by file and line; ops: on the device, by name."""

    def __init__(self, on: torch.device) -> None:
        super().__init__()
        self._on = on
        self.ops: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        told = [each for each in tree_leaves((args, kwargs or {})) if isinstance(each, Tensor)]
        devices = {each.device for each in told if each.dim() > 0 or each.device.type != "cpu"}
        copies = name.startswith(_COPIES)
        if len(devices) > 1 and not copies and not name.startswith(_TAKE_NUMBERS_OF_ANY):
            raise RuntimeError(f"{name} mixes {', '.join(sorted(map(str, devices)))}")
        made = func(*args, **(kwargs or {}))
        found = [each for each in tree_leaves(made) if isinstance(each, Tensor)]
        if self._on in devices or any(each.device == self._on for each in found):
            self.ops[name] += 1
        between = {each.device.type for each in [*told, *found]} == {"cpu", self._on.type}
        waited_for = between and not (kwargs or {}).get("non_blocking")
        if (copies and waited_for) or (name.startswith("aten::index") and len(devices) > 1):
            self.copies[_place()] += 1
        return made


def _place() -> str:
    """The file and line of ours that asked for the op under way."""
    ours = [
        f"{frame.filename.split('/rwsr/')[-1]}:{frame.lineno}"
        for frame in traceback.extract_stack()
        if any(part in frame.filename for part in ("/train/", "/eval/", "/degrade/"))
        and "site-packages" not in frame.filename
        and "/tests/" not in frame.filename
    ]
    return ours[-1] if ours else "outside"


def _move(net: nn.Module, *told: Any, **named: Any) -> nn.Module:
    """`Module.to`: torch's own cannot swap parameters of the mode."""
    where = named.get("device") or next((each for each in told if isinstance(each, torch.device | str)), None)
    if where is None:
        return net
    for part in net.modules():
        for name, value in part._parameters.items():  # noqa: SLF001
            if value is not None:
                part._parameters[name] = nn.Parameter(value.detach().to(where), value.requires_grad)  # noqa: SLF001
        for name, value in part._buffers.items():  # noqa: SLF001
            if value is not None:
                part._buffers[name] = _free(value).to(where)  # noqa: SLF001
    return net


def _free(value: Tensor) -> Tensor:
    """Without the number that the mode remembers of a constant, so that a copy is one of sizes too."""
    if hasattr(value, "constant"):
        value.constant = None  # type: ignore[attr-defined]
    return value


@contextmanager
def pretended() -> Iterator[torch.device]:
    """Within: all new tensors have no numbers, and the device is there."""
    on = device()
    plain = torch.tensor

    def tensor(data: Any, *, device: Any = None, **named: Any) -> Tensor:
        made = plain(data, **named)
        return made if device is None or torch.device(device).type == "cpu" else _free(made).to(device)

    def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
        return _free(plain(data, dtype=dtype or self.dtype)).to(device or self.device)

    with pytest.MonkeyPatch.context() as patch, _Mode(allow_non_fake_inputs=True):
        patch.setattr(nn.Module, "to", _move)
        patch.setattr(torch, "tensor", tensor)
        patch.setattr(Tensor, "new_tensor", new_tensor)
        yield on
