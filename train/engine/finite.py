"""Watches for the first loss or gradient that is no number, without waiting for the device in every step."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...degrade.errors import UserError
from ...eval.report.table import GRADIENT
from .distributed import Ranks, greatest

_SKIPPED_IN_A_ROW = 32  # steps that fp16's scaler may leave out while it looks for its scale: 2^16 is 2^-16 by then


@dataclass
class _Seen:
    """On the device: how many steps in a row were no number, and 1 + the step at which it was too many, 0 for none."""

    in_a_row: Tensor
    step: Tensor


class Finite:
    """What each term and each gradient norm was, looked at on the device as they come, and on the host when asked.

    fp16: gradients may overflow now and then, as the scaler leaves those steps out; not for ever.
    """

    def __init__(self, device: torch.device, *, fp16: bool) -> None:
        self._device, self._fp16 = device, fp16
        self._seen: dict[str, _Seen] = {}

    def look(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Note the values of a step, 1 the first; does not wait for the device."""
        for name, value in values.items():
            seen = self._seen.get(name)
            if seen is None:
                zero = torch.zeros((), dtype=torch.int64, device=self._device)
                seen = self._seen[name] = _Seen(zero, zero.clone())
            most = _SKIPPED_IN_A_ROW if self._fp16 and name.startswith(GRADIENT) else 1
            seen.in_a_row = (seen.in_a_row + 1) * ~torch.isfinite(value.detach())
            seen.step = torch.where((seen.step == 0) & (seen.in_a_row >= most), step, seen.step)

    def check(self, ranks: Ranks, kept: int) -> None:
        """Wait for the device, and see whether all was finite in every process.

        kept: the step of the newest checkpoint, 0 for none.

        Raises:
            UserError: something was not; names the first step and what it was.
        """
        if not self._seen:
            return
        names = list(self._seen)
        steps = torch.stack([self._seen[name].step for name in names])
        # the earliest is the greatest of what is left to a number that no training reaches
        found = greatest(torch.where(steps > 0, 2**62 - steps, 0), ranks).tolist()
        if not any(found):
            return
        first = max(found)
        bad = [name for name, value in zip(names, found, strict=True) if value == first]
        losses = [name for name in bad if not name.startswith(GRADIENT)]
        what = losses[0] if losses else f"the gradient of {bad[0].removeprefix(GRADIENT)}"
        saved = f"; the checkpoint of step {kept} is kept" if kept else ""
        raise UserError(
            f"{what} is no number at step {2**62 - first}: the training has diverged{saved}; lower loop.learning_rate, "
            f"set loop.clip{' or loop.precision=bf16' if self._fp16 else ''}, and train into another --out"
        )
