"""Where a training is watched from outside: TensorBoard and Weights & Biases."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...degrade.errors import UserError
from ...degrade.images.pixels import U8
from ...degrade.storage.local import write_atomic
from ...degrade.storage.provenance import Json
from ..engine.training import LoopConfig


class Events:
    """Figures and pictures of a training, for those who follow it; nobody may."""

    def __init__(self, run: Path, config: LoopConfig, whole_config: Json, *, wanted: bool) -> None:
        """wanted: not by all of several processes. Raises UserError where a package is missing."""
        self._tensorboard = _tensorboard(run) if wanted and config.tensorboard else None
        self._wandb = _wandb(run, whole_config) if wanted and config.wandb else None

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        if self._tensorboard is not None:
            with _named(self._tensorboard.log_dir):
                for name, value in values.items():
                    self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None and values:
            self._wandb.log(dict(values), step=step)

    def pictures(self, step: int, images: Mapping[str, U8]) -> None:
        """[H, W, 3] each."""
        if self._tensorboard is not None:
            with _named(self._tensorboard.log_dir):
                for name, pixels in images.items():
                    self._tensorboard.add_image(name, pixels, step, dataformats="HWC")
        if self._wandb is not None and images:
            import wandb  # pyright: ignore

            self._wandb.log({name: wandb.Image(pixels) for name, pixels in images.items()}, step=step)  # pyright: ignore

    def close(self) -> None:
        """What is not written yet is."""
        if self._wandb is not None:
            self._wandb.finish()
        if self._tensorboard is not None:
            with _named(self._tensorboard.log_dir):
                self._tensorboard.close()


@contextmanager
def _named(folder: str) -> Generator[None]:
    """Name the folder of a trouble of TensorBoard's writing thread, which does not say of what."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, folder) from None


def _tensorboard(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("loop.tensorboard needs the package: pip install 'rwsr[tensorboard]'") from None
    return SummaryWriter(str(run / "tensorboard"))


def _wandb(run: Path, whole_config: Json) -> Any:
    """One run there for the folder, however often the training goes on; WANDB_PROJECT and the like are obeyed."""
    try:
        import wandb  # pyright: ignore
    except ImportError:
        raise UserError("loop.wandb needs the package: pip install 'rwsr[wandb]'") from None
    name = run / "wandb.txt"
    if not name.exists():
        write_atomic(name, uuid4().hex.encode())
    return wandb.init(  # pyright: ignore
        dir=str(run), id=name.read_text(), resume="allow", name=run.resolve().name, config=whole_config
    )
