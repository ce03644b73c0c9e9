"""How a training is asked to stop."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Generator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that the step under way is finished and saved first."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt  # the second time it is meant at once
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_it_to_the_training(_: int) -> None:
    """In a loader: a scheduler asks the whole job to stop, and the step under way still wants its batch."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class Interrupted(Exception):
    """A training that was asked to stop, after it was saved; step: how far it is."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step
