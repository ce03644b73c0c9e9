"""A run of scale 1 made one that enlarges, by bicubic enlarging in front of it."""

from pathlib import Path

from ..degrade.errors import UserError
from .files.open import made_by
from .networks.baselines.enlarged import EnlargedConfig
from .runs.model_file import read_model, write_run
from .runs.moments import model_file


def enlarge(run: Path, scale: int, out: Path) -> Path:
    """Write a run of a network of scale 1 behind bicubic enlarging; gives its file.

    Raises:
        UserError: the run is none, or of a network that enlarges by itself, or `out` holds something.
    """
    model = read_model(model_file(run))
    config = made_by(model.config) or {}
    network = config.get("network", {})
    if network.get("scale") != 1:
        raise UserError(f"{run} enlarges {network.get('scale')} times by itself; name a run of scale 1, as CUGAN's")
    around = {"arch": EnlargedConfig.model_fields["arch"].default, "scale": scale, "inner": network}
    weights = {f"inner.{name}": value for name, value in model.weights.items()}
    return write_run(out, weights, config | {"network": around})
