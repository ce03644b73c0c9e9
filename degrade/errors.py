"""The errors that a user can correct: each says the name, the value, the rule and what to do, in one line."""


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
