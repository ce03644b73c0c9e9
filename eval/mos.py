"""Mean opinion scores (RWSR-EDL table V): a page on which people rate patches blindly, and what their ratings say.

As in the challenges that the paper follows: a patch beside the original, six levels, 0 perfect to 5 terrible. Which
method a patch is of stands in no page: it is in a key that lies beside.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..degrade.errors import StoreError, UserError
from ..degrade.images.decode import decode, is_image
from ..degrade.images.pixels import U8, encode_png
from ..degrade.images.read import read_bytes
from ..degrade.seeds import stream
from ..degrade.storage.local import write_atomic
from ..degrade.storage.provenance import sha256_of
from .report.page import Section, Table, page, template
from .report.published import published

WORDS = ("perfect", "almost perfect", "slightly worse", "worse", "much worse", "terrible")
KIND = "mos-key"
_LEAST_PX = 32


@dataclass(frozen=True)
class Means:
    """Of a method: its mean score, how sure that is (95 %), by how many ratings of how many people."""

    method: str
    mean: float
    half_width: float
    ratings: int
    raters: int


def _files(folder: Path) -> dict[str, Path]:
    """The images of a folder by their names without the ending."""
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.is_file() and is_image(path.name)}
    if not found:
        raise UserError(f"no image in {folder}; name another folder")
    return found


def _partner(stem: str, files: Mapping[str, Path], folder: Path) -> Path:
    """The image of a method that belongs to an original."""
    if stem in files:
        return files[stem]
    near = [name for name in files if name.startswith(stem) or stem.startswith(name)]
    if len(near) == 1:
        return files[near[0]]
    raise UserError(f"{folder} has no image called {stem}, as the originals have; name the folder of restored ones")


def write_page(
    originals: Path, methods: Mapping[str, Path], out: Path, *, patches: int, side: int, seed: int
) -> tuple[Path, int]:
    """OUT, a page that needs nothing else, and OUT.key.json, which says what method each item is of.

    methods: by name the folder of what it restored. patches: places that are cut, each of every method. side: of a
    patch, in pixels. Gives the key's path and the number of items.

    Raises:
        UserError: an image has no partner, or another size than the original.
    """
    if len(methods) < 1:
        raise UserError("name a --method NAME=FOLDER for each method that is rated")
    hr = _files(originals)
    folders = {name: _files(folder) for name, folder in methods.items()}
    stems = list(hr)
    cut = [""] * patches
    items: list[dict[str, Any]] = []
    key: dict[str, dict[str, Any]] = {}
    for i, stem in enumerate(stems[:patches]):
        image = _pixels(hr[stem])
        px = min(side, *image.shape[:2])
        if px < _LEAST_PX:
            raise UserError(f"{hr[stem]} has less than {_LEAST_PX} px on a side; leave it out")
        restored = {name: _restored(image, _partner(stem, files, methods[name])) for name, files in folders.items()}
        for number in range(i, patches, len(stems)):
            rng = stream(seed, "mos", number)
            y, x = (int(rng.integers(0, length - px + 1)) for length in image.shape[:2])
            cut[number] = _base64(image[y : y + px, x : x + px])
            for name, pixels in restored.items():
                png = _base64(pixels[y : y + px, x : x + px])
                opaque = sha256_of([str(seed), str(number), name, png])[:16]
                items.append({"id": opaque, "patch": number, "png": png})
                key[opaque] = {"method": name, "image": hr[stem].name, "y": y, "x": x, "side": px}
    items.sort(key=lambda each: each["patch"])
    identity = sha256_of([*cut, *(each["id"] for each in items)])[:16]
    order = stream(seed, "mos", "order").permutation(len(items))
    shown = [items[i] for i in order]
    html = template("mos.html.j2").render(
        title="How much worse does it look?", count=len(items), words=WORDS, page=identity, originals=cut, items=shown
    )
    write_atomic(out, html.encode())
    at = out.with_name(f"{out.name}.key.json")
    text = json.dumps({"kind": KIND, "page": identity, "items": key}, indent=1)
    write_atomic(at, text.encode())
    return at, len(items)


def _pixels(path: Path) -> U8:
    return decode(read_bytes(path)).pixels


def _restored(image: U8, path: Path) -> U8:
    """What a method made of an original; raises UserError where it has another size."""
    restored = _pixels(path)
    if restored.shape != image.shape:
        sizes = (f"{each.shape[1]}x{each.shape[0]}" for each in (restored, image))
        raise UserError(f"{path} is {' and the original '.join(sizes)}; restore it to the original's size")
    return restored


def _base64(pixels: U8) -> str:
    return base64.b64encode(encode_png(np.ascontiguousarray(pixels))).decode()


# ----------------------------------------------------------------------------------------------------- ratings


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise StoreError(f"{path} is no {what}; name another file") from None
    if not isinstance(found, dict) or "page" not in found:
        raise StoreError(f"{path} is no {what}; name another file")
    return found


def means(key: Path, ratings: Sequence[Path]) -> list[Means]:
    """The mean of each method over all ratings, best first.

    Raises:
        UserError: a file is none, of another page, holds no score of 0 to 5, or two are of one rater.
    """
    told = _read(key, "key of a page")
    if told.get("kind") != KIND:
        raise StoreError(f"{key} is no key of a page; name PAGE.key.json")
    scores: dict[str, list[float]] = {}
    raters: dict[str, set[str]] = {}
    seen: dict[str, Path] = {}
    for path in ratings:
        found = _read(path, "file of ratings")
        if found["page"] != told["page"]:
            raise UserError(f"{path} rates another page than {key} is of; leave it out")
        rater = str(found.get("rater", ""))
        if rater in seen:
            raise UserError(f"{path} and {seen[rater]} are both of {rater}; leave one out")
        seen[rater] = path
        for item, score in dict(found.get("scores", {})).items():
            if item not in told["items"] or not isinstance(score, int) or not 0 <= score < len(WORDS):
                said = f"{str(item)[:40]} is rated {str(score)[:40]!r}"
                raise UserError(f"{path}: {said}, which is no item of this page, or no score of 0 to 5")
            method = told["items"][item]["method"]
            scores.setdefault(method, []).append(float(score))
            raters.setdefault(method, set()).add(rater)
    if not scores:
        raise UserError("the files hold no rating; name those that people saved")
    made = [_of(method, values, len(raters[method])) for method, values in scores.items()]
    return sorted(made, key=lambda each: each.mean)


def _of(method: str, values: Sequence[float], raters: int) -> Means:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Means(method, float(np.mean(values)), 1.96 * deviation / math.sqrt(len(values)), len(values), raters)


def write_means(found: Sequence[Means], out: Path) -> None:
    """A page of the means, the printed scores of RWSR-EDL's table V beside those of the same names."""
    printed = {each.method: each.printed for each in published() if each.metric == "mos"}
    rows = tuple(
        (each.method, f"{each.mean:.3f}", f"{each.half_width:.3f}", str(each.ratings), str(each.raters),
         printed.get(each.method, ""))
        for each in found
    )  # fmt: skip
    columns = ("method", "mean", "+- (95 %)", "ratings", "people", "printed")
    text = (
        "0 is perfect, 5 terrible; the interval takes ratings for independent, which those of one person are not.",
        "Printed are the scores of RWSR-EDL's table V: 20 people, 100 patches of NTIRE 2020; other people and patches "
        "give other scores, so only orders compare.",
    )
    best = frozenset({(0, 1)})
    write_atomic(out, page("Mean opinion scores", str(out), [Section("Means", text, [Table(columns, rows, best)])]))
