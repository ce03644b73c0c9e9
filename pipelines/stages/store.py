"""A store of groups or pairs, and its export as folders of PNG."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, PrivateAttr

from ...degrade import build_store
from ...degrade.config import compose_values, validated
from ...degrade.errors import UserError
from ...degrade.export_store import export
from ...degrade.fill_store import as_grown
from ...degrade.images import sources
from ...degrade.images.listing import IndexConfig
from ...degrade.images.rows import Rows, concat
from ...degrade.quality.disorder import disorder_of
from ...degrade.recipes.store_config import StoreConfig, store_preset
from ...degrade.samples import check_bank_named
from ...degrade.storage.location import Place, absolute
from ...degrade.storage.provenance import canonical, sha256_of
from ...degrade.storage.shards.verify import digest
from ...noisebank.bank import NoiseBank
from .base import Artifact, Given, Input, Inputs, Stage, Work, counts, folders_of
from .images import open_distilled, rows_of


class Store(Stage):
    """A store of groups or pairs."""

    kind: ClassVar[str] = "store"
    folder: ClassVar[str] = "stores"
    suffix: ClassVar[str] = ".zarr"
    refs: ClassVar[tuple[str, ...]] = ("source", "clean", "distilled", "bank")

    source: Inputs = Field(min_length=1)
    """Indexes or scans, or folders of images."""
    clean: Inputs = ()
    """And such of clean images, of which rwsr-edl takes HR as it is, where it shrinks that of the others."""
    distilled: Inputs = ()
    """Noise banks whose distilled images are sources too, or distilled lists."""
    bank: Input | None = None
    """The noise bank that the recipe takes noise from."""
    preset: str | None = None
    """A preset of `rwsr degrade`; none where config is whole."""
    config: dict[str, Any] = {}
    """Keys of the preset that are changed."""
    images: IndexConfig = IndexConfig(role="hr")
    """Of folders: which images count as usable."""

    _composed: StoreConfig | None = PrivateAttr(None)

    @classmethod
    def of(cls, config: StoreConfig, **inputs: Any) -> Self:
        """A store of a config that is whole."""
        found = cls(config=config.model_dump(mode="json"), **inputs)
        found._composed = config
        return found

    def store_config(self) -> StoreConfig:
        """What it is a store of, composed once; raises UserError."""
        if self._composed is None:
            if self.preset is None:
                self._composed = validated(StoreConfig, self.config, "config")
            else:
                self._composed = compose_values(store_preset(self.preset), self.config)
        return self._composed

    def check(self, stages: Mapping[str, Stage]) -> None:
        check_bank_named(self.store_config(), self.bank is not None)
        if self.clean and set(self.clean) & set(self.source):
            raise UserError("a folder is among `source` and `clean`; name it once")

    def identity(self, given: Given) -> str:
        return sha256_of([canonical(self.store_config().model_dump(mode="json")), *map(given.identity, self.inputs())])

    def rows(self, at: Place, given: Given, work: Work) -> Rows:
        """Every image that there is, duplicates marked; folders are indexed beside the store."""
        refs = [*self.source, *self.clean]
        of_index = concat(rows_of(given[ref]) for ref in refs if ref in given)
        folders = folders_of(given, [ref for ref in refs if ref not in given])
        index_at = at.with_name(f"{at.name}.index.parquet")
        of_folders = sources.index(folders, index_at, self.images, work.run) if folders else []
        rows = sources.mark_duplicates(concat([of_index, of_folders, open_distilled(given, self.distilled)]))
        sources.name_left_out(of_folders)
        if of_index:
            sources.write(index_at, rows, self.images)
        return rows

    def plan(self, at: Place, given: Given, work: Work) -> tuple[build_store.Plan, Rows]:
        """What would be built, and of which images."""
        rows = self.rows(at, given, work)
        bank = NoiseBank.open(given.at(self.bank)) if self.bank else None
        roots = {str(absolute(folder)) for folder in folders_of(given, self.clean)}
        clean = [row.sha256 for row in rows if row.root in roots and row.status == "ok"] if roots else []
        config = as_grown(at, self.store_config())
        return build_store.plan(config, rows, bank, clean=clean), rows

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        plan, rows = self.plan(at, given, work)
        config = plan.config
        _, num_rendered = build_store.build(at, plan, work.run)
        made = build_store.open_samples(at)
        found, disorder = digest(made), disorder_of(made)
        noun = "pairs" if disorder is None else "groups"
        lines = [sources.summary(rows)]
        if plan.clean:
            lines.append(f"{len(plan.clean)} of them are clean: HR as it is")
        if plan.too_small:
            lines.append(
                f"{len(plan.too_small)} of them are smaller than a crop of {config.crop_size_px} px, as "
                f"{plan.too_small[0].path}"
            )
        if disorder is not None:
            lines.append(disorder.line)
        done = f"rendered {num_rendered} {noun}" if num_rendered else f"all {noun} were there already"
        lines += [f"{done}; {at} holds {config.num_samples}, digest {found[:16]}"]
        values = {
            "store": str(at),
            "rendered": num_rendered,
            "num_samples": config.num_samples,
            "digest": found,
            "counts": counts(rows),
            "clean": len(plan.clean),
            "smaller_than_crop": len(plan.too_small),
            "disorder": None if disorder is None else disorder.as_dict(),
        }
        return Artifact(self.kind, at, found, values, lines, rows, changed=num_rendered > 0)


class Export(Stage):
    """The samples of a store as folders of PNG, which BasicSR, neosr and traiNNer read."""

    kind: ClassVar[str] = "export"
    folder: ClassVar[str] = "exports"
    refs: ClassVar[tuple[str, ...]] = ("store",)

    store: Input
    """The store."""

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        opened = build_store.open_samples(given.at(self.store))
        out = Given({}).on_disk(at)
        count, written = export(opened, out, work.run)
        folders = ["hr", *opened.attributes["members"]]
        line = f"{out} holds {count} samples in {', '.join(folders)}; {written} were written now"
        values = {"out": str(out), "samples": count, "written": written, "folders": folders}
        return Artifact(self.kind, at, digest(opened), values, [line], changed=written > 0)
