"""A training that was interrupted at step 8 of 100: looked at, used and gone on with, by the command."""

import json
import os
import signal
from pathlib import Path

import pytest

from rwsr.degrade.storage.shards.store import Store
from rwsr.train.runs import checkpoint
from rwsr.train.runs.model_file import read_model
from rwsr.train.runs.moments import model_file, steps_saved

from ...builders import tiny_store
from ...commands import TINY, flags, rwsr

pytestmark = pytest.mark.slow


@pytest.fixture
def store(photos: Path, tmp_path: Path) -> Store:
    return tiny_store(photos, tmp_path / "groups.zarr")


def _command(store: Store, run: Path, *more: object, steps: int = 100, sets: tuple[str, ...] = ()) -> list[object]:
    keys = flags("--set", [*TINY, "loop.warmup_steps=0", "loop.ema_decay=0", *sets])
    return ["train", "mm-realsr", "--store", store.path, "--out", run, "--preset", "mm-realsr-small",
            "--steps", steps, *more, *keys]  # fmt: skip


@pytest.fixture
def run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """By Ctrl-C, once its eighth step is saved; every second is, and every fourth is kept."""
    save = checkpoint.save_state

    def then_ctrl_c(run: Path, step: int, *rest: object, **more: object) -> None:
        save(run, step, *rest, **more)  # pyright: ignore[reportArgumentType]
        if step == 8:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(checkpoint, "save_state", then_ctrl_c)
    told = rwsr(*_command(store, tmp_path / "run", sets=("loop.keep_every=4",)), code=1)
    assert told == "stopped after 9 of 100 steps, which are saved; the same command goes on from there"
    monkeypatch.undo()
    assert steps_saved(tmp_path / "run") == [4, 8, 9]
    return tmp_path / "run"


def test_it_is_restored_with(run: Path, photos: Path, tmp_path: Path) -> None:
    """By the step, or the last; without one it is told what there is."""
    out = {moment: tmp_path / moment for moment in ("4", "8", "9", "last")}
    for moment, folder in out.items():
        rwsr("restore", photos / "b.png", "--model", f"{run}@{moment}", "--out", folder)
    made = {moment: (folder / "b.png").read_bytes() for moment, folder in out.items()}
    assert made["9"] == made["last"] != made["4"]
    restore = ("restore", photos / "b.png", "--out", tmp_path / "no", "--model")
    assert f"is not trained to its end; run the command that began it again; {run}@last is what it is at step 9" in (
        rwsr(*restore, run, code=1)
    )
    assert rwsr(*restore, f"{run}@5", code=1) == (
        f"{run} has no checkpoint of step 5; there are 4, 8, 9 (loop.keep_every keeps more)"
    )
    assert "does not exist" in rwsr(*restore, f"{tmp_path}/none@now", code=1)
    assert "has no checkpoint" in rwsr(*restore, f"{photos}@last", code=1)


def test_it_is_measured(run: Path, store: Store, tmp_path: Path) -> None:
    told = rwsr("eval", "restoration", "--store", store.path, "--model", f"{run}@8", "--out", tmp_path / "m.parquet")
    assert "run@8: psnr-y" in told


def test_it_is_exported(run: Path, photos: Path, tmp_path: Path) -> None:
    """What the file restores is what the checkpoint does."""
    rwsr("export", f"{run}@8", "--out", tmp_path / "model.pth")
    for model, folder in ((f"{run}@8", "a"), (tmp_path / "model.pth", "b")):
        rwsr("restore", photos / "b.png", "--model", model, "--out", tmp_path / folder)
    assert (tmp_path / "a/b.png").read_bytes() == (tmp_path / "b/b.png").read_bytes()


