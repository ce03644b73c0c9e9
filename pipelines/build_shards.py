"""Renders the shards that a store lacks, on any executor, and says what went wrong in one line each."""

from collections.abc import Callable
from pathlib import Path

from ..degrade.disk import only_builder, remove_partials
from ..degrade.errors import UserError
from ..degrade.shards import Commit, Store, finish, missing_shards
from .console import progress
from .executors import Executor, run


def render_missing(store: Store, render: Callable[[int], Commit], executor: Executor, *, title: str) -> int:
    """Call `render` for each shard without a mark, then finish the store; gives back how many samples were rendered.

    A shard that fails is named and the others go on; the next run renders it.

    Raises:
        UserError: some shards could not be rendered, with the reason of the first.
    """
    with only_builder(store.path):
        todo = missing_shards(store)
        remove_partials(store.path)
        failures: list[tuple[int, Exception]] = []
        rendered = 0
        if todo:
            with progress(title, sum(len(store.layout.rows(shard)) for shard in todo)) as advance:
                for outcome in run(render, todo, executor):
                    if outcome.error is not None:
                        failures.append((outcome.task, outcome.error))
                    else:
                        rendered += len(store.layout.rows(outcome.task))
                    advance(len(store.layout.rows(outcome.task)), "")
        if failures:
            raise _failed(store.path, failures)
        finish(store)
    return rendered


def _failed(path: Path, failures: list[tuple[int, Exception]]) -> Exception:
    shard, error = min(failures, key=lambda failure: failure[0])
    if not isinstance(error, UserError | OSError):
        return error  # a fault of ours: show where it happened
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return UserError(
        f"{path}: {len(failures)} shards were not rendered; shard {shard}: {reason}; mend that and run again"
    )
