"""One sample of a finished store, made again from its row of the manifest and compared with what the store holds."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, StoreError, UserError
from ..fill_store import ROOTS
from ..images.pixels import U8
from ..images.read import read_source
from ..manifest import from_row
from ..ops.step import NoiseSource
from ..pairs.build_pairs import cut_out
from ..samples import Rendered, render
from ..storage.location import Place, place
from ..storage.object_store import ObjectPath
from ..storage.shards.reader import ShardReader
from ..storage.shards.store import Store


def _recorded(store: Store) -> tuple[list[Place], Place | None]:
    try:
        value = json.loads((store.path / ROOTS).read_text())
        roots, bank = [place(root) for root in value["roots"]], place(value["bank"]) if value["bank"] else None
        remote = [each for each in (*roots, bank) if isinstance(each, ObjectPath)]
        if remote and not isinstance(store.path, ObjectPath):  # a file of a store does not choose whom we ask
            raise UserError(
                f"{store.path / ROOTS} names {remote[0]}; name the sources with --source, a bank with --bank"
            )
        return roots, bank
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(f"{store.path / ROOTS} is missing or damaged; name the sources with --source") from None


def _find_source(name: str, sha256: str, folders: Sequence[Place]) -> U8:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise StoreError(f"the manifest names {name!r}, outside of its folder; do not use this store")
    changed: ImageError | None = None
    for folder in folders:
        try:
            return read_source(folder, name, sha256)
        except ImageError as error:
            if error.status != "unreadable" or (folder / name).is_file():
                changed = error  # another of that name: of another data set, say
    if changed is not None:
        raise changed
    names = ", ".join(str(folder) for folder in folders)
    raise StoreError(f"{name} is not below {names}; name the folder of the sources with --source")


def row_of(store: Store, sample: int) -> dict[str, Any]:
    """A sample's row of the manifest.

    Raises:
        UserError: no such sample.
    """
    if not 0 <= sample < store.layout.num_samples:
        raise UserError(f"sample {sample} is not in 0..{store.layout.num_samples - 1}")
    shard, offset = divmod(sample, store.layout.samples_per_shard)
    return store.manifest_of(shard).slice(offset, 1).to_pylist()[0]


def render_again(
    store: Store,
    sample: int,
    folders: Sequence[Place],
    bank_path: Place | None = None,
    *,
    open_bank: Callable[[Place], NoiseSource],
) -> tuple[Rendered, bool]:
    """Render one sample from its manifest row, and say whether it equals what the store holds.

    folders, bank_path: where the sources and the bank lie; nothing means where they lay when the store was built.
    open_bank: how a bank is opened.

    Raises:
        UserError: no such sample, or its source is missing or changed, or the bank is another one.
    """
    row = row_of(store, sample)
    if not folders or (store.attributes["bank"] and bank_path is None):
        roots, recorded_bank = _recorded(store)
        folders, bank_path = folders or roots, bank_path or recorded_bank
    source = _find_source(row["source"], row["source_sha256"], folders)
    if row.get("lr_source"):
        partner = _find_source(row["lr_source"], row["lr_sha256"], folders)
        hr, lr = cut_out(source, partner, row, store.layout.array("lr").sample_shape[1])
        rendered = Rendered(hr, lr[None], None)
    else:
        bank = open_bank(bank_path) if store.attributes["bank"] and bank_path else None
        rendered = render(from_row(row, tuple(store.attributes["members"])), source, bank=bank)
    stored = {name: ShardReader(store, name).read([sample])[0] for name in ("hr", "lr")}
    same = np.array_equal(rendered.hr, stored["hr"]) and np.array_equal(rendered.lr, stored["lr"])
    return rendered, same
