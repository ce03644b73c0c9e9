"""Renders the shards that a store lacks, whatever runs them, and says what went wrong in one line each."""

import errno
from collections.abc import Callable, Iterable

import pyarrow as pa

from ...errors import UserError
from ...progress import progress
from ...tasks import Run
from .. import location
from .commits import BUILDING, Commit
from .parts import merging
from .store import Store
from .writer import prepare

_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # of the target: no other shard fares better


def render_missing(
    store: Store,
    render: Callable[[int], Commit],
    run: Run,
    still_ours: Callable[[], None],
    *,
    title: str,
    schema: pa.Schema,
    plan: Callable[[], Iterable[pa.Table]],
) -> int:
    """Call `render`, which gives back the mark that it wrote, for each shard without one, until the store is whole;
    gives back how many samples were rendered.

    still_ours: of the lock on the store, which the caller holds. schema, plan: as of `prepare`. A shard that fails is
    named and the others go on; the next run renders it.

    Raises:
        UserError: some shards could not be rendered, with the reason of the first.
    """
    location.remove_partials(store.path)
    prepared = prepare(store, schema, plan)
    if prepared.finished is not None:
        rendered = _render(store, prepared.todo, render, run, still_ours, title, lambda _: None)
    else:
        with merging(store, prepared.marks) as manifest:
            rendered = _render(store, prepared.todo, render, run, still_ours, title, manifest.add)
    location.remove_below(store.path / BUILDING)
    return rendered


def _render(
    store: Store,
    todo: list[int],
    render: Callable[[int], Commit],
    run: Run,
    still_ours: Callable[[], None],
    title: str,
    done: Callable[[Commit], None],
) -> int:
    if not todo:
        return 0
    failures: list[tuple[int, Exception]] = []
    rendered = 0
    with progress(title, sum(len(store.layout.rows(shard)) for shard in todo)) as advance:
        for outcome in run(render, todo):
            still_ours()
            if outcome.error is not None:
                failures.append((outcome.task, outcome.error))
                if isinstance(outcome.error, OSError) and outcome.error.errno in _HOPELESS:
                    break
            else:
                assert outcome.result is not None
                done(outcome.result)
                rendered += len(store.layout.rows(outcome.task))
            advance(len(store.layout.rows(outcome.task)), f"{len(failures)} shards failed" if failures else "")
    if failures:
        raise _failed(store, failures)
    return rendered


def _failed(store: Store, failures: list[tuple[int, Exception]]) -> Exception:
    shard, error = min(failures, key=lambda failure: failure[0])
    if not isinstance(error, UserError | OSError):
        return error  # a fault of ours: show where it happened
    count = "1 shard was" if len(failures) == 1 else f"{len(failures)} shards were"
    reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
    return UserError(f"{store.path}: {count} not rendered; shard {shard}: {reason}; correct that and run again")
