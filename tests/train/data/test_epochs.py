"""The order in which samples are met: keyed by the epoch alone, drawn once for each."""

import numpy as np
import pytest

from rwsr.degrade.seeds import stream
from rwsr.train.data import epochs
from rwsr.train.data.epochs import Epochs


def test_a_step_is_its_place_in_the_permutation_of_its_epoch_whatever_was_asked_before() -> None:
    items = np.arange(100, 111)
    met = Epochs(items, 7, "epoch")
    for step in (5, 0, 2, 3, 2, 9, 0):
        epoch, place = divmod(step, 3)
        wanted = items[stream(7, "epoch", epoch).permutation(11)][place * 3 : place * 3 + 3]
        assert met.batch(step, 3).tolist() == wanted.tolist()
    assert sorted(met.order(4).tolist()) == items.tolist()


def test_an_epoch_is_drawn_once_however_many_steps_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[object, ...]] = []

    def counted(seed: int, *key: str | int) -> np.random.Generator:
        drawn.append(key)
        return stream(seed, *key)  # type: ignore[arg-type]

    monkeypatch.setattr(epochs, "stream", counted)
    met = Epochs(range(1000), 0, "mixed-epoch", 3)
    for step in range(500):
        met.batch(step, 4)
    assert drawn == [("mixed-epoch", 3, 0), ("mixed-epoch", 3, 1)]
