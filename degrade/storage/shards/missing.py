"""Renders the shards that a store lacks, whatever runs them, and says what went wrong in one line each."""

import errno
from collections.abc import Callable, Iterable

import pyarrow as pa

from ...errors import UserError
from ...progress import progress
from ...tasks import Run
from .. import location
from .store import Store
from .writer import finish, prepare

_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # of the target: no other shard fares better


def render_missing(
    store: Store,
    render: Callable[[int], None],
    run: Run,
    still_ours: Callable[[], None],
    *,
    title: str,
    schema: pa.Schema,
    plan: Callable[[], Iterable[pa.Table]],
) -> int:
    """Call `render` for each shard without a mark, then finish the store; gives back how many samples were rendered.

    still_ours: of the lock on the store, which the caller holds. schema, plan: as of `prepare`. A shard that fails is
    named and the others go on; the next run renders it.

    Raises:
        UserError: some shards could not be rendered, with the reason of the first.
    """
    location.remove_partials(store.path)
    todo = prepare(store, schema, plan)
    failures: list[tuple[int, Exception]] = []
    rendered = 0
    if todo:
        with progress(title, sum(len(store.layout.rows(shard)) for shard in todo)) as advance:
            for outcome in run(render, todo):
                still_ours()
                if outcome.error is not None:
                    failures.append((outcome.task, outcome.error))
                    if isinstance(outcome.error, OSError) and outcome.error.errno in _HOPELESS:
                        break
                else:
                    rendered += len(store.layout.rows(outcome.task))
                advance(len(store.layout.rows(outcome.task)), f"{len(failures)} shards failed" if failures else "")
    if failures:
        raise _failed(store, failures)
    finish(store)
    return rendered


def _failed(store: Store, failures: list[tuple[int, Exception]]) -> Exception:
    shard, error = min(failures, key=lambda failure: failure[0])
    if not isinstance(error, UserError | OSError):
        return error  # a fault of ours: show where it happened
    count = "1 shard was" if len(failures) == 1 else f"{len(failures)} shards were"
    reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
    return UserError(f"{store.path}: {count} not rendered; shard {shard}: {reason}; correct that and run again")
