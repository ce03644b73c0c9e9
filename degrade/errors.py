"""The errors that a user can correct: each says the name, the value, the rule and what to do, in one line."""

import difflib
from collections.abc import Sequence

_MANY = 24  # names, of which not all are listed


class UserError(ValueError):
    """Something that the caller gave is wrong; the message is one line that says how to correct it."""


class ImageError(UserError):
    """A source image cannot be used; `status` is the word for it in `index.parquet`."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)  # both, so that it can travel between processes
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class StoreError(UserError):
    """A store on disk is incomplete, damaged, foreign, or of a format that this version does not know."""


class BusyError(StoreError):
    """Another process is building in the same place."""


def did_you_mean(told: str, known: Sequence[str], others: str = "known here: ") -> str:
    """The mend of a name that is unknown: the nearest that there is, or several of very many, or all."""
    few = len(known) <= _MANY
    near = difflib.get_close_matches(told, known, n=1 if few else 3, cutoff=0.6 if few else 0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"{others}{', '.join(known if few else [*known[:_MANY], '...'])}"