def test_it_is_reported(run: Path, tmp_path: Path) -> None:
    """How far it is, and what it lost until then."""
    rwsr("report", "--run", run, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "9 of 100, under way" in page and "run@4, run@8, run@9" in page and page.count("<img") == 1
    rwsr("report", "--run", f"{run}@4", "--out", tmp_path / "page.html")
    assert "4 of 100" in (tmp_path / "page.html").read_text()
    assert rwsr("report", "--out", tmp_path / "page.html", code=2)


def test_it_goes_on_and_starts_another(run: Path, store: Store, tmp_path: Path) -> None:
    """With loaders, other intervals and fewer steps than it was to have: the weights of one that was never stopped."""
    fewer = _command(store, run, steps=12, sets=("loop.num_workers=1", "loop.log_every=3", "loop.checkpoint_every=5"))
    assert "trained 12 steps" in rwsr(*fewer)
    rwsr(*_command(store, tmp_path / "whole", steps=12))
    whole, found = (read_model(model_file(each)) for each in (tmp_path / "whole", run))
    assert found.step == 12 and all(whole.weights[name].equal(value) for name, value in found.weights.items())
    assert rwsr(*_command(store, run, steps=10), code=1) == (
        f"{run} is at step 12 already, more than 10; its checkpoints are {run}@12"
    )
    rwsr(*_command(store, tmp_path / "next", "--start-from", f"{run}@12", steps=2))
    assert read_model(model_file(tmp_path / "next")).step == 2


def test_it_is_branched(run: Path, store: Store, tmp_path: Path) -> None:
    """Under another rate only where that is said; run.json and the page know of it."""
    slower = _command(store, run, steps=12, sets=("loop.learning_rate=1e-5",))
    told = rwsr(*slower, code=1)
    assert "loop.learning_rate was 0.001, now 1e-05); --branch goes on from step 9" in told
    before = read_model(model_file(Path(f"{run}@9"))).weights
    assert "note: " in rwsr(*slower, "--branch")
    [change] = json.loads((run / "run.json").read_text())["changes"]
    assert change["step"] == 9 and change["branch"]
    assert change["keys"]["loop.learning_rate"] == [0.001, 1e-5] and change["keys"]["loop.steps"] == [100, 12]
    rwsr(*_command(store, tmp_path / "whole", steps=12))
    branch, whole = (_apart(read_model(model_file(each)).weights, before) for each in (run, tmp_path / "whole"))
    assert 0 < branch < whole
    assert "the training was done already" in rwsr(*slower)
    rwsr("report", "--run", run, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "At step 9 it branched: " in page and "loop.learning_rate from 0.001 to 1e-05" in page
    again = _command(store, run, "--branch", steps=12, sets=("loop.learning_rate=1e-3",))
    assert "is trained to its end; name more --steps" in rwsr(*again, code=1)


def _apart(a: dict[str, object], b: dict[str, object]) -> float:
    return sum(float((value - b[name]).abs().sum()) for name, value in a.items())  # type: ignore[operator, attr-defined]


def test_it_is_prolonged(store: Store, tmp_path: Path) -> None:
    """Twice, and killed meanwhile: the weights of one that had all the steps from the start. A schedule that hangs on
    their number is another one, and asked about."""
    run = tmp_path / "run"
    rwsr(*_command(store, run, steps=4))
    assert "trained 7 steps" in rwsr(*_command(store, run, steps=7))
    told = rwsr(*_command(store, run, steps=10))
    assert "goes on from step 7 as the same training: loop.steps was 7, now 10" in told
    rwsr(*_command(store, tmp_path / "whole", steps=10))
    whole, found = (read_model(model_file(each)) for each in (tmp_path / "whole", run))
    assert all(whole.weights[name].equal(value) for name, value in found.weights.items())
    assert [each["step"] for each in json.loads((run / "run.json").read_text())["changes"]] == [4, 7]
    cosine = ("loop.schedule={kind: cosine}",)
    rwsr(*_command(store, tmp_path / "falling", steps=4, sets=cosine))
    assert "--branch goes on from step 4" in rwsr(*_command(store, tmp_path / "falling", steps=6, sets=cosine), code=1)
    rwsr(*_command(store, tmp_path / "falling", "--branch", steps=6, sets=cosine))


def test_it_is_watched(run: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn anew while it is under way, and once more at its end."""
    drawn: list[str] = []

    def slept(_: float) -> None:
        drawn.append((tmp_path / "page.html").read_text())
        rwsr(*_command(store, run, steps=10))

    monkeypatch.setattr("time.sleep", slept)
    told = rwsr("report", "--run", run, "--watch", 5, "--out", tmp_path / "page.html")
    assert "again in 5 s, until" in told
    assert len(drawn) == 1 and 'http-equiv="refresh" content="5"' in drawn[0] and "9 of 100, under way" in drawn[0]
    page = (tmp_path / "page.html").read_text()
    assert "refresh" not in page and "10 of 10" in page and "under way" not in page
