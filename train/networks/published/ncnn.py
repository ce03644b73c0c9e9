"""Weights out of ncnn's files, NAME.param and NAME.bin, of networks that are one row of convs and PReLUs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ....degrade.errors import StoreError
from ...runs.model_file import Weights

_MAGIC, _FLOAT16 = "7767517", 0x01306B47  # of a .param file; of a block of halves in a .bin


def _layers(param: Path) -> Iterator[tuple[str, dict[int, float]]]:
    """(type, parameters by number) of each layer, in order."""
    lines = param.read_text().splitlines()
    if not lines or lines[0].strip() != _MAGIC:
        raise StoreError(f"{param} is not an ncnn .param file; name another checkpoint")
    for line in lines[2:]:
        fields = line.split()
        if len(fields) >= 4:
            values = fields[4 + int(fields[2]) + int(fields[3]) :]
            yield fields[0], {int(key): float(value) for key, _, value in (each.partition("=") for each in values)}


class _Reader:
    """The numbers of a .bin file, one after another."""

    def __init__(self, path: Path) -> None:
        self._path, self._data, self._at = path, path.read_bytes(), 0

    def _take(self, kind: str, count: int) -> torch.Tensor:
        num_bytes = count * np.dtype(kind).itemsize
        if self._at + num_bytes > len(self._data):
            raise StoreError(f"{self._path} ends before its .param says; copy both files again")
        found = np.frombuffer(self._data, dtype=kind, count=count, offset=self._at)
        self._at += num_bytes
        return torch.from_numpy(found.astype(np.float32))

    def plain(self, count: int) -> torch.Tensor:
        """float32 numbers without a flag."""
        return self._take("<f4", count)

    def flagged(self, count: int) -> torch.Tensor:
        """Numbers after the flag that says whether they are halves, filled up to whole words."""
        flag = int(np.frombuffer(self._data, dtype="<u4", count=1, offset=self._at)[0])
        self._at += 4
        if flag not in (0, _FLOAT16):
            raise StoreError(f"{self._path} holds quantised weights; name the files of the fp16 or fp32 model")
        found = self._take("<f2" if flag else "<f4", count)
        self._at += -self._at % 4
        return found

    def end(self) -> None:
        if self._at != len(self._data):
            raise StoreError(f"{self._path} is longer than its .param says; they are not of one model")


def read(param: Path) -> Weights:
    """The tensors as body.0.weight, body.0.bias, body.1.weight and so on, as Compact names them.

    Raises:
        StoreError: a file is missing, damaged, or of a network of another kind.
    """
    try:
        return _read(param)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            f"{error.filename} cannot be read: {error.strerror}; ncnn models are a .param and a .bin"
        ) from None
    except Exception as error:  # numbers that are none, sizes that do not fit, bytes that are no text
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(f"{param} or its .bin is damaged ({reason}); copy both files again") from None


def _read(param: Path) -> Weights:
    layers, reader = list(_layers(param)), _Reader(param.with_suffix(".bin"))
    weights: Weights = {}
    number = 0
    for kind, values in layers:
        if kind == "Convolution":
            out, side, count = int(values[0]), int(values.get(1, 1)), int(values[6])
            weights[f"body.{number}.weight"] = reader.flagged(count).reshape(out, -1, side, side)
            if values.get(5):
                weights[f"body.{number}.bias"] = reader.plain(out)
        elif kind == "PReLU":
            weights[f"body.{number}.weight"] = reader.plain(int(values[0]))
        elif kind not in ("Input", "Split", "PixelShuffle", "Interp", "BinaryOp"):
            raise StoreError(f"{param} has a layer {kind}; only compact models (convs and PReLUs in a row) are read")
        number += kind in ("Convolution", "PReLU")
    reader.end()
    return weights
