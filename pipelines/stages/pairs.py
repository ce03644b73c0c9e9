"""A store of real pairs; and pairs of files that a learned downscaling makes."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ...degrade.config import compose_values
from ...degrade.errors import UserError
from ...degrade.fill_store import as_grown
from ...degrade.images import sources
from ...degrade.images.listing import IndexConfig
from ...degrade.pairs.build_pairs import build_pairs, pairs_preset, plan_pairs
from ...degrade.pairs.layouts import Split
from ...degrade.pairs.listing import PairFiles, list_pairs, named_pairs
from ...degrade.pairs.pairing import Selection
from ...degrade.pairs.shifts import shifts_of
from ...degrade.recipes.base import Scale
from ...degrade.recipes.store_config import StoreConfig
from ...degrade.storage.location import Place
from ...degrade.storage.provenance import canonical, sha256_of
from ...degrade.storage.shards.verify import digest
from .base import Artifact, Given, Input, Inputs, Stage, Work, counts, folders_of


class Pairs(Stage):
    """A store of real pairs: aligned crops of files of HR and of LR."""

    kind: ClassVar[str] = "pairs"
    folder: ClassVar[str] = "stores"
    suffix: ClassVar[str] = ".zarr"
    refs: ClassVar[tuple[str, ...]] = ("source", "hr", "lr", "meta_info")
    of_folders: ClassVar[bool] = True

    source: Inputs = ()
    """Folders of pairs: of a known layout, or with files whose names say which is which."""
    hr: Input | None = None
    """Or: a folder of HR, or BasicSR's LMDB of it."""
    lr: Input | None = None
    """And of LR."""
    meta_info: Input | None = None
    """A file that lists the pairs, or the HR that are wanted."""
    split: Split | None = "train"
    """Of a layout that has both."""
    scale: Scale | None = None
    """HR size / LR size; none takes what the files have."""
    name_scale: Scale | None = None
    """Which LR, where names have several; none is `scale`."""
    include: tuple[str, ...] = ()
    """Patterns of which a file of the pair must fit one."""
    exclude: tuple[str, ...] = ()
    """Patterns of which no file of the pair may fit one."""
    config: Annotated[dict[str, Any], Field()] = {}
    """Keys of the store's config that are changed: hr_size_px, num_samples, seed, recipe.align ..."""
    images: IndexConfig = IndexConfig(min_side_px=1)
    """Which images count as usable."""

    def check(self, stages: Mapping[str, Stage]) -> None:
        if (self.hr is None) != (self.lr is None) or (self.hr is None) == (not self.source):
            raise UserError("name either folders of pairs (source), or one of HR and one of LR (hr and lr)")
        compose_values(pairs_preset(self.scale or 1), self.config)

    def store_config(self) -> StoreConfig | None:
        """What it is a store of; None where its scale is measured first."""
        return None if self.scale is None else compose_values(pairs_preset(self.scale), self.config)

    def files(self, given: Given) -> PairFiles:
        """Where the pairs are looked for."""
        return PairFiles(
            [given.at(ref) for ref in self.source],
            given.at(self.hr) if self.hr else None,
            given.at(self.lr) if self.lr else None,
            given.at(self.meta_info) if self.meta_info else None,
            self.split,
            self.name_scale or self.scale,
            Selection(self.include, self.exclude),
        )

    def identity(self, given: Given) -> str:
        """Of what is asked for, and of places, sizes and times of the files, which are not read yet."""
        config = canonical(self.model_dump(mode="json", exclude=set(self.refs)))
        files = [canonical(row.state) for pair in named_pairs(self.files(given), self.images).pairs for row in pair]
        return sha256_of([self.kind, config, *files])

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        index_at = at.with_name(f"{at.name}.index.parquet")
        listed = list_pairs(self.files(given), index_at, scale=self.scale, images=self.images, run=work.run)
        sources.name_left_out(listed.rows)
        config = compose_values(pairs_preset(listed.scale), self.config)
        if config.recipe.scale != listed.scale:
            raise UserError(
                f"recipe.scale = {config.recipe.scale}, but the pairs are of scale {listed.scale}; name another with "
                "--scale (scale: in a pipeline)"
            )
        plan = plan_pairs(as_grown(at, config), listed.pairs)
        made, num_cut = build_pairs(at, plan, work.run)
        found = digest(made)
        lines = [f"{sources.summary(listed.rows)}: {len(listed.pairs)} pairs of scale {listed.scale}"]
        if plan.too_small:
            lines.append(
                f"{len(plan.too_small)} of them have an LR smaller than {config.lr_size_px} px, as {plan.too_small[0]}"
            )
        shifts = shifts_of(made)
        lines += shifts.lines
        done = f"cut {num_cut} pairs" if num_cut else "all pairs were there already"
        lines += [f"{done}; {at} holds {config.num_samples}, digest {found[:16]}"]
        values = {
            "store": str(at),
            "cut": num_cut,
            "num_samples": config.num_samples,
            "num_pairs": len(listed.pairs),
            "scale": listed.scale,
            "digest": found,
            "counts": counts(listed.rows),
            "smaller_than_crop": len(plan.too_small),
            "shift": shifts.as_dict(),
        }
        return Artifact(self.kind, at, found, values, lines, list(listed.rows), changed=num_cut > 0)


class MakePairs(Stage):
    """HR, and the LR that a learned downscaling (FSSR's, DASR's) makes of it, as the two folders of `pairs`."""

    kind: ClassVar[str] = "make_pairs"
    folder: ClassVar[str] = "pairs"
    refs: ClassVar[tuple[str, ...]] = ("source", "by")
    of_folders: ClassVar[bool] = True

    source: Annotated[Inputs, Field(min_length=1)]
    """Indexes or folders of images."""
    by: Input
    """A run of `rwsr train downscaling`."""
    clean_up: Annotated[int, Field(ge=1, le=8)] = 1
    """HR is the image so many times smaller, which takes its own noise out."""
    images: IndexConfig = IndexConfig(role="hr", min_side_px=1)
    """Which images count as usable."""

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        from ..downscale import made_pairs

        out = Given({}).on_disk(at)
        source, by = folders_of(given, self.source), given.on_disk(self.by)
        made = made_pairs(source, by, out, self.images, work.run, clean_up=self.clean_up)
        lines = [f"{out}/HR and {out}/LR hold pairs: {made.pairs}; {made.written} were written now"]
        values = {"hr": str(out / "HR"), "lr": str(out / "LR"), "pairs": made.pairs, "counts": counts(made.rows)}
        identity = sha256_of([given.identity(self.by), str(self.clean_up), sources.sources_sha256(made.rows)])
        return Artifact(self.kind, at, identity, values, lines, made.rows, changed=made.written > 0)
