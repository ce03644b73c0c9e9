"""Writes a trained network for other programs: BasicSR's .pth, which spandrel and so chaiNNer read, and ONNX."""

import io
import json
import warnings
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..degrade.errors import UserError
from ..degrade.storage.local import write_atomic
from ..degrade.storage.provenance import FORMATS
from .networks.cunet import CUnet
from .networks.mm_realsr import MMRealSR
from .networks.open import IN_PTH, open_run
from .runs.model_file import read_model
from .runs.moments import model_file

_EXAMPLE_PX = 32
CPU = torch.device("cpu")


def to_pth(run: Path, out: Path) -> None:
    """The averaged weights under `params_ema`, by their published names; the config beside them, as JSON.

    Raises:
        StoreError: there is no finished run.
    """
    model = read_model(model_file(run))
    sink = io.BytesIO()
    torch.save(
        {"params_ema": model.weights, IN_PTH: json.dumps({"format": FORMATS["model"], "config": model.config})}, sink
    )
    write_atomic(out, sink.getvalue())


class _Told(torch.nn.Module):
    """The network with its scores, or CUGAN's condition, as an input: [B, 2], blur and noise."""

    def __init__(self, net: MMRealSR | CUnet) -> None:
        super().__init__()
        self.net = net

    def forward(self, lr: Tensor, scores: Tensor) -> Tensor:
        return self.net(lr, scores)


def to_onnx(run: Path, out: Path) -> None:
    """The restorer as ONNX: `lr` [B, 3, h, w] in 0..1, of any size, and for a network that takes how strongly to
    restore `scores` [B, 2] (blur, noise) -> `sr` [B, 3, scale*h, scale*w].

    Raises:
        UserError: the package that writes ONNX is not there.
        StoreError: there is no finished run.
    """
    try:
        import onnxscript  # noqa: F401  # pyright: ignore
    except ImportError:
        raise UserError("ONNX needs a package: pip install 'rwsr[onnx]'") from None
    restorer = open_run(run, CPU)
    net = restorer.net
    lr = torch.zeros(2, 3, _EXAMPLE_PX, _EXAMPLE_PX + 8)
    axes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    if restorer.steered is not None:
        module: torch.nn.Module = _Told(restorer.steered)
        arguments, names, dynamic = (lr, torch.zeros(2, 2)), ["lr", "scores"], (axes, {0: axes[0]})
    else:
        module, arguments, names, dynamic = net, (lr,), ["lr"], (axes,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own insides
        program = torch.onnx.export(
            module.eval(),
            cast("tuple[Tensor, ...]", arguments),
            input_names=names,
            output_names=["sr"],
            dynamic_shapes=dynamic,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    write_atomic(out, program.model_proto.SerializeToString())
