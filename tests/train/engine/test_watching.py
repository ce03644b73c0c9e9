"""A training that is watched: TensorBoard, Weights & Biases, images on the way, and how fast it goes."""

import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rwsr.degrade.config import compose
from rwsr.degrade.images.decode import decode
from rwsr.degrade.storage.shards.store import Store
from rwsr.eval.images.restoring import restore
from rwsr.eval.images.sets import of_store
from rwsr.eval.images.tensors import to_pixels, to_tensor
from rwsr.train.data.of_training import stored
from rwsr.train.files.open import open_restorer
from rwsr.train.methods.mm_realsr import METHOD
from rwsr.train.run_page import training_sections
from rwsr.train.runs.checkpoint import read_log
from rwsr.train.runs.pictures import read_pictures
from rwsr.train.train import train_run

from ...builders import tiny_store
from ...commands import Stop, stop_after
from .test_loop import CONFIG, CPU, _nothing, _train


@pytest.mark.slow
def test_tensorboard_gets_what_the_log_gets(store: Store, tmp_path: Path) -> None:
    """By the real package."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _train(tmp_path / "run", store, compose(CONFIG, sets=["loop.tensorboard=true"]), CPU, _nothing)
    events = EventAccumulator(str(tmp_path / "run/tensorboard"))
    events.Reload()
    rows = [row for row in pq.read_table(tmp_path / "run/train.parquet").to_pylist() if row["name"] == "pixel"]
    assert [(e.step, pytest.approx(e.value, rel=1e-5)) for e in events.Scalars("pixel")] == [
        (row["step"], row["value"]) for row in rows
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_tensorboard_cannot_write_names_its_folder(store: Store, tmp_path: Path) -> None:
    """Its own thread meets the trouble, and does not say where."""
    events = tmp_path / "run/tensorboard"

    def in_the_way(steps: int, terms: dict[str, float]) -> None:
        if events.is_dir() and terms:
            events.rename(tmp_path / "aside")  # at once: its thread may be writing into it
            events.write_text("in the way")

    config = compose(CONFIG, sets=["loop.tensorboard=true", "loop.steps=300", "loop.log_every=1"])
    with pytest.raises(OSError) as caught:
        _train(tmp_path / "run", store, config, CPU, in_the_way)
    assert caught.value.filename == str(events)
    for thread in threading.enumerate():  # its writer ends here, not in the midst of the next test
        if type(thread).__name__ == "_AsyncWriterThread":
            thread.join(10)


@pytest.mark.slow
def test_held_out_images_are_shown_on_the_way(store: Store, photos: Path, tmp_path: Path) -> None:
    """In RUN/images, in TensorBoard and on the page: pieces of LR and HR, and what the averaged weights make of them;
    those after the step that a training goes on from are made again, the same.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sets = ["loop.tensorboard=true", "loop.validate_every=2", "loop.show_images=2", "loop.checkpoint_every=3"]
    config = compose(CONFIG, sets=sets)
    val = of_store(tiny_store(photos, tmp_path / "val.zarr", num_samples=3))
    run = tmp_path / "run"
    assert train_run(run, stored(store.path), METHOD, config, val=val)
    shown = read_pictures(run)
    names = [name for name in shown if not name.endswith((".lr", ".hr"))]
    assert len(names) == 2 and set(shown) == {f"{name}{role}" for name in names for role in ("", ".lr", ".hr")}
    for name in names:
        assert list(shown[name]) == [f"step-{step:08d}" for step in (2, 4, 6, 7)]
        sizes = [decode(shown[each]["reference"]).pixels.shape for each in (f"{name}.lr", f"{name}.hr")]
        assert [decode(png).pixels.shape for png in shown[name].values()] == [sizes[1]] * 4
        assert sizes[1][0] == 4 * sizes[0][0]
    restorer = open_restorer(run, CPU)
    item = val.items[0].read()[0]
    sr = to_pixels(restore(restorer.net, to_tensor(item.lr)[None], CPU)[0])
    assert np.abs(sr.astype(int) - decode(shown[names[0]]["step-00000007"]).pixels).max() <= 1
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert events.Tags()["images"] == names and {"speed/steps/s", "speed/waiting", "speed/GiB"} <= set(
        events.Tags()["scalars"]
    )
    _, about = training_sections(run)
    assert [strip.caption for strip in about.body] == names  # type: ignore[union-attr]
    assert [text for _, text in about.body[0].crops] == ["LR, nearest", "step 2", "step 4", "step 6", "step 7", "HR"]  # type: ignore[union-attr]


def test_the_log_line_says_how_fast_it_goes(store: Store, tmp_path: Path) -> None:
    """Steps a second, the share of waiting for data, and memory; the log, the same each time, has none of it."""
    told: list[dict[str, float]] = []
    _train(tmp_path / "run", store, CONFIG, CPU, lambda steps, terms: told.append(terms))
    last = told[-1]
    assert last["steps/s"] > 0 and 0 <= last["waiting"] < 1 and last["GiB"] > 0.1
    assert not {"steps/s", "waiting", "GiB"} & set(read_log(tmp_path / "run")["name"].to_pylist())


@pytest.mark.slow
def test_weights_and_biases_gets_what_the_log_gets(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real package, offline: one run of its own, which a training that goes on resumes."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    config = compose(CONFIG, sets=["loop.wandb=true"])
    with pytest.raises(Stop):
        _train(tmp_path / "run", store, config, CPU, stop_after(5))
    first = (tmp_path / "run/wandb.txt").read_text()
    assert _train(tmp_path / "run", store, config, CPU, _nothing)
    folders = sorted((tmp_path / "run/wandb").glob("offline-run-*"))
    assert len(folders) == 2 and all(f"-{first}" in folder.name for folder in folders)  # a second of both ends in -1
    assert all(list(folder.glob("*.wandb")) for folder in folders)
