"""Groups and pairs rendered when they are asked for: fresh ones for ever, each a function of its number."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np

from ...degrade.build_store import Plan, plan
from ...degrade.errors import UserError
from ...degrade.images import sources
from ...degrade.images.listing import IndexConfig
from ...degrade.images.pixels import U8
from ...degrade.images.rows import SourceRow
from ...degrade.progress import printable, say
from ...degrade.quality.group_order import disorders
from ...degrade.recipes.store_config import StoreConfig
from ...degrade.samples import Draw, Rendered, Source, box_of, cut, make
from ...degrade.seeds import stream
from ...degrade.storage.location import Place
from ...degrade.storage.provenance import canonical, sha256_of
from ...degrade.tasks import threads
from .batches import Samples
from .decoded import DecodedImages

_MOST_SOURCES = 16  # that are asked for a group in order


class Try(NamedTuple):
    """A draw of a sample that is not rendered yet, and its crop of the source, [size, size, 3]."""

    source: Source
    draw: int
    crop: U8


class LiveGroups:
    """A `GroupSource` without an end. Sample n is cut from a source that (seed, n) draws, by `weigh` evenly or by area,
    and degraded by what (seed, source, n) draws: the same whatever the threads, loaders, ranks and interruptions.

    A group that is not in its measured order is given up for one of another source, unless the recipe keeps such.
    """

    def __init__(self, planned: Plan, threads: int, *, on_device: bool = False) -> None:
        """on_device: that the device that trains renders them, see `train.on_device`."""
        self.on_device = on_device
        self.name = "the sources"
        self.scale = planned.config.recipe.scale
        self.lr_size_px = planned.config.lr_size_px
        self.members = len(planned.config.members)
        self.sharpened = planned.config.recipe.sharpens
        self.conditions = planned.config.recipe.num_conditions
        self.in_use = None
        self.config, self._threads = planned.config, threads
        self._images = DecodedImages(planned.rows)
        areas = [row.width * row.height if planned.config.weigh == "area" else 1 for row in planned.rows]
        self._stops = np.cumsum(areas, dtype=np.float64)

    def _source(self, sample: int, attempt: int) -> int:
        drawn = stream(self.config.seed, "live-source", sample, attempt).random()
        return int(np.searchsorted(self._stops, drawn * self._stops[-1], side="right"))

    def _source_of(self, number: int) -> Source:
        row = self._images.rows[number]
        return Source(row.sha256, row.width, row.height)

    def render(self, sample: int) -> tuple[Draw, Rendered]:
        """A sample, by the CPU; raises UserError where no source gives a group in order."""
        cv2.setNumThreads(1)
        keeps = self.config.recipe.keeps_disorder
        for attempt in range(_MOST_SOURCES):
            number = self._source(sample, attempt)
            row = self._images.rows[number]
            drawn, rendered = make(self.config, self._source_of(number), self._images.read(number), sample)
            if keeps or rendered.measured is None or not disorders(rendered.measured):
                return drawn, rendered
        raise UserError(
            f"{_MOST_SOURCES} sources in a row gave no group in order, the last {row.path}; "  # pyright: ignore
            "name other photographs (flat or black ones have no order), or set recipe.order_check=keep"
        )

    def tries(self, samples: list[int], count: int) -> list[list[Try]]:
        """The first draws that each sample may be, in their order."""
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(partial(self._tries, count=count), samples))

    def _tries(self, sample: int, count: int) -> list[Try]:
        every = ((attempt, draw) for attempt in range(_MOST_SOURCES) for draw in range(self.config.recipe.num_tries))
        found: list[Try] = []
        for attempt, draw in islice(every, count):
            number = self._source(sample, attempt)
            source = self._source_of(number)
            crop = cut(self._images.read(number), *box_of(self.config, source, sample, draw))
            found.append(Try(source, draw, crop))
        return found

    def read(self, samples: list[int]) -> Samples:
        with ThreadPoolExecutor(self._threads) as pool:
            made = list(pool.map(self.render, samples))
        return Samples(
            np.stack([rendered.hr for _, rendered in made]),
            np.stack([rendered.lr for _, rendered in made]),
            np.array([drawn.condition or () for drawn, _ in made], dtype=np.float32).reshape(len(made), -1),
        )


def live_groups(
    folders: Sequence[Place],
    index: Place,
    config: StoreConfig,
    images: IndexConfig,
    num_threads: int,
    *,
    on_device: bool = False,
) -> tuple[LiveGroups, str, Sequence[SourceRow]]:
    """The groups or pairs that a config makes of the images below the folders, the identity of both, and all images.

    num_samples of the config means nothing: there is no end. on_device: rendered by the device that trains.

    Raises:
        UserError: the config wants a noise bank, or no image is as large as a crop.
    """
    if config.recipe.wants_bank:
        raise UserError(
            f"recipe {config.recipe.kind} takes its noise from a bank; set recipe.strength=0 and name the --bank, or "
            "build a store and train on that"
        )
    rows = sources.index(folders, index, images, threads(num_threads))
    planned = plan(config, rows)
    sources.name_left_out(rows)
    for row in planned.too_small:
        say(f"left out: {printable(row.path)}: smaller than a crop of {config.crop_size_px} px")
    endless = config.model_copy(update={"num_samples": 1})
    parts = [canonical(endless.model_dump(mode="json")), planned.inputs_sha256]
    identity = sha256_of([*parts, "device"] if on_device else parts)
    return LiveGroups(planned, num_threads, on_device=on_device), identity, rows
