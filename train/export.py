"""Writes a trained network for other programs: BasicSR's .pth, which spandrel and so chaiNNer read, and ONNX."""

import io
import json
import warnings
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..degrade.errors import StoreError, UserError
from ..degrade.storage.local import write_atomic
from ..degrade.storage.provenance import FORMATS
from .files.open import IN_PTH, by_spandrel, open_run
from .networks.cunet import CUnet, to_theirs
from .networks.mm_realsr import MMRealSR
from .runs.model_file import read_model
from .runs.moments import model_file

_EXAMPLE_PX = 32
CPU = torch.device("cpu")


def to_pth(run: Path, out: Path) -> list[str]:
    """The averaged weights by their published names, under `params_ema` and `params`, as programs read one of the two,
    and the config beside them, as JSON; CUGAN's as its authors' code reads them, with nothing around.

    Gives back what a person should know of the file, as lines.

    Raises:
        StoreError: there is no finished run.
    """
    model = read_model(model_file(run))
    restorer = open_run(run, CPU)
    published = _as_published(restorer.net)
    sink = io.BytesIO()
    if published is None:
        about = json.dumps({"format": FORMATS["model"], "config": model.config})
        torch.save({"params_ema": model.weights, "params": model.weights, IN_PTH: about}, sink)
    else:
        torch.save(published, sink)
    write_atomic(out, sink.getvalue())
    if published is not None:
        return ["note: in the layout of CUGAN's published code, which its test scripts read; spandrel does not know it"]
    return _by_others(out, restorer.net)


def _as_published(net: torch.nn.Module) -> dict[str, Tensor] | None:
    """CUGAN's tensors by its authors' names; None of another network, or a variant that their code has not."""
    if not isinstance(net, CUnet) or "fuse_image.fc.bias" not in net.state_dict():
        return None
    return {to_theirs(name): value for name, value in net.state_dict().items()}


def _by_others(path: Path, net: torch.nn.Module) -> list[str]:
    """Whether spandrel, and so chaiNNer, opens a file, and makes of an image what the network does."""
    try:
        other, _ = by_spandrel(path)
    except UserError as error:
        if isinstance(error, StoreError):
            return [f"note: spandrel (chaiNNer) does not know this network: {path} is for rwsr and BasicSR"]
        return ["note: whether spandrel (chaiNNer) opens it was not tried: pip install 'rwsr[models]'"]
    except Exception as error:  # it takes the network for one of other sizes
        return [f"note: spandrel (chaiNNer) does not open {path} ({type(error).__name__}): it is for rwsr and BasicSR"]
    lr = torch.rand(1, 3, _EXAMPLE_PX, _EXAMPLE_PX, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found, wanted = other.eval()(lr), net(lr)
    found = found[0] if isinstance(found, tuple) else found
    if found.shape == wanted.shape and torch.allclose(found, wanted, atol=1e-4):
        return []
    return [f"note: spandrel (chaiNNer) opens {path} as {type(other).__name__} and makes another image of it"]


class _Told(torch.nn.Module):
    """The network with its scores, or CUGAN's condition, as an input: [B, 2], blur and noise."""

    def __init__(self, net: MMRealSR | CUnet) -> None:
        super().__init__()
        self.net = net

    def forward(self, lr: Tensor, scores: Tensor) -> Tensor:
        return self.net(lr, scores)


def to_onnx(run: Path, out: Path) -> list[str]:
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
    return []
