"""Sources as decoded images, of which so many bytes are kept."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from ...degrade.images.pixels import U8
from ...degrade.images.read import read_source
from ...degrade.images.rows import SourceRow
from ...degrade.storage.location import place

_KEPT_BYTES = 1 << 29


class DecodedImages:
    """The pixels of the rows of an index, by their numbers; those that were asked for last are kept.

    Safe under threads; another process begins with none.
    """

    def __init__(self, rows: Sequence[SourceRow]) -> None:
        self.rows = rows
        self._begin()

    def _begin(self) -> None:
        self._kept: OrderedDict[int, U8] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> Sequence[SourceRow]:
        return self.rows

    def __setstate__(self, rows: Sequence[SourceRow]) -> None:
        self.__init__(rows)

    def read(self, number: int) -> U8:
        """[H, W, 3] uint8; raises ImageError where the file is not what was indexed."""
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
        row = self.rows[number]
        pixels = read_source(place(row.root), row.path, row.sha256)
        with self._lock:
            self._kept[number] = pixels
            while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return pixels
