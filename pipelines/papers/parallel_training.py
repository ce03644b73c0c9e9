"""Several trainings as one step: one after the other, or so many at once, each in a process of its own with a log."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from threading import Thread

from ...degrade.progress import progress, say
from ...degrade.storage.location import Place
from ..pipeline import Named, place_of
from ..stages.base import Artifact, Given, Stage, Work


def telling(named: Named, at: Place, given: Given, make: Callable[[], Artifact]) -> Artifact:
    """Do a stage by calling it, and say what it made."""
    say(f"{named.name}:")
    made = make()
    for line in made.lines:
        say(f"  {line}")
    return made


def train_all(trainings: Sequence[Named], out: Path, made: Mapping[str, Artifact], workers: int) -> None:
    """Train below `out` what has the stages that are made as inputs. Of several at once each has one thread of
    arithmetic, its log beside its run, and where there are several GPUs they share them out.
    """
    from ...train.engine.distributed import gpus

    given, ready = Given(made), list[_Ready]()
    for each in trainings:
        at = place_of(each, out, out / "runs", given)
        assert isinstance(at, Path)
        ready.append(_Ready(at, each.stage, made))
    if workers == 1 or len(ready) == 1:
        for number, each in enumerate(ready, 1):
            say(f"{each.run.name} ({number} of {len(ready)}):")
            each.train()
        return
    say(f"{len(ready)} trainings, {workers} at once, each with its log beside it in {ready[0].run.parent}:")
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(workers, context, _begin, (os.getpid(), context.Value("i", 0), gpus())) as pool,
        progress("trainings", len(ready)) as advance,
    ):
        waiting: list[Future[str]] = [pool.submit(partial(_logged, each)) for each in ready]
        try:
            for done in as_completed(waiting):
                advance(1, done.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what runs is finished, what waits is left
            raise


@dataclass(frozen=True)
class _Ready:
    """A training with its inputs, which can be sent to another process."""

    run: Path
    stage: Stage
    made: Mapping[str, Artifact]

    def train(self) -> None:
        self.stage.run(self.run, Given(self.made), Work())


def _logged(training: _Ready) -> str:
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


def _begin(parent: int, begun: "Synchronized[int]", gpus: Sequence[str]) -> None:
    """In a process that trains: it has one GPU of all, and ends when the one that started it is gone, however it went:
    no two may train one run.
    """
    with begun.get_lock():
        number = begun.value
        begun.value += 1
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
