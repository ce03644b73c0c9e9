"""A few images out of an evaluation to look at: the worst and the middling ones, a crop of each under every method."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import pyarrow as pa
from torch import Tensor

from ...degrade.images.pixels import U8, encode_png
from ...degrade.progress import progress
from ...degrade.storage import tables
from ...degrade.storage.location import Place
from ...degrade.storage.provenance import provenance, sha256_of
from ..images.sets import ImageSet, Item
from ..images.tensors import to_pixels, to_tensor
from .table import Image, MetricRow, config_of, held

KIND = "metric-examples"
CROP_PX = 128  # of HR
_WORST = 4
LR, HR = "LR", "HR"
Restored = Callable[[Item, Tensor], Mapping[str, Tensor]]

_SCHEMA = pa.schema(
    [
        ("data_sha256", pa.string()),
        ("judged", pa.string()),
        ("source", pa.string()),
        ("sample", pa.int64()),
        ("member", pa.string()),
        ("method", pa.string()),
        ("y", pa.int32()),
        ("x", pa.int32()),
        ("png", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Crop:
    """A piece of an image under one method, or of its LR or HR; y and x are its corner, in HR pixels.

    judged: the model that does badly at the image.
    """

    data_sha256: str
    judged: str
    source: str
    sample: int
    member: str
    method: str
    y: int
    x: int
    png: bytes


def beside(report: Place) -> Place:
    """Where the examples of a report lie."""
    return report.with_name(f"{report.stem}.examples.parquet")


def ranked(rows: Sequence[MetricRow], metric: str, model: str) -> list[Image]:
    """The images by how a model does at them, the worst first."""
    judged = [row for row in rows if (row.metric, row.model) == (metric, model) and np.isfinite(row.value)]
    judged.sort(key=lambda row: row.value, reverse=bool(judged) and judged[0].better == "lower")
    return [row.image for row in judged]


def telling(images: Sequence[Image]) -> list[Image]:
    """Of images that are ranked: the worst few, and the one in the middle."""
    return list(dict.fromkeys([*images[:_WORST], *images[len(images) // 2 : len(images) // 2 + 1]]))


def _corner(images: Sequence[U8], size: int) -> tuple[int, int]:
    """Where the last image differs most from the first, over a square."""
    difference = np.square(images[0].astype(np.float32) - images[-1].astype(np.float32)).mean(axis=2)
    mean = cv2.boxFilter(difference, -1, (size, size), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    inside = mean[: difference.shape[0] - size + 1, : difference.shape[1] - size + 1]
    y, x = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(y), int(x)


def _enlarged(lr: U8, scale: int) -> U8:
    return np.asarray(cv2.resize(lr, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _crops(images: ImageSet, item: Item, restored: Restored) -> Iterator[Crop]:
    """The same piece of LR, of each model's SR, and of HR where there is one."""
    sr = {name: to_pixels(each[0]) for name, each in restored(item, to_tensor(item.lr)[None]).items()}
    found = {LR: _enlarged(item.lr, images.scale)} | sr
    if item.hr is not None:
        found[HR] = item.hr
    first, *_, last = sr
    size = min(CROP_PX, *sr[first].shape[:2])
    y, x = _corner([sr[last], found.get(HR, sr[first])], size)
    for name, pixels in found.items():
        png = encode_png(np.ascontiguousarray(pixels[y : y + size, x : x + size]))
        yield Crop(images.sha256, last, item.source, item.sample, item.member, name, y, x, png)


def cut(images: ImageSet, restored: Restored, chosen: Sequence[Image]) -> list[Crop]:
    """Restore the chosen images again and cut the piece of each where the last model is farthest from HR.

    restored: an image and its LR [1, 3, h, w] -> SR [1, 3, H, W] of each model by name.
    """
    wanted = set(chosen)
    samples = {sample for _, sample, _ in chosen}
    found: dict[Image, list[Crop]] = {}
    with progress("examples for the page", len(wanted)) as advance:
        for number, source in enumerate(images.items):
            for item in source.read() if number in samples else ():
                image = (item.source, item.sample, item.member)
                if image in wanted:
                    found[image] = list(_crops(images, item, restored))
                    advance(1, "")
    return [crop for image in chosen for crop in found[image]]


def add(report: Place, crops: Sequence[Crop], rows: Sequence[MetricRow]) -> Place:
    """Put crops beside a report, in the place of those of the same set and judged model; gives back where."""
    path, config = beside(report), config_of(rows)
    with held(report):
        old = read(report) if path.is_file() else []
        new = {(crop.data_sha256, crop.judged) for crop in crops}
        kept = [*(crop for crop in old if (crop.data_sha256, crop.judged) not in new), *crops]
        table = pa.Table.from_pylist([asdict(crop) for crop in kept], schema=_SCHEMA)
        tables.write(path, table, provenance(KIND, config, sha256_of(config.data.values())))
    return path


def read(report: Place) -> list[Crop]:
    """The crops beside a report, none where there are none; raises StoreError when something else is there."""
    path = beside(report)
    return [Crop(**row) for row in tables.read(path, KIND)[0].to_pylist()] if path.is_file() else []
