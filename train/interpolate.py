"""Deep network interpolation (Wang et al. 2019; CUGAN section 3.4): a model between two of one network."""

from pathlib import Path

from ..degrade.errors import UserError
from ..eval.protocols.interpolation import interpolated
from .files.open import made_by
from .runs.model_file import ModelFile, read_model, write_run
from .runs.moments import model_file


def interpolate(a: Path, b: Path, alpha: float, out: Path) -> Path:
    """Write (1 - alpha) of the weights of a and alpha of those of b as a run, with the config of a; gives its file.

    CUGAN's alpha has the GAN's model as a and the MSE model as b; its condition network is interpolated too.

    Raises:
        UserError: they are not of one network, or `out` holds something.
    """
    first, second = (_model(path) for path in (a, b))
    networks = [(made_by(each.config) or {}).get("network") for each in (first, second)]
    if networks[0] != networks[1]:
        raise UserError(f"{a} and {b} are not of one network; interpolate models that were trained from one another")
    return write_run(out, interpolated(first.weights, second.weights, alpha), first.config)


def _model(path: Path) -> ModelFile:
    return read_model(model_file(path))
