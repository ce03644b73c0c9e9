"""What a training learns from: groups or pairs of a store, or rendered while it goes on; and noise of a bank."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...degrade.build_store import open_samples
from ...degrade.config import compose
from ...degrade.errors import UserError
from ...degrade.images.listing import IndexConfig
from ...degrade.recipes.base import Recipe
from ...degrade.recipes.store_config import StoreConfig, store_preset
from ...degrade.storage.location import Place
from ...degrade.storage.object_store import ObjectPath
from ...degrade.storage.shards.verify import digest
from ...degrade.tasks import cores
from ...noisebank.bank import NoiseBank
from .batches import GroupSource, StoredGroups
from .on_the_fly import live_groups


@dataclass(frozen=True)
class Data:
    """Groups or pairs to train on. identity: the hash of all in them. remote: whether they lie on object storage.

    recipe: that they are drawn from. noise: the bank of which LR gets new noise in each step.
    """

    groups: GroupSource
    identity: str
    recipe: Recipe
    remote: bool = False
    noise: NoiseBank | None = None


def stored(store_folder: Place, bank: Place | None = None) -> Data:
    """The groups or pairs of a store, and a noise bank.

    Raises:
        UserError: there is no such store or bank, or noise of a bank is in the pairs already.
    """
    store = open_samples(store_folder)
    recipe = StoreConfig.model_validate(store.provenance.values).recipe
    if bank is not None and recipe.wants_bank:
        raise UserError(
            f"{store_folder} has noise of a bank in its LR already; build it with recipe.strength=0, or drop --bank"
        )
    noise = None if bank is None else NoiseBank.open(bank)
    return Data(StoredGroups(store), digest(store), recipe, isinstance(store.path, ObjectPath), noise)


def live(
    folders: Sequence[Place],
    config: Path | None,
    out: Path,
    *,
    preset: str | None,
    images: IndexConfig = IndexConfig(role="hr"),  # noqa: B008 - frozen
    bank: Place | None = None,
) -> Data:
    """What the config of a store (`rwsr degrade show`) makes of the images below the folders, rendered while training.

    preset: of `rwsr degrade`, which the config changes; none where the training is of one degradation.

    Raises:
        UserError: the config or the folders are wrong.
    """
    if preset is None and config is None:
        raise UserError(
            "this training is of one degradation; name it with --recipe (`rwsr degrade show cugan --set "
            "recipe.fixed_level=[2,30]`)"
        )
    composed = compose(store_preset(preset or "cugan"), config=config)
    groups, identity = live_groups(folders, out / "index.parquet", composed, images, cores())
    return Data(groups, identity, composed.recipe, noise=None if bank is None else NoiseBank.open(bank))
