"""Tables as JSON that carry their own hash."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...degrade.errors import StoreError
from ...degrade.storage.provenance import Json, canonical, sha256

_MEND = "copy it again, or remove the run and train from the start"


def bound(value: Mapping[str, Any]) -> bytes:
    """A table as JSON that carries its own hash."""
    return json.dumps({**value, "sha256": sha256(canonical(value))}, indent=1).encode()


def unbound(path: Path) -> Json:
    """The table that `bound` wrote; raises StoreError where it is another."""
    try:
        value = json.loads(path.read_bytes())
        wanted = value.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(f"{path} is missing or damaged ({type(error).__name__}); {_MEND}") from None
    if wanted != sha256(canonical(value)):
        raise StoreError(f"{path} is damaged: its hash is another; {_MEND}")
    return value
