"""Where an artefact comes from: enough to build it again, and to tell whether two builds are the same."""

import hashlib
import json
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import cv2
from pydantic import BaseModel, ValidationError

from ..errors import StoreError
from ..family import Frozen
from .former import config_now, sharpened_as_then

_RENAMED_IN = 6  # the format whose configs first had the names of now
FORMATS = {  # of each kind of artefact; the one before is read too, and never written
    "sources-index": 6,
    "tile-statistics": 6,
    "noise-bank": 7,
    "distilled-list": 6,
    "group-store": 7,
    "pair-store": 7,
    "quality-report": 7,
    "metric-report": 7,
    "metric-examples": 6,
    "run": 6,  # run.json, and the checkpoints beside it
    "model": 6,
}
_PACKAGES = ("rwsr", "numpy", "opencv-python-headless", "pillow", "pyarrow", "scipy", "simplejpeg", "zarr")

Json = dict[str, Any]


class Provenance(Frozen):
    """The identity of an artefact. It has no time, host or path: the same build anywhere gives the same provenance."""

    format: int
    """Of this kind of artefact."""
    kind: str
    """What it is ("group-store", say)."""
    config: Json
    """The canonical dump of the config model that made it."""
    config_sha256: str
    """Of the config."""
    inputs_sha256: str
    """Of what went in (the sources' hashes, the plan)."""
    versions: dict[str, str]
    """Of the packages that the bytes hold for."""
    cpu: str
    """Its features, that the bytes hold for: elsewhere float filters may differ by one gray level."""

    @property
    def values(self) -> Json:
        """The config by the names of now, where an earlier format has others."""
        known = self.config if self.format >= _RENAMED_IN else config_now(self.config)
        return sharpened_as_then(known)


def canonical(value: object) -> str:
    """The one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def sha256_of(parts: Iterable[str]) -> str:
    """The hash of a sequence of hashes or names, in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()


@cache
def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


@cache
def _cpu() -> str:
    return " ".join(cv2.getCPUFeaturesLine().split())


def provenance(kind: str, config: BaseModel, inputs_sha256: str, *, also: tuple[str, ...] = ()) -> Provenance:
    """The provenance of what `config` makes of those inputs, here and now.

    also: packages that its bytes hold for, beside those of all.
    """
    dump = config.model_dump(mode="json")
    return Provenance(
        format=FORMATS[kind],
        kind=kind,
        config=dump,
        config_sha256=sha256(canonical(dump)),
        inputs_sha256=inputs_sha256,
        versions=_versions((*_PACKAGES, *also)),
        cpu=_cpu(),
    )


def here(of: Provenance) -> Provenance:
    """The provenance that the same build would have in this process."""
    also = tuple(name for name in of.versions if name not in ("python", *_PACKAGES))
    return of.model_copy(update={"versions": _versions((*_PACKAGES, *also)), "cpu": _cpu()})


def check_format(found: object, kind: str, where: str) -> None:
    """Check that this version reads what lies somewhere.

    Raises:
        StoreError: it is of a format that is neither this version's nor the one before.
    """
    known = FORMATS[kind]
    if found not in (known, known - 1):
        raise StoreError(
            f"{where} is a {kind} of format {found!r}, this rwsr reads formats {known - 1} and {known}; "
            "use the rwsr that wrote it, or make it again"
        )


def parse(value: object, kind: str, where: str) -> Provenance:
    """The provenance that an artefact carries.

    Raises:
        StoreError: it is of another kind, or of a format that this version does not know.
    """
    if not isinstance(value, dict):
        raise StoreError(f"{where} carries no provenance that can be read; build it again")
    if value.get("kind") != kind:
        raise StoreError(f"{where} is a {value.get('kind')}, not a {kind}; name the right folder or file")
    check_format(value.get("format"), kind, where)
    try:
        made = Provenance.model_validate(value)
    except ValidationError:
        raise StoreError(f"{where} carries a damaged provenance; build it again") from None
    if sha256(canonical(made.config)) != made.config_sha256:
        raise StoreError(f"{where} carries a config that is not the one that was hashed; build it again")
    return made


_SAID_LAST = ("grown_from",)  # follows from other keys, which a person changed


def _first_difference(old: Any, new: Any, path: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        names: list[str] = sorted(old.keys() | new.keys())
        for name in [*(each for each in names if each not in _SAID_LAST), *_SAID_LAST]:
            if old.get(name) != new.get(name):
                return _first_difference(old.get(name), new.get(name), f"{path}.{name}".lstrip("."))
    return f"{path} was {old!r}, now {new!r}"


def check_same(old: Provenance, new: Provenance, where: str) -> None:
    """Check that what lies somewhere is what a build would make.

    Raises:
        StoreError: the format, the config or the inputs are not the same.
    """
    check_written(old, new, where)
    if old.config != new.config:
        difference = _first_difference(old.config, new.config)
        raise StoreError(
            f"{where} holds a build of another config ({difference}); use another --out, or remove {where}"
        )
    if old.inputs_sha256 != new.inputs_sha256:
        raise StoreError(f"{where} was built from other inputs; use another --out, or remove {where}")


def check_written(old: Provenance, new: Provenance, where: str) -> None:
    """Raises StoreError where what lies somewhere is of a format that is no longer written."""
    if old.format != new.format:
        raise StoreError(
            f"{where} is of format {old.format}, which is read and no longer written (now {new.format}); "
            f"use another --out, or remove {where}"
        )


def check_same_environment(old: Provenance, new: Provenance, where: str) -> None:
    """Check that a build may go on where another began, without mixing the bytes of two environments.

    Raises:
        StoreError: the package versions or the CPU features are not the same.
    """
    if (old.versions, old.cpu) != (new.versions, new.cpu):
        difference = _first_difference(old.versions | {"cpu": old.cpu}, new.versions | {"cpu": new.cpu})
        raise StoreError(
            f"{where} was begun in another environment ({difference}), which may change bytes; "
            f"finish it there, or remove {where}"
        )
