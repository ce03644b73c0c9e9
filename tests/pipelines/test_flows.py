"""Flows on a real Prefect server on loopback: scheduled, tracked, failed; and what a person finds in their runs."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from PIL import Image

from rwsr.eval.report import table
from rwsr.train.runs.model_file import read_model

from ..conftest import scene
from ..loopback import free_port

pytestmark = pytest.mark.prefect

RWSR = [sys.executable, "-m", "rwsr"]
PREFECT = [sys.executable, "-m", "prefect"]
Tree = Callable[[Path], dict[str, bytes]]


def _post(url: str, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{url}/{path}", json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _wait(what: Callable[[], Any], seconds: float = 120) -> Any:
    """What it gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a Prefect server of its own is the one that is used."""
    port = free_port()
    home = tmp_path_factory.mktemp("prefect")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    started = subprocess.Popen(
        [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    url = f"http://127.0.0.1:{port}/api"

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return True
        except urllib.error.URLError:
            return False

    _wait(answers)
    yield environment | {"PREFECT_API_URL": url}
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def _runs(server: dict[str, str], flow: str, state: str = "COMPLETED") -> list[dict[str, Any]]:
    """The runs of a flow that ended so, the first first."""
    wanted = {"flows": {"name": {"any_": [flow]}}, "flow_runs": {"state": {"type": {"any_": [state]}}}}
    return _post(server["PREFECT_API_URL"], "flow_runs/filter", {**wanted, "sort": "START_TIME_ASC"})


def _artifacts(server: dict[str, str], run: dict[str, Any]) -> dict[str, str]:
    """What a run left, by key; progress artifacts, which have none, by their description."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 200}
    found = _post(server["PREFECT_API_URL"], "artifacts/filter", wanted)
    return {each["key"] or f"{each['type']} {each['description']}": str(each["data"]) for each in found}


def _logs(server: dict[str, str], run: dict[str, Any]) -> str:
    wanted = {"logs": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 200}
    return "\n".join(each["message"] for each in _post(server["PREFECT_API_URL"], "logs/filter", wanted))


def _config(photos: Path, tmp_path: Path) -> Path:
    """The whole way but for the training."""
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    Image.fromarray(scene(7, 160, 160)).save(held_out / "h.png")
    groups = {"source": "photos", "preset": "mm-realsr", "config": {"num_samples": 20, "hr_size_px": 96}}
    test = {"source": "held-out", "preset": "mm-realsr", "config": {"num_samples": 2, "hr_size_px": 96, "seed": 1}}
    value = {
        "out": str(tmp_path / "out"),
        "stages": {
            "photos": {"scan": {"target": str(photos), "grids": {"grids": [{"size": 32, "stride": 32}]}}},
            "held-out": {"index": {"folders": str(held_out), "apart_from": "photos"}},
            "bank": {"bank": {"scan": "photos", "config": {"grid": {"size": 32, "stride": 32}}}},
            "groups": {"store": groups},
            "test": {"store": test},
            "metrics": {"evaluate": {"store": "test"}},
            "report": {"report": {"metrics": "metrics"}},
        },
    }
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(value))
    return path


@pytest.mark.slow
def test_a_scheduled_run_fires_completes_and_notices_new_images(
    server: dict[str, str], photos: Path, tmp_path: Path, tree: Tree
) -> None:
    """Served every few seconds: the first run builds, the next does nothing; with a new image, what it changes."""
    config = _config(photos, tmp_path)
    serving = subprocess.Popen([*RWSR, "flow", "serve", str(config), "--interval", "8"], env=server, process_group=0)
    try:
        first, second = _wait(lambda: (found := _runs(server, "rwsr pipeline"))[1:] and found)[:2]
        assert first["auto_scheduled"]
        _wait(lambda: "all is there already: nothing was done" in _logs(server, second))  # logs come in a little later
        made = _artifacts(server, first)
        assert {
            "photos",
            "held-out",
            "bank",
            "bank-yields",
            "groups",
            "test",
            "metrics",
            "metrics-means",
            "report",
            "report-page",
        } <= set(made)
        assert "made now" in made["groups"] and "20" in made["groups"] and "psnr-y" in made["metrics-means"]
        assert made["report-page"].startswith("[the report](file:///") and float(made["progress render groups"]) == 100
        assert "bottom 2 %" in made["bank-yields"]
        assert "there already: nothing was done" in _artifacts(server, second)["groups"]

        stores = tree(tmp_path / "out/stores")
        Image.fromarray(scene(11, 200, 200)).save(photos / "new.png")
        seen = len(_runs(server, "rwsr pipeline"))
        _wait(lambda: len(_runs(server, "rwsr pipeline")) >= seen + 2)
        later = tree(tmp_path / "out/stores")
        assert stores.items() <= later.items()  # what was there is as it was, the held-out store for one
        new = {name.split(".zarr")[0] for name in later.keys() - stores.keys()}
        assert len(new) == 1
        latest = json.loads((tmp_path / "out/latest.json").read_text())
        assert latest["groups"].endswith(f"{new.pop()}.zarr")
    finally:
        os.killpg(serving.pid, signal.SIGTERM)
        serving.wait(timeout=60)


