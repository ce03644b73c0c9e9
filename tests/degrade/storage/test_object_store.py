"""The whole way by the real command with sources, bank, stores and reports on object storage."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from torch.utils.data import DataLoader

from rwsr.degrade.storage.location import Place, Staged, names_below, write
from rwsr.degrade.storage.object_store import ObjectPath
from rwsr.pipelines.cli.main import root
from rwsr.train.data.datasets import GroupDataset

from ...loopback import Mood, Trouble, free_port

Tree = Callable[[Place], dict[str, bytes]]


def _run(*arguments: object, code: int = 0) -> str:
    """What the command prints, in this process."""
    result = CliRunner().invoke(root, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def bucket(s3: Callable[[], ObjectPath], photos: Path) -> ObjectPath:
    """A bucket with four photographs below photos/."""
    found = s3()
    for name in names_below(photos):
        write(found / "photos" / name, (photos / name).read_bytes())
    return found


def _groups(source: Place, out: Place, *more: object) -> str:
    settings = ["--samples", 24, "--hr-size", 96, "--set", "shard_mib=0.2", "--seed", 3]
    return _run("degrade", "build", "--preset", "mm-realsr", "--source", source, "--out", out, *settings, *more)


@pytest.mark.slow
def test_from_photographs_to_a_report_without_a_local_file(bucket: ObjectPath, tmp_path: Path) -> None:
    """Index, bank, injected pairs, groups, their look and quality, a training, its measurement: each by URL."""
    photos = bucket / "photos"
    assert "4 ok" in _run("sources", "index", photos, "--out", bucket / "index.parquet")
    made = _run("noisebank", "build", "--target", photos, "--out", bucket / "bank.zarr", "--size", 32, "--min-mean", 1)
    assert f"wrote {bucket}/bank.zarr" in made
    _run("noisebank", "show", bucket / "bank.zarr", "--out", bucket / "bank-pictures")
    with_bank = ["--preset", "rwsr-edl", "--bank", bucket / "bank.zarr", "--source", photos, "--hr-size", 64]
    _run("degrade", "preview", *with_bank, "--out", bucket / "preview.png")
    _run("degrade", "build", *with_bank, "--samples", 10, "--out", bucket / "pairs.zarr")
    assert "7 equals" in _run("store", "render", bucket / "pairs.zarr", 7, "--out", bucket / "seven")
    _groups(photos, bucket / "groups.zarr")
    assert "is whole" in _run("store", "verify", bucket / "groups.zarr")
    _run("store", "report", bucket / "groups.zarr", "--out", bucket / "quality.html", "--samples", 5)
    _run("store", "export", bucket / "groups.zarr", "--out", tmp_path / "png")
    _run(
        *(
            "train",
            "mm-realsr",
            "--store",
            bucket / "groups.zarr",
            "--out",
            tmp_path / "run",
            "--preset",
            "mm-realsr-small",
        ),
        *("--steps", 2, "--set", "loop.batch_size=2", "--set", "loop.lr_patch_px=16", "--set", "loop.num_workers=1"),
    )
    _run(
        "eval",
        "restoration",
        "--store",
        bucket / "groups.zarr",
        "--model",
        tmp_path / "run",
        "--out",
        bucket / "metrics.parquet",
    )
    page = ["report", "--metrics", bucket / "metrics.parquet", "--run", tmp_path / "run"]
    assert f"wrote {bucket}/report.html" in _run(*page, "--out", bucket / "report.html")
    names = names_below(bucket)
    for name in ("index.parquet", "preview.png", "quality.html", "quality.parquet", "metrics.parquet", "report.html"):
        assert name in names
    assert {"bank-pictures/patches.png", "seven/000007_hr.png"} <= set(names)
    assert not [name for name in names if "building/" in name or "lease" in name or "parts" in name]


@pytest.mark.slow
def test_a_store_is_the_same_wherever_it_and_its_sources_lie(
    bucket: ObjectPath, photos: Path, tmp_path: Path, tree: Tree
) -> None:
    """All but sources.json, which says where they lay."""
    _groups(photos, tmp_path / "disk.zarr")
    _groups(bucket / "photos", bucket / "objects.zarr", "--dask", "local", "--workers", 2)
    on_disk, on_objects = tree(tmp_path / "disk.zarr"), tree(bucket / "objects.zarr")
    assert json.loads(on_objects.pop("sources.json")) == {"bank": None, "roots": [f"{bucket}/photos"]}
    on_disk.pop("sources.json")
    assert on_objects == on_disk


@pytest.mark.slow
def test_requests_grow_with_the_shards_and_lists_do_not(
    s3: Callable[[], ObjectPath], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each shard: its two files, its rows and its mark are put; a build is begun and ended in the same requests."""
    bucket, port = s3(), urlsplit(os.environ["AWS_ENDPOINT_URL"]).port
    assert port is not None
    counted = Trouble(port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", counted.url)
    found: list[Counter[str]] = []
    for shards in (1, 5):
        counted.requests.clear()
        command = [sys.executable, "-m", "rwsr", "degrade", "build", "--preset", "bicubic", "--source", str(photos)]
        command += ["--out", f"{bucket}/{shards}.zarr", "--hr-size", "64", "--samples", str(4 * shards)]
        subprocess.run([*command, "--set", "shard_mib=0.05", "--workers", "1"], check=True, capture_output=True)
        found.append(counted.requests.copy())
    counted.close()
    few, many = found
    assert (many["PUT"] - few["PUT"]) / 4 == 4
    assert (many["GET"] - few["GET"]) / 4 <= 6 and (many["HEAD"] - few["HEAD"]) / 4 <= 2
    assert many["LIST"] == few["LIST"] <= 10 and many["POST"] == few["POST"]


def test_a_large_file_is_put_in_parts(bucket: ObjectPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there whole, or not at all."""
    monkeypatch.setattr("rwsr.degrade.storage.object_store._PART_BYTES", 5 * 2**20)
    data = np.random.default_rng(0).bytes(12 * 2**20)
    staged = Staged(bucket / "large")
    staged.file.write_bytes(data)
    assert not (bucket / "large").is_file()
    staged.put()
    staged.drop()
    assert (bucket / "large").read_bytes() == data and not staged.file.exists()


def test_images_that_come_and_go_are_noticed(bucket: ObjectPath) -> None:
    """A second index reads only what changed, by size and time; what is no image is a row with the reason."""
    photos, out = bucket / "photos", bucket / "index.parquet"
    assert "indexed 4 images: 4 ok" in _run("sources", "index", photos, "--out", out)
    (photos / "d.png").unlink()
    write(photos / "bad.png", b"no image")
    found = _run("sources", "index", photos, "--out", out, code=3)
    assert "indexed 4 images: 3 ok, 1 left out" in found and f"{photos}/bad.png" in found


@pytest.mark.slow
def test_credentials_go_into_no_file(bucket: ObjectPath, tree: Tree) -> None:
    """They are in the environment, and nowhere in what was written or said."""
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    said = _groups(bucket / "photos", bucket / "groups.zarr")
    said += _run("store", "info", bucket / "groups.zarr", "--json")
    assert secret not in said
    assert not [name for name, data in tree(bucket).items() if secret.encode() in data]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sources", "index", "s3://{b}/nothing", "--out", "{t}/i.parquet"], "no image below s3://"),
        (["sources", "index", "s3://no-such-bucket-here/x", "--out", "{t}/i.parquet"], "no such bucket"),
        (["store", "info", "s3://{b}/nothing.zarr"], "is not a store"),
        (["store", "info", "s3://no-such-bucket-here/x"], "no such bucket"),
        (["train", "mm-realsr", "--store", "s3://no-such-bucket-here/x", "--out", "{t}/run"], "no such bucket"),
        (["degrade", "build", "--preset", "bicubic", "--source", "{t}", "--out", "s3://{b}"], "is a whole bucket"),
        (["store", "info", "http://host/x"], "http:// URLs are not known here"),
        (["store", "export", "s3://{b}/x", "--out", "s3://{b}/png"], "must be on a disk"),
        (["train", "mm-realsr", "--store", "s3://{b}/x", "--out", "s3://{b}/run"], "must be on a disk"),
    ],
)
def test_wrong_urls_are_told_in_one_line(
    s3: Callable[[], ObjectPath], tmp_path: Path, arguments: list[str], says: str
) -> None:
    """By the real command, with the name and the mend."""
    names = {"b": str(s3()).removeprefix("s3://"), "t": str(tmp_path)}
    command = [sys.executable, "-m", "rwsr", *(each.format(**names) for each in arguments)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode in (1, 2) and "Traceback" not in found.stderr
    assert says in found.stderr.splitlines()[-1]


@pytest.mark.slow
def test_an_endpoint_that_is_no_url_is_told() -> None:
    """Before any request, with the variable and the mend."""
    command = [sys.executable, "-m", "rwsr", "store", "info", "s3://bucket/x"]
    environment = os.environ | {"AWS_ENDPOINT_URL": "localhost:9000"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr.startswith("error: AWS_ENDPOINT_URL=localhost:9000 is not a URL; write http://")


@pytest.mark.slow
def test_an_endpoint_where_nothing_listens_is_told_at_once() -> None:
    """Not after the minute that it is tried for."""
    command = [sys.executable, "-m", "rwsr", "store", "info", "s3://bucket/x"]
    environment = os.environ | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as asking:
        assert asking.stderr is not None
        said = asking.stderr.readline()
        asking.kill()
    assert said.startswith("no server answers at AWS_ENDPOINT_URL=http://127.0.0.1:") and "trying for 60 s" in said


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "variable"), [("s3", "AWS_ACCESS_KEY_ID"), ("az", "AZURE_STORAGE_ACCOUNT_NAME")])
def test_missing_credentials_are_told(scheme: str, variable: str) -> None:
    """With the variables that hold them, once the machine's cloud has been asked and has none."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AZURE_"))}
    command = [sys.executable, "-c", _FORBIDDEN, "AWS_METADATA_ENDPOINT", f"{scheme}://bucket"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert f"there are no credentials in the environment; set {variable}" in found.stderr.splitlines()[-1]


@pytest.mark.slow
def test_refused_credentials_are_told(bucket: ObjectPath) -> None:
    """A server that answers 403 is not one that has no such object; the line points at the environment."""
    command = [sys.executable, "-c", _FORBIDDEN, "AWS_ENDPOINT_URL", str(bucket)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert "refuses the credentials of the environment" in found.stderr


_FORBIDDEN = """
import os, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
class Refuse(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"<Error><Code>AccessDenied</Code></Error>")
    do_HEAD = do_PUT = do_POST = do_GET
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", 0), Refuse)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ[sys.argv[1]] = f"http://127.0.0.1:{server.server_port}"
sys.argv = ["rwsr", "store", "info", sys.argv[2] + "/x"]
from rwsr.pipelines.cli.main import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("mood", ["errors", "drops"])
def test_a_server_in_trouble_for_a_while_is_waited_for(bucket: ObjectPath, tree: Tree, mood: Mood) -> None:
    """Answers of 500, or none: the build goes on when they end, and its bytes are as without."""
    trouble = Trouble(int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]))
    _groups(bucket / "photos", bucket / "whole.zarr")
    command = [sys.executable, "-m", "rwsr", "degrade", "build", "--preset", "mm-realsr"]
    command += ["--hr-size", "96", "--samples", "24", "--set", "shard_mib=0.2", "--seed", "3"]
    command += ["--source", str(bucket / "photos"), "--out", str(bucket / "troubled.zarr")]
    building = subprocess.Popen(command, env=os.environ | {"AWS_ENDPOINT_URL": trouble.url}, stdout=subprocess.DEVNULL)
    while not (bucket / "troubled.zarr/zarr.json").is_file():
        time.sleep(0.02)
    trouble.mood = mood
    time.sleep(6)
    trouble.mood = "well"
    assert building.wait(timeout=120) == 0 and trouble.troubled >= 2
    trouble.close()
    assert tree(bucket / "troubled.zarr") == tree(bucket / "whole.zarr")


@pytest.mark.slow
def test_a_training_script_reads_by_url(bucket: ObjectPath) -> None:
    """Spawned loaders give the same samples as none."""
    _groups(bucket / "photos", bucket / "groups.zarr")
    data = GroupDataset(f"{bucket}/groups.zarr", lr_patch_px=16)
    plain = [batch["hr"] for batch in DataLoader(data, batch_size=4)]
    spawned = [b["hr"] for b in DataLoader(data, batch_size=4, num_workers=1, multiprocessing_context="spawn")]
    assert len(plain) == 6 and all(a.equal(b) for a, b in zip(plain, spawned, strict=True))
