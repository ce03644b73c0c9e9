"""Weights out of ncnn's files, NAME.param and NAME.bin: networks that are a row of convs and PReLUs, and RRDB."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ...degrade.errors import StoreError
from ..runs.model_file import Weights

_KNOWN = ("Input", "Split", "Convolution", "PReLU", "PixelShuffle", "Interp", "BinaryOp", "Concat", "Eltwise")
_BEFORE, _AFTER = ("conv_first",), ("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")
_CONVS_OF_RRDB = 15
_MAGIC, _FLOAT16 = "7767517", 0x01306B47  # of a .param file; of a block of halves in a .bin


def _layers(param: Path) -> Iterator[tuple[str, dict[int, float]]]:
    """(type, numbers by their keys) of each layer, in the order in which they run; keys below 0 hold arrays."""
    lines = param.read_text().splitlines()
    if not lines or lines[0].strip() != _MAGIC:
        raise StoreError(f"{param} is not an ncnn .param file; name another checkpoint")
    for line in lines[2:]:
        fields = line.split()
        if len(fields) >= 4:
            values = fields[4 + int(fields[2]) + int(fields[3]) :]
            pairs = [(int(key), value) for key, _, value in (each.partition("=") for each in values)]
            yield fields[0], {key: float(value) for key, value in pairs if key >= 0}


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
    """The tensors of a compact network as body.0.weight, body.0.bias, body.1.weight and so on; those of an RRDB network
    by the names of BasicSR's RRDBNet.

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
    strange = [kind for kind, _ in layers if kind not in _KNOWN]
    if strange:
        raise StoreError(
            f"{param} has a layer {strange[0]}; compact models (convs and PReLUs in a row) and RRDB are read"
        )
    found: list[Weights] = []
    for kind, values in layers:
        if kind == "Convolution":
            out, side, count = int(values[0]), int(values.get(1, 1)), int(values[6])
            found.append({"weight": reader.flagged(count).reshape(out, -1, side, side)})
            if values.get(5):
                found[-1]["bias"] = reader.plain(out)
        elif kind == "PReLU":
            found.append({"weight": reader.plain(int(values[0]))})
    reader.end()
    dense = any(kind == "Concat" for kind, _ in layers)
    names = _rrdb_names(len(found), param) if dense else [f"body.{number}" for number in range(len(found))]
    return {f"{name}.{part}": value for name, of in zip(names, found, strict=True) for part, value in of.items()}


def _rrdb_names(count: int, param: Path) -> list[str]:
    """Of the convs of ESRGAN's generator, in the order in which they run."""
    blocks, rest = divmod(count - len(_BEFORE) - len(_AFTER), _CONVS_OF_RRDB)
    if blocks < 1 or rest:
        raise StoreError(f"{param} has {count} convs, which make no RRDB network; name another checkpoint")
    inside = [f"body.{i}.rdb{j}.conv{k}" for i in range(blocks) for j in (1, 2, 3) for k in range(1, 6)]
    return [*_BEFORE, *inside, *_AFTER]
