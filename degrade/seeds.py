"""Random streams keyed by what they are for, never by which worker draws them or when.

A stream is a Philox generator (counter-based, 128-bit key) whose key is the SHA-256 of the seed and of the
identity of the draw. Two streams with different identities are independent; the same identity gives the
same numbers on every machine, in any order, after any interruption.
"""

import hashlib
import json

import numpy as np


def key(seed: int, *identity: str | int) -> int:
    """The 128-bit key of the stream that `seed` and `identity` name."""
    text = json.dumps([seed, *identity], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def stream(seed: int, stage: str, *identity: str | int) -> np.random.Generator:
    """The generator for one purpose: `stream(seed, "groups", source_sha256, sample, "base")`."""
    return from_key(key(seed, stage, *identity))


def from_key(value: int) -> np.random.Generator:
    """The generator of a key that was stored (the random field of a noise step, say)."""
    return np.random.Generator(np.random.Philox(key=value))
