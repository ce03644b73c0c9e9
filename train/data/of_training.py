"""What a training learns from: groups or pairs of a store, or rendered while it goes on; and noise of a bank."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...degrade.build_store import open_samples
from ...degrade.config import compose
from ...degrade.errors import UserError
from ...degrade.images.listing import IndexConfig
from ...degrade.images.rows import SourceRow
from ...degrade.images.sources import sources_sha256
from ...degrade.pairs.recipe import RealPairs
from ...degrade.recipes.base import Recipe
from ...degrade.recipes.store_config import StoreConfig, store_preset
from ...degrade.storage.location import Place, place
from ...degrade.storage.object_store import ObjectPath
from ...degrade.storage.provenance import sha256_of
from ...degrade.storage.shards.verify import digest
from ...degrade.tasks import cores
from ...noisebank.bank import NoiseBank
from .batches import GroupSource, StoredGroups
from .lr_images import LrImages, large_enough
from .mixed import MixedGroups
from .on_the_fly import live_groups


@dataclass(frozen=True)
class Data:
    """Groups or pairs to train on. identity: the hash of all in them. remote: whether they lie on object storage.

    recipes: that they are drawn from, one a store. noise: the bank of which LR gets new noise in each step. rows: the
    images that are rendered, and those that cannot be. photographs: of a camera, without HR, where a method takes such.
    """

    groups: GroupSource
    identity: str
    recipes: Sequence[Recipe]
    remote: bool = False
    noise: NoiseBank | None = None
    rows: Sequence[SourceRow] = ()
    photographs: LrImages | None = None

    def beside(self, rows: Sequence[SourceRow], lr_patch_px: int) -> "Data":
        """The same, and photographs of an index that hold a crop; raises UserError where none does."""
        found = large_enough(rows, lr_patch_px)
        identity = sha256_of([self.identity, sources_sha256(found)])
        remote = self.remote or any(isinstance(place(row.root), ObjectPath) for row in found)
        return replace(self, identity=identity, photographs=LrImages(found), remote=remote)


def stored(
    stores: Place | Sequence[Place], bank: Place | None = None, *, weights: Sequence[float] = (), seed: int = 0
) -> Data:
    """The groups or pairs of one store, or of several mixed, and a noise bank.

    weights: how often each of several is drawn; none draws by the number of their samples. seed: of their mixing.

    Raises:
        UserError: there is no such store or bank, they do not go together, or noise of a bank is in the pairs already.
    """
    opened = [open_samples(place) for place in ([stores] if isinstance(stores, Path | ObjectPath) else stores)]
    recipes = [StoreConfig.model_validate(store.provenance.values).recipe for store in opened]
    for store, recipe in zip(opened, recipes, strict=True):
        if bank is not None and recipe.wants_bank:
            raise UserError(
                f"{store.path} has noise of a bank in its LR already; build it with recipe.strength=0, or drop --bank"
            )
    if bank is not None and all(isinstance(recipe, RealPairs) for recipe in recipes):
        raise UserError(
            "LR of real pairs has its camera's noise, so none of a bank is added; drop --bank, or mix in a store of "
            "rwsr-edl-noisefree"
        )
    noise = None if bank is None else NoiseBank.open(bank)
    parts, digests = [StoredGroups(store) for store in opened], [digest(store) for store in opened]
    remote = any(isinstance(store.path, ObjectPath) for store in opened)
    if len(opened) == 1 and not weights:
        return Data(parts[0], digests[0], recipes, remote, noise)
    mixed = MixedGroups(parts, weights or None, seed)
    return Data(mixed, sha256_of([*digests, *map(repr, mixed.shares)]), recipes, remote, noise)


def live(
    folders: Sequence[Place],
    config: Path | None,
    out: Path,
    *,
    preset: str | None,
    images: IndexConfig = IndexConfig(role="hr"),  # noqa: B008 - frozen
    bank: Place | None = None,
    on_device: bool = False,
) -> Data:
    """What the config of a store (`rwsr degrade show`) makes of the images below the folders, rendered while training.

    preset: of `rwsr degrade`, which the config changes; none where it has none of its own. on_device: it is
    the device that trains that renders them.

    Raises:
        UserError: the config or the folders are wrong.
    """
    if preset is None and config is None:
        raise UserError(
            "this training has no degradation of its own; name one with --recipe (as `rwsr degrade show cugan --set "
            "recipe.fixed_level=[2,30]` writes it), or train on a --store"
        )
    composed = compose(store_preset(preset or "cugan"), config=config)
    index = out / "index.parquet"
    groups, identity, rows = live_groups(folders, index, composed, images, cores(), on_device=on_device)
    noise = None if bank is None else NoiseBank.open(bank)
    return Data(groups, identity, [composed.recipe], noise=noise, rows=rows)
