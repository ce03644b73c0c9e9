"""Writes a trained network for other programs: BasicSR's .pth, which spandrel and so chaiNNer read, and ONNX."""

import io
import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..degrade.errors import StoreError, UserError
from ..degrade.storage.local import write_atomic
from ..degrade.storage.provenance import FORMATS
from .files.open import IN_PTH, Restorer, by_spandrel, is_ours, open_restorer, weights_in
from .networks.base import Conditioned
from .networks.cunet import CUnet, to_theirs
from .networks.mm_realsr import MMRealSR
from .networks.spandrel_arch import fold
from .runs.model_file import read_model
from .runs.moments import model_file

_EXAMPLE_PX = 32
_EXAMPLES_PX = ((37, 53), (32, 40))  # no multiples, so that all is padded; the exporter cannot follow some there
_LEVEL = 1 / 255
CPU = torch.device("cpu")


def to_pth(run: Path, out: Path) -> list[str]:
    """The averaged weights by their published names, under `params_ema` and `params`, as programs read one of the two,
    and the config of a run beside them, as JSON; CUGAN's as its authors' code reads them, with nothing around.

    run: or whatever else holds a restorer, ncnn's files say. Gives back what a person should know of the file, as
    lines.

    Raises:
        UserError: there is no finished run, and no file that is known.
    """
    restorer = open_restorer(run, CPU)
    _check_has_weights(run, restorer)
    published = _as_published(restorer.net)
    sink = io.BytesIO()
    if published is None:
        model = read_model(model_file(run)) if is_ours(run) else None
        weights = weights_in(run)[0] if model is None else model.weights
        about = {} if model is None else {IN_PTH: json.dumps({"format": FORMATS["model"], "config": model.config})}
        torch.save({"params_ema": weights, "params": weights} | about, sink)
    else:
        torch.save(published, sink)
    write_atomic(out, sink.getvalue())
    if published is not None:
        return ["note: in the layout of CUGAN's published code, which its test scripts read; spandrel does not know it"]
    return _by_others(out, restorer.net)


def _check_has_weights(run: Path, restorer: Restorer) -> None:
    """Raises UserError where a network is trained on each image anew."""
    if restorer.learning is not None:
        raise UserError(
            f"{run} learns of each image when it restores it, so it has nothing to export; use rwsr restore"
        )


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

    def __init__(self, net: MMRealSR | Conditioned) -> None:
        super().__init__()
        self.net = net

    def forward(self, lr: Tensor, scores: Tensor) -> Tensor:
        return self.net(lr, scores)


def to_onnx(run: Path, out: Path) -> list[str]:
    """The restorer as ONNX: `lr` [B, 3, h, w] in 0..1, of any size, and for a network that takes how strongly to
    restore `scores` [B, 2] (blur, noise) -> `sr` [B, 3, scale*h, scale*w].

    What was written is run, on images of other sizes; where it makes others than the network does, it is not kept.

    Raises:
        UserError: the packages that write and run ONNX are not there, or torch's exporter makes another network of it.
        StoreError: there is no finished run, and no file that is known.
    """
    try:
        import onnxruntime  # noqa: F401  # pyright: ignore
        import onnxscript  # noqa: F401  # pyright: ignore
    except ImportError:
        raise UserError("ONNX needs packages: pip install 'rwsr[onnx]'") from None
    restorer = open_restorer(run, CPU)
    _check_has_weights(run, restorer)
    net = fold(restorer.net)
    failed: UserError | None = None
    for sides in _EXAMPLES_PX:
        try:
            data = _as_onnx(net, restorer.steered, sides)
        except UserError as error:
            failed = error
            continue
        write_atomic(out, data)
        return []
    assert failed is not None
    raise failed


def _as_onnx(net: torch.nn.Module, steered: MMRealSR | Conditioned | None, sides: tuple[int, int]) -> bytes:
    """The file that torch's exporter makes of a network by an image of that size; raises UserError as `to_onnx`."""
    kind = type(net).__name__
    lr = torch.rand(2, 3, *sides, generator=torch.Generator().manual_seed(0))
    axes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    if steered is not None:
        module: torch.nn.Module = _Told(steered)
        arguments, names, dynamic = (lr, torch.full((2, 2), 0.5)), ["lr", "scores"], (axes, {0: axes[0]})
    else:
        module, arguments, names, dynamic = net, (lr,), ["lr"], (axes,)
    told = cast("tuple[Tensor, ...]", arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own insides
        try:
            program = torch.onnx.export(
                module.eval(),
                told,
                input_names=names,
                output_names=["sr"],
                dynamic_shapes=dynamic,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # what it cannot follow of the networks of others
            why = type(error).__name__
            raise UserError(f"torch's ONNX exporter cannot follow {kind} ({why}); name a .pth") from None
    assert program is not None
    data = program.model_proto.SerializeToString()
    _check_onnx(data, module, told, names, kind)
    return data


def _check_onnx(
    data: bytes, module: torch.nn.Module, arguments: tuple[Tensor, ...], names: Sequence[str], kind: str
) -> None:
    """Raises UserError where onnxruntime makes other images of it than torch does."""
    import onnxruntime  # pyright: ignore

    session: Any = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    lr, *rest = arguments
    for seen in (lr, lr[:1, :, :32, :40], lr[:1, :, :31, :33]):
        told = [seen, *(each[: len(seen)] for each in rest)]
        with torch.no_grad():
            wanted = module(*told)
        try:
            found = torch.from_numpy(session.run(None, {n: v.numpy() for n, v in zip(names, told, strict=True)})[0])
            off = (found - wanted).abs().max().item() if found.shape == wanted.shape else math.inf
        except Exception:  # it runs at no other size
            off = math.inf
        if off > _LEVEL:
            px = f"{seen.shape[3]}x{seen.shape[2]}"
            raise UserError(
                f"torch's ONNX exporter makes another network of {kind} (an image of {px} px is off by {off:.2g}); "
                "nothing is written, name a .pth"
            )