def _edl_from_psnr(photos: Path, tmp_path: Path) -> Path:
    """RWSR-EDL out of a PSNR model of the same pipeline, on pairs with the bank's noise, by two protocols."""
    network = {"num_feat": 4, "num_block": 1, "num_grow_ch": 4}
    loop = {"steps": 2, "batch_size": 2, "lr_patch_px": 16}
    threshold = {"kind": "threshold", "max_var": 30, "min_mean": 0}
    edl = {
        "network": network | {"branch_feats": 4},
        "losses": {"perceptual": {"weight": 0}, "gan": {"discriminator": "patch", "num_feat": 4}},
        "loop": loop | {"schedule": {"kind": "constant"}},
    }
    psnr = {"network": network, "loop": loop}
    small = {"num_samples": 6, "hr_size_px": 64}
    models = {"psnr": "psnr", "edl": "edl"}
    value = {
        "out": str(tmp_path / "edl"),
        "work": {"workers": 2},
        "stages": {
            "photos": {"scan": {"target": str(photos), "grids": {"grids": [{"size": 32, "stride": 32}]}}},
            "bank": {"bank": {"scan": "photos", "config": {"grid": {"size": 32, "stride": 32}, "rule": threshold}}},
            "pairs": {"store": {"source": "photos", "preset": "rwsr-edl", "bank": "bank", "config": small}},
            "psnr": {"train": {"preset": "esrgan-psnr", "data": "pairs", "config": psnr}},
            "edl": {"train": {"preset": "rwsr-edl", "data": "pairs", "start_from": "psnr", "config": edl}},
            "metrics": {
                "evaluate": {
                    "models": models,
                    "store": "pairs",
                    "protocols": {"restoration": {"metrics": ["psnr-y"]}, "segmented": {"by": "psnr-y"}},
                }
            },
            "page": {"report": {"metrics": ["metrics"], "training": "edl"}},
        },
    }
    path = tmp_path / "edl.yaml"
    path.write_text(yaml.safe_dump(value))
    return path


