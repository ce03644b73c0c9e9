"""Trainings that go on at once share the GPUs out."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from threading import Barrier
from typing import Any

import pytest
import torch

from rwsr.pipelines.papers.parallel_training import _begin
from rwsr.train.engine.distributed import gpus

_together: list[Any] = []


def _sees(parent: int, begun: Any, names: list[str], together: Any) -> None:
    _begin(parent, begun, names)
    _together.append(together)


def _told(_: int) -> str | None:
    _together[0].wait(30)  # so that each process has one
    return os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.slow
@pytest.mark.parametrize(("names", "told"), [(["4", "7"], ["4", "4", "7"]), ([], [""] * 3)])
def test_each_has_one_and_none_is_idle(names: list[str], told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    context = get_context("spawn")
    together: Barrier = context.Barrier(3)  # type: ignore[assignment]
    with ProcessPoolExecutor(3, context, _sees, (os.getpid(), context.Value("i", 0), names, together)) as pool:
        assert sorted(map(str, pool.map(_told, range(3)))) == told


def test_gpus_are_named_as_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-3fa, 5")
    assert gpus() == ["GPU-3fa", "5"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert gpus() == []
