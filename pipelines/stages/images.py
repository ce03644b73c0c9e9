"""Image folders indexed, and scanned for a noise bank; the noise bank."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ...degrade.errors import StoreError, UserError
from ...degrade.images import known_datasets, sources
from ...degrade.images.listing import IndexConfig
from ...degrade.images.rows import Rows, SourceRow
from ...degrade.progress import say
from ...degrade.storage.location import Place, place
from ...noisebank import build_bank
from ...noisebank.bank import BankConfig
from ...noisebank.describe import bank_lines, bank_values
from ...noisebank.scan import scan
from ...noisebank.set_scan import ScanConfig, SetScan, open_scan, scan_grids, set_scans
from .base import Artifact, Given, Input, Inputs, Ref, Stage, Texts, Work, counts, folders_of


class Index(Stage):
    """Image folders, read into a table: what stores are made of and models are measured on."""

    kind: ClassVar[str] = "index"
    folder: ClassVar[str] = ""
    refs: ClassVar[tuple[str, ...]] = ("folders", "apart_from")
    of_folders: ClassVar[bool] = True

    folders: Annotated[Inputs, Field(min_length=1)]
    """Folders of images."""
    apart_from: Texts = ()
    """Indexes or scans that may have none of these images: what is trained on, for what is measured on."""
    images: IndexConfig = IndexConfig()
    """Which images count as usable."""

    def check(self, stages: Mapping[str, Stage]) -> None:
        for ref in self.apart_from:
            if not isinstance(stages.get(ref), Index | Scan):
                raise UserError(f"apart_from: {ref} is no index or scan among the stages; name one")

    def place(self, out: Place, name: str, given: Given) -> Place:
        return out / f"{name}.index.parquet"

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        before = _known(at)
        rows = sources.index(folders_of(given, self.folders), at, self.images, work.run)
        for ref in self.apart_from:
            sources.check_apart(rows_of(given[ref]), rows)
        sources.name_left_out(rows)
        found = known_datasets.recognise(rows)
        identity = sources.sources_sha256(rows)
        lines = [*(each.line for each in found), sources.summary(rows), f"wrote {at}"]
        values = {
            "index": str(at),
            "folders": list(map(str, folders_of(given, self.folders))),
            "counts": counts(rows),
            "layouts": [each.as_dict() for each in found],
        }
        return Artifact(self.kind, at, identity, values, lines, rows, changed=before != identity)


def _known(at: Place) -> str | None:
    """The identity of what an index has."""
    try:
        return sources.sources_sha256(sources.read(at))
    except StoreError:
        return None


class Scan(Stage):
    """Image folders indexed and every tile of them measured, at one decode: what noise banks are cut from."""

    kind: ClassVar[str] = "scan"
    folder: ClassVar[str] = ""
    refs: ClassVar[tuple[str, ...]] = ("target", "auxiliary")
    of_folders: ClassVar[bool] = True

    target: Annotated[Inputs, Field(min_length=1)]
    """Folders of the target data set."""
    auxiliary: Inputs = ()
    """Folders of auxiliary sets, each one set."""
    grids: ScanConfig = ScanConfig(grids=scan_grids(BankConfig().grids()))
    """Sides and strides of the tiles."""
    images: IndexConfig = IndexConfig(role="lr")
    """Which images count as usable."""

    def place(self, out: Place, name: str, given: Given) -> Place:
        return out / f"{name}.scan"

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        target, auxiliary = folders_of(given, self.target), folders_of(given, self.auxiliary)
        before = _scanned(at, len(auxiliary))
        found, rows = scan_sets(at, target, auxiliary, self.grids, self.images, work)
        tiles = {each.name: each.num_tiles() for each in found}
        lines = [sources.summary(rows)]
        for name, by_size in tiles.items():
            lines.append(f"{name}: " + ", ".join(f"{count:,} tiles of {size} px" for size, count in by_size.items()))
        values = {"scan": str(at), "folders": list(map(str, target)), "num_tiles": tiles, "counts": counts(rows)}
        identity = build_bank.inputs_sha256(found)
        return Artifact(self.kind, at, identity, values, [*lines, f"wrote {at}"], rows, changed=before != identity)


def _scanned(at: Place, num_auxiliary: int) -> str | None:
    """The identity of what a scan has."""
    try:
        return build_bank.inputs_sha256(set_scans(at, num_auxiliary))
    except StoreError:
        return None


def scan_sets(
    out: Place, target: Sequence[Place], auxiliary: Sequence[Place], config: ScanConfig, images: IndexConfig, work: Work
) -> tuple[tuple[SetScan, ...], list[SourceRow]]:
    """Measure every tile of the sets; says which files were left out and which folders are well known."""
    found, rows = scan(out, target, auxiliary, config, images, work.run)
    sources.name_left_out(rows)
    for each in known_datasets.recognise(rows):
        say(each.line)
    return found, rows


def rows_of(made: Artifact) -> Rows:
    """The images of an index, or of a scan's target."""
    return open_scan(made.at)[0].rows() if made.kind == Scan.kind else sources.read(made.at)