@pytest.mark.slow
def test_a_schedule_trains_from_a_model_and_measures_by_two_protocols(
    server: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    """From one YAML that the printed schema takes; the report has both protocols, and the run names what it made."""
    config = _edl_from_psnr(photos, tmp_path)
    printed = subprocess.run([*RWSR, "flow", "schema"], capture_output=True, text=True, check=True).stdout
    jsonschema.Draft202012Validator(json.loads(printed)).validate(yaml.safe_load(config.read_text()))
    seen = len(_runs(server, "rwsr pipeline"))
    serve = [*RWSR, "flow", "serve", str(config), "--interval", "10", "--name", "edl"]
    serving = subprocess.Popen(serve, env=server, process_group=0)
    try:
        run = _wait(lambda: _runs(server, "rwsr pipeline")[seen:])[0]
    finally:
        os.killpg(serving.pid, signal.SIGTERM)
        serving.wait(timeout=60)
    assert run["auto_scheduled"]
    assert {"photos", "bank", "pairs", "psnr", "edl", "metrics", "page"} <= set(_artifacts(server, run))
    latest = json.loads((tmp_path / "edl/latest.json").read_text())
    rows = table.read(Path(latest["metrics"]))
    assert {row.protocol for row in rows} == {"restoration", "segmented"}
    assert {"psnr", "edl", "best of 2"} <= {row.model for row in rows}
    before, after = (read_model(Path(latest[name]) / "model.safetensors").weights for name in ("psnr", "edl"))
    pairs = [(value, after[f"generator.{name}"]) for name, value in before.items() if f"generator.{name}" in after]
    assert pairs and all((one - other).abs().max() < 5e-4 for one, other in pairs)  # two steps from there


@pytest.mark.slow
def test_a_work_pool_runs_what_prefect_yaml_deploys(server: dict[str, str], photos: Path, tmp_path: Path) -> None:
    """The file of the repository with fewer and smaller samples, and a schedule seconds away."""
    value = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())
    [deployment] = value["deployments"]
    inner = deployment["parameters"]["config"]
    for name in ("held-out", "test", "net", "metrics", "page"):
        del inner["stages"][name]
    inner["stages"]["photos"]["scan"]["grids"] = {"grids": [{"size": 32, "stride": 32}]}
    inner["stages"]["bank"]["bank"]["config"] = {"grid": {"size": 32, "stride": 32}}
    inner["stages"]["groups"]["store"]["config"] = {"num_samples": 8, "hr_size_px": 96}
    deployment["schedules"] = [{"interval": 15}]
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(value))

    def prefect(*arguments: str) -> None:
        subprocess.run([*PREFECT, *arguments], env=server, cwd=tmp_path, check=True, capture_output=True, timeout=120)

    prefect("work-pool", "create", "--type", "process", "rwsr")
    prefect("--no-prompt", "deploy", "--all")
    seen = len(_runs(server, "rwsr pipeline"))
    worker = subprocess.Popen(
        [*PREFECT, "worker", "start", "--pool", "rwsr"],
        env=server,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        run = _wait(lambda: _runs(server, "rwsr pipeline")[seen:])[0]
    finally:
        os.killpg(worker.pid, signal.SIGTERM)
        try:
            worker.wait(timeout=60)
        except subprocess.TimeoutExpired:  # Prefect's worker waits for the run that came next
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
    assert run["auto_scheduled"] and {"bank", "groups"} <= set(_artifacts(server, run))
    assert len(list((tmp_path / "data-set/stores").glob("*.zarr"))) == 1


@pytest.mark.slow
def test_a_tracked_build_is_the_same_build(server: dict[str, str], photos: Path, tmp_path: Path, tree: Tree) -> None:
    """--track writes the same bytes, prints the same lines, and leaves a run with its summary and progress."""
    build = [*RWSR, "degrade", "build", "--preset", "mm-realsr", "--source", str(photos), "--samples", "12"]
    build += ["--hr-size", "96", "--out"]
    said = [
        subprocess.run([*build, str(tmp_path / name / "s.zarr"), *more], env=server, capture_output=True, text=True)
        for name, more in (("plain", []), ("tracked", ["--track"]))
    ]
    assert [each.returncode for each in said] == [0, 0] and said[0].stderr == said[1].stderr == ""
    assert said[0].stdout.replace("/plain/", "/tracked/") == said[1].stdout
    assert tree(tmp_path / "plain") == tree(tmp_path / "tracked")
    run = _runs(server, "rwsr store")[-1]
    assert "rendered 12 groups" in _artifacts(server, run)["store"]


@pytest.mark.slow
def test_each_stage_is_a_flow_of_its_own(server: dict[str, str], photos: Path, tmp_path: Path) -> None:
    """Index, bank, store, training, measurement and page, each by its command with --track."""
    groups = ["degrade", "build", "--preset", "mm-realsr", "--source", "photos", "--samples", "8", "--hr-size", "96"]
    tiny = ["--preset", "mm-realsr-small", "--steps", "2", "--set", "loop.batch_size=2", "--set", "loop.lr_patch_px=16"]
    for flow, command in {
        "rwsr index": ["sources", "index", "photos", "--out", "i.parquet"],
        "rwsr bank": ["noisebank", "build", "--target", "photos", "--out", "b.zarr", "--size", "32"],
        "rwsr store": [*groups, "--out", "s.zarr"],
        "rwsr train": ["train", "mm-realsr", "--store", "s.zarr", "--out", "run", *tiny],
        "rwsr evaluate": ["eval", "restoration", "--store", "s.zarr", "--model", "run", "--out", "m.parquet"],
        "rwsr report": ["report", "--metrics", "m.parquet", "--run", "run", "--out", "r.html"],
    }.items():
        found = subprocess.run([*RWSR, *command, "--track"], env=server, cwd=tmp_path, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        made = _artifacts(server, _runs(server, flow)[-1])
        beside = {"rwsr bank": "bank-yields", "rwsr evaluate": "evaluate-means", "rwsr report": "report-page"}
        assert {flow[5:], beside.get(flow, flow[5:])} <= set(made)


@pytest.mark.slow
def test_a_failed_run_is_told_here_and_there(server: dict[str, str], tmp_path: Path) -> None:
    """One line and exit code 1 at the terminal; a failed run on the server."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/bad.png").write_bytes(b"no image")
    bank = [*RWSR, "noisebank", "build", "--target", str(tmp_path / "photos"), "--out", str(tmp_path / "b.zarr")]
    found = subprocess.run([*bank, "--track"], env=server, capture_output=True, text=True)
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert found.stderr.splitlines()[-1].startswith("error: no image is as large as a tile of 256 px")
    [run] = _runs(server, "rwsr bank", state="FAILED")
    _wait(lambda: "left out: not-an-image" in _logs(server, run))


@pytest.mark.slow
def test_without_a_server_nothing_is_served(server: dict[str, str], photos: Path, tmp_path: Path) -> None:
    """On a server that Prefect starts for a moment a schedule would never fire; the line says what to start."""
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    serve = [*RWSR, "flow", "serve", str(_config(photos, tmp_path)), "--cron"]
    for url, cron, says in (
        (None, "0 3 * * *", "prefect server start"),
        (nowhere, "0 3 * * *", f"no Prefect server answers at PREFECT_API_URL={nowhere}"),
        (server["PREFECT_API_URL"], "at night", "--cron 'at night' is not a schedule"),
    ):
        environment = {name: value for name, value in server.items() if name != "PREFECT_API_URL"}
        environment |= {"PREFECT_API_URL": url} if url else {}
        found = subprocess.run([*serve, cron], env=environment, capture_output=True, text=True, timeout=120)
        assert found.returncode == 1 and says in found.stderr.splitlines()[-1]
        assert "Traceback" not in found.stderr
