"""Several trainings as one step: one after the other, or so many at once, each in a process of its own with a log."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import Thread

from ...degrade.progress import progress, say


@dataclass(frozen=True)
class Training:
    """A run's folder, and what trains it, which finds it trained or goes on; both can be sent to another process."""

    run: Path
    train: Callable[[], object]


def train_all(trainings: Sequence[Training], workers: int) -> None:
    """Of several at once each has one thread of arithmetic, and its log beside its run."""
    if workers == 1 or len(trainings) == 1:
        for number, each in enumerate(trainings, 1):
            say(f"{each.run.name} ({number} of {len(trainings)}):")
            each.train()
        return
    say(f"{len(trainings)} trainings, {workers} at once, each with its log beside it in {trainings[0].run.parent}:")
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), _end_with, (os.getpid(),)) as pool,
        progress("trainings", len(trainings)) as advance,
    ):
        waiting: list[Future[str]] = [pool.submit(partial(_logged, each)) for each in trainings]
        try:
            for done in as_completed(waiting):
                advance(1, done.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what runs is finished, what waits is left
            raise


def _logged(training: Training) -> str:
    """Train it, or find it trained; gives its name."""
    from ...train.engine.distributed import use_threads
    from ..console import tell_the_person

    use_threads(1)
    tell_the_person()
    log = training.run.with_name(f"{training.run.name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file, redirect_stderr(file):
        training.train()
    return training.run.name


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, however it went: no two may train one run."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
