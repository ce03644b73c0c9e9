"""Any moment of a training, by name: RUN is its model, RUN@20000 the checkpoint of that step, RUN@last its last one."""

from pathlib import Path

from ...degrade.errors import StoreError

LAST = "last"
MODEL, AVERAGE = "model.safetensors", "ema.safetensors"


def moment_of(path: Path) -> tuple[Path, str | None]:
    """(the run, which of its checkpoints); None where a path names no checkpoint."""
    name, at, moment = path.name.rpartition("@")
    if not at or not name or path.exists() or not (moment == LAST or moment.isdigit()):
        return path, None
    return path.with_name(name), moment


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return run / "checkpoints" / f"step-{step:08d}"


def steps_saved(run: Path) -> list[int]:
    """The steps with a checkpoint, in order."""
    names = (path.name.removeprefix("step-") for path in (run / "checkpoints").glob("step-????????") if path.is_dir())
    return sorted(int(name) for name in names if name.isdigit())


def model_file(path: Path) -> Path:
    """The model file of a finished run, the averaged weights of a checkpoint (RUN@20000, RUN@last), or the file itself.

    Raises:
        StoreError: there is no such checkpoint.
    """
    if moment_of(path)[1] is None:
        return path / MODEL if path.is_dir() else path
    return checkpoint_at(path) / AVERAGE


def checkpoint_at(path: Path) -> Path:
    """The folder of a checkpoint by its name (RUN@20000, RUN@last), of a run alone that of its last.

    Raises:
        StoreError: there is no such checkpoint.
    """
    run, moment = moment_of(path)
    steps = steps_saved(run)
    if not steps:
        raise StoreError(f"{run} has no checkpoint; name the folder of a training that has saved one")
    step = steps[-1] if moment in (LAST, None) else int(moment)
    if step not in steps:
        there = ", ".join(map(str, steps))
        raise StoreError(f"{run} has no checkpoint of step {step}; there are {there} (loop.keep_every keeps more)")
    return checkpoint_folder(run, step)