class Bank(Stage):
    """A noise bank: patches of nothing but noise, cut where the target is flattest (NGDC of RWSR-EDL)."""

    kind: ClassVar[str] = "bank"
    folder: ClassVar[str] = "banks"
    suffix: ClassVar[str] = ".zarr"
    refs: ClassVar[tuple[str, ...]] = ("scan", "target", "auxiliary")

    scan: Input | None = None
    """A scan, whose tiles are taken."""
    target: Inputs = ()
    """Or: folders of the target data set, scanned now."""
    auxiliary: Inputs = ()
    """And folders of auxiliary sets."""
    config: BankConfig = BankConfig()
    """Tiles and rule."""
    images: IndexConfig = IndexConfig(role="lr")
    """Which images count as usable."""

    def check(self, stages: Mapping[str, Stage]) -> None:
        if (self.scan is None) == (not self.target):
            raise UserError("name either a scan, or target folders")

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        wrote: list[Place] = []
        if self.target:
            folder = at.with_name(f"{at.name}.scan")
            grids = ScanConfig(grids=scan_grids(self.config.grids()))
            target, auxiliary = folders_of(given, self.target), folders_of(given, self.auxiliary)
            scans, rows = scan_sets(folder, target, auxiliary, grids, self.images, work)
            wrote = [folder]
        else:
            assert self.scan is not None
            scans = open_scan(given.at(self.scan))
            rows = [row for each in scans for row in each.rows()]
            if self.scan not in given:
                sources.name_left_out(rows)
        scanned: Sequence[SetScan] = scans
        made, num_cut = build_bank.build(at, scans, self.config, work.run)
        wrote += [*([build_bank.distilled_path(at)] if len(scans) > 1 else []), at]
        lines = [sources.summary(rows), *bank_lines(made)]
        lines += [f"wrote {path}" for path in wrote] if num_cut else [f"{at} was there already"]
        folder = scanned[0].folder.parent
        values: dict[str, Any] = bank_values(made) | {"scan": str(folder), "counts": counts(rows)}
        values["distilled"] = str(build_bank.distilled_path(at)) if len(scans) > 1 else None
        return Artifact(self.kind, at, made.digest, values, lines, rows, changed=num_cut > 0)


def open_distilled(given: Given, refs: Sequence[Ref]) -> list[SourceRow]:
    """The images that banks distilled of their auxiliary sets, or that distilled lists have."""
    found: list[SourceRow] = []
    for ref in refs:
        listed = given[ref].values.get("distilled") if ref in given else ref
        if listed is None:
            raise UserError(f"{ref} has no auxiliary set, of which it could have distilled images")
        found += build_bank.read_distilled(place(listed))
    return found
