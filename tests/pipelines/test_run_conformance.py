"""What every way of running tasks must do, by the fixture `executor`: the serial way is the specification."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.images import sources
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.tasks import Run
from rwsr.pipelines.executors import runner


def square(task: int, offset: int) -> int:
    if task == 3:
        raise ValueError("three is not for me")
    return task * task + offset


@pytest.mark.slow
def test_every_task_has_its_outcome(executor: Run) -> None:
    """All results arrive, and the one error stays with its task."""
    outcomes = {o.task: o for o in executor(partial(square, offset=1), range(12))}
    assert sorted(outcomes) == list(range(12))
    assert {t: o.result for t, o in outcomes.items() if o.error is None} == {t: t * t + 1 for t in range(12) if t != 3}
    assert str(outcomes[3].error) == "three is not for me"


@pytest.mark.slow
def test_no_tasks_is_no_outcome(executor: Run) -> None:
    """An empty list ends at once."""
    assert list(executor(partial(square, offset=0), [])) == []


def _fails_twice(task: int, folder: Path, error: type[Exception]) -> int:
    tries = folder / f"{task}.{error.__name__}"
    tries.write_bytes(tries.read_bytes() + b"x" if tries.exists() else b"x")
    if len(tries.read_bytes()) < 3:
        raise error("not now")
    return task


@pytest.mark.slow
def test_what_may_pass_is_tried_again_and_what_may_not_is_not(executor: Run, tmp_path: Path) -> None:
    """The network's errors three times in all; a wrong value, or a full disk, once."""
    [passed] = executor(partial(_fails_twice, folder=tmp_path, error=ConnectionError), [1])
    [stayed] = executor(partial(_fails_twice, folder=tmp_path, error=PermissionError), [1])
    assert passed.result == 1 and isinstance(stayed.error, PermissionError)
    assert len((tmp_path / "1.PermissionError").read_bytes()) == 1


@pytest.mark.slow
def test_a_store_is_the_same_bytes(
    executor: Run, photos: Path, tmp_path: Path, tree: Callable[[Path], dict[str, bytes]]
) -> None:
    """Serial is the specification, to the byte of every file."""
    config = compose(store_preset("mm-realsr"), hr_size_px=64, num_samples=30, shard_mib=0.1)
    planned = build_store.plan(
        config, sources.index([photos], tmp_path / "i.parquet", sources.IndexConfig(), runner(1))
    )
    build_store.build(tmp_path / "serial.zarr", planned, runner(1))
    build_store.build(tmp_path / "other.zarr", planned, executor)
    assert tree(tmp_path / "other.zarr") == tree(tmp_path / "serial.zarr")
