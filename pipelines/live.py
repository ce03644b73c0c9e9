"""Groups and pairs rendered when they are asked for, from the plan of a store: the same samples."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from ..degrade.errors import UserError
from ..degrade.image import U8, read_source
from ..degrade.places import Place, place
from ..degrade.provenance import canonical, sha256_of
from ..degrade.recipe import BlurNoise
from ..degrade.samples import Draw, Rendered, Source, StoreConfig, make
from ..train.data import Samples
from . import sources
from .build_store import Plan, plan
from .executors import Executor
from .sources import IndexConfig, SourceRow

_KEPT = 8  # decoded images that a process holds


class LiveGroups:
    """A `GroupSource` over a plan. Rendering runs on threads; a few decoded images are kept.

    Groups that are not in order are drawn again as in a store, where `recipe.disorder` is reject; otherwise they are
    all used: which are disordered is only known once they are rendered.
    """

    def __init__(self, planned: Plan, threads: int) -> None:
        self.name = "the sources"
        self.scale = planned.config.recipe.scale
        self.lr_size_px = planned.config.lr_size_px
        self.members = len(planned.config.members)
        self.sharpened = getattr(planned.config.recipe, "usm", None) is not None
        self.conditions = 2 if isinstance(planned.config.recipe, BlurNoise) else 0
        self.in_use = list(range(planned.config.num_samples))
        self._config, self._rows, self._threads = planned.config, planned.rows, threads
        self._stops = np.cumsum(planned.counts)
        self._decoded: OrderedDict[int, U8] = OrderedDict()

    def _pixels(self, number: int) -> U8:
        row = self._rows[number]
        if number not in self._decoded:
            self._decoded[number] = read_source(place(row.root), row.path, row.sha256)
            while len(self._decoded) > _KEPT:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(number)
        return self._decoded[number]

    def _render(self, task: tuple[int, SourceRow, U8]) -> tuple[Draw, Rendered]:
        sample, row, pixels = task
        cv2.setNumThreads(1)
        return make(self._config, Source(row.sha256, row.width, row.height), pixels, sample)

    def read(self, samples: list[int]) -> Samples:
        numbers = [int(np.searchsorted(self._stops, sample, side="right")) for sample in samples]
        tasks = [(s, self._rows[n], self._pixels(n)) for s, n in zip(samples, numbers, strict=True)]
        with ThreadPoolExecutor(self._threads) as pool:
            made = list(pool.map(self._render, tasks))
        return Samples(
            np.stack([rendered.hr for _, rendered in made]),
            np.stack([rendered.lr for _, rendered in made]),
            np.array([drawn.condition or () for drawn, _ in made], dtype=np.float32).reshape(len(made), -1),
        )


def live_groups(
    folders: Sequence[Place], index: Place, config: StoreConfig, images: IndexConfig, executor: Executor
) -> tuple[LiveGroups, str]:
    """The groups or pairs that a config makes of the images below the folders, and the identity of both.

    Raises:
        UserError: the config wants a noise bank, or no image is as large as a crop.
    """
    if config.wants_bank:
        raise UserError(
            f"recipe {config.recipe.kind} takes its noise from a bank; set recipe.strength=0 and name the --bank, or "
            "build a store and train on that"
        )
    planned = plan(config, sources.index(folders, index, images, executor))
    identity = sha256_of([canonical(config.model_dump(mode="json")), planned.inputs_sha256])
    return LiveGroups(planned, executor.workers), identity
