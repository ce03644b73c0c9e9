"""Photographs and folders that several tests use, and an S3 server on loopback.

Everything is made from keyed seeds or comes with scikit-image.
"""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch: what is compared is what the CPU makes

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import U8
from rwsr.degrade.seeds import stream
from rwsr.degrade.storage.location import Place, names_below
from rwsr.degrade.storage.object_store import ObjectPath
from rwsr.train.networks.published.compact import CompactConfig

from .loopback import CREDENTIALS, free_port, new_bucket, start_s3
from .train.device.pretended import device

device()  # torch counts its devices at the first backward pass

_LONG = ("test_end_to_end", "test_docs", "test_flows", "papers/")  # whose tests take minutes


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Tests on object storage are marked s3, whether they ask for a bucket or for a place of each kind. The longest go
    first, so that no process is left alone with them at the end.
    """
    items.sort(key=lambda item: not any(name in item.nodeid for name in _LONG))
    for item in items:
        places = getattr(item, "callspec", None) and item.callspec.params.get("somewhere")
        if places == "s3" or (places is None and "s3" in item.fixturenames):
            item.add_marker("s3")


def scene(seed: int, height: int, width: int) -> U8:
    """A made photograph [H, W, 3]: smooth shapes, edges, fine texture and a noisy flat sky."""
    rng = stream(seed, "scene")
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    image = np.stack([np.sin(9 * x + p) * np.cos(7 * y - p) for p in rng.uniform(0, 6, 3)], axis=-1) * 60 + 120
    image[height // 3 : height // 2, width // 4 : width // 2] += 70
    image[height // 2 :] += rng.normal(0, 25, (height - height // 2, width, 1))
    image[: height // 4] = 190 + rng.normal(0, 1.5, (height // 4, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def astronaut() -> U8:
    """A real photograph, [512, 512, 3]."""
    return decode((files("skimage") / "data" / "astronaut.png").read_bytes()).pixels


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four made photographs of different sizes, one in a folder below."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for seed, (name, size) in enumerate(
        {"a.png": (200, 260), "b.png": (160, 160), "below/c.png": (240, 180), "d.png": (300, 200)}.items()
    ):
        Image.fromarray(scene(seed, *size)).save(folder / name)
    return folder


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A compact SR model, as its authors publish them."""
    torch.manual_seed(0)
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=4).build().state_dict()}, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


@pytest.fixture(scope="session")
def data() -> Path:
    """Published images and parameter files, which do not come with the project: RWSR_TEST_DATA, or ../shared/data."""
    folder = Path(os.environ.get("RWSR_TEST_DATA", Path(__file__).parents[2] / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set RWSR_TEST_DATA")
    return folder


@pytest.fixture
def published(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published parameter files, where metrics look for them."""
    monkeypatch.setenv("RWSR_WEIGHTS", str(data / "weights"))
    return data / "weights"


@pytest.fixture(scope="session")
def tree() -> Callable[[Place], dict[str, bytes]]:
    """A function that reads a whole folder: relative name -> bytes."""
    return lambda folder: {name: (folder / name).read_bytes() for name in names_below(folder)}


@pytest.fixture(scope="session")
def s3() -> Iterator[Callable[[], ObjectPath]]:
    """A function that makes a new bucket; credentials and endpoint are in the environment while the tests run."""
    port = free_port()
    server = start_s3(port)
    os.environ.update(CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})

    def bucket() -> ObjectPath:
        return ObjectPath.parse(new_bucket(port))

    yield bucket
    server.terminate()
    server.wait()


@pytest.fixture(params=["disk", "s3"])
def somewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty folder on a disk, then one on object storage."""
    return tmp_path if request.param == "disk" else request.getfixturevalue("s3")() / "folder"
