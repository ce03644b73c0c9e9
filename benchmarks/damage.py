"""The damage campaign: one flipped bit of a file that we wrote is noticed, or changes no value that anybody reads.

    python benchmarks/damage.py [FLIPS] [store|bank|scan|run|checkpoint|report ...]

Makes each kind of artefact by the real functions, flips one bit of one of its files at a time (files in turn, so that
small metadata gets as many flips as shards), and reads all of it as the commands do. Prints a Markdown table: `noticed`
in one line, `no effect` where every value is as before, `silent` where one is not, `traceback` for any other error.
Exits 1 where something is silent or a traceback.
"""

import hashlib
import logging
import pickle
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from rwsr.degrade.build_store import open_samples
from rwsr.degrade.errors import UserError
from rwsr.degrade.images import sources
from rwsr.degrade.storage.shards.inspect import problems
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.eval.report import table
from rwsr.noisebank.bank import NoiseBank
from rwsr.noisebank.set_scan import open_scan
from rwsr.pipelines.executors import runner
from rwsr.train.engine.loop import built
from rwsr.train.files.open import open_restorer
from rwsr.train.networks.mm_realsr import MMRealSRConfig
from rwsr.train.runs import checkpoint, identity
from rwsr.train.runs.checkpoint import read_log
from rwsr.train.runs.identity import check_identity
from rwsr.train.runs.model_file import read_model
from rwsr.train.runs.moments import model_file
from tests.commands import TINY, flags
from tests.commands import rwsr as command

CPU = torch.device("cpu")


def make(folder: Path) -> None:
    """One artefact of each kind."""
    photos = folder / "photos"
    photos.mkdir()
    for name in ("astronaut.png", "coffee.png", "chelsea.png"):
        (photos / name).write_bytes((files("skimage") / "data" / name).read_bytes())
    command("sources", "index", photos, "--out", folder / "index.parquet")
    command(
        "noisebank", "build", "--target", photos, "--auxiliary", photos, "--out", folder / "bank.zarr", "--size", 64
    )
    command("degrade", "build", "--preset", "mm-realsr", "--source", photos, "--out", folder / "store.zarr",
            "--samples", 6, "--hr-size", 64, "--set", "shard_mib=0.03")  # fmt: skip
    train = (
        "train",
        "mm-realsr",
        "--store",
        folder / "store.zarr",
        "--preset",
        "mm-realsr-small",
        *flags("--set", TINY),
    )
    command(*train, "--steps", 3, "--out", folder / "run")
    with suppress(AssertionError, KeyboardInterrupt):
        _stopped(folder, train)
    command("eval", "restoration", "--store", folder / "store.zarr", "--model", folder / "run", "--metric", "psnr-y",
            "--out", folder / "m.parquet")  # fmt: skip


def _stopped(folder: Path, train: tuple[Any, ...]) -> None:
    """A run that was killed behind its second checkpoint."""
    save, done = checkpoint.save_state, []

    def and_die(*told: Any) -> None:
        save(*told)
        done.append(1)
        if len(done) == 2:
            raise KeyboardInterrupt

    checkpoint.save_state = and_die
    try:
        command(*train, "--steps", 9, "--out", folder / "half")
    finally:
        checkpoint.save_state = save


def _samples(path: Path) -> object:
    store = open_samples(path)
    everything = range(store.layout.num_samples)
    arrays = [ShardReader(store, name).read(everything).tobytes() for name in ("hr", "lr")]
    return store.attributes, store.layout, store.provenance, store.manifest().to_pylist(), arrays


def _bank(path: Path) -> object:
    bank = NoiseBank.open(path)
    reader = ShardReader(bank.store, "patches")
    patches = reader.read(range(len(reader))).tobytes()
    return bank.store.attributes, bank.store.layout, bank.store.provenance, bank.table.to_pylist(), patches


def _scan(path: Path) -> object:
    return [
        (each.rows(), each.provenance(), [each.read_tiles(grid).to_pylist() for grid in each.grids()])
        for each in open_scan(path)
    ]


def _index(path: Path) -> object:
    return sources.read(path)


def _identity(path: Path) -> tuple[dict[str, Any], str]:
    known = identity._read_identity(path / "run.json")
    check_identity(path, known["config"], known["data_sha256"])
    return known["config"], known["data_sha256"]


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else repr(value)


def _run(path: Path) -> object:
    restorer, model = open_restorer(path, CPU), read_model(model_file(path))
    return _identity(path), restorer.scale, _plain(model.weights), model.config, read_log(path).to_pylist()


def _checkpoint(path: Path) -> object:
    """The newest, or that the one before it is taken with a line."""
    config, data = _identity(path)
    net = built(MMRealSRConfig.model_validate(config["network"]).build, 0)
    saved = checkpoint.load_state(path, {"generator": net}, CPU)
    assert saved is not None
    if saved.step != _NEWEST:
        raise UserError("the one before it is taken")
    return config, data, _plain(saved.ema), _plain(saved.state), _plain(dict(net.state_dict()))


_NEWEST = 4


def _verified(path: Path) -> object:
    found = problems(path, runner(1))
    if found:
        raise UserError(found[0])
    return None


ASKED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "store": ("store.zarr", _samples),
    "store, verify": ("store.zarr", _verified),
    "bank": ("bank.zarr", _bank),
    "bank, verify": ("bank.zarr", _verified),
    "scan": ("bank.zarr.scan", _scan),
    "index": ("index.parquet", _index),
    "run": ("run", _run),
    "checkpoint": ("half", _checkpoint),
    "report": ("m.parquet", table.read),
}


def _hash(value: object) -> str:
    return hashlib.sha256(pickle.dumps(repr(value) if not isinstance(value, bytes) else value)).hexdigest()


def _files(at: Path) -> list[Path]:
    found = [at] if at.is_file() else sorted(path for path in at.rglob("*") if path.is_file())
    kept = [path for path in found if path.stat().st_size]
    if at.name == "half":  # of a checkpoint, what the newest is made of, and the identity
        kept = [path for path in kept if "log" not in path.parts and "step-00000002" not in path.parts]
    return [path for path in kept if path.name != "sources.json"]


def campaign(kind: str, folder: Path, flips: int) -> Counter[str]:
    """How often each outcome is met."""
    name, ask = ASKED[kind]
    rng, at, outcomes = random.Random(kind), folder / name, Counter[str]()
    right, targets = _hash(ask(at)), _files(folder / name)
    for number in range(flips):
        file = targets[number % len(targets)]
        whole = file.read_bytes()
        place, bit = rng.randrange(len(whole)), rng.randrange(8)
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        file.write_bytes(damaged)
        where = f"{kind}: {file.relative_to(folder)}, byte {place} of {len(whole)}, bit {bit}"
        try:
            same = _hash(ask(at)) == right
            outcomes["no effect" if same else "silent"] += 1
            if not same:
                print(f"SILENT {where}")
        except UserError as error:
            outcomes["noticed"] += 1
            if "\n" in str(error):
                outcomes["more than a line"] += 1
        except Exception as error:  # what is looked for
            outcomes["traceback"] += 1
            print(f"TRACEBACK {where}: {type(error).__name__}: {str(error)[:100]}")
        file.write_bytes(whole)
    return outcomes


def main() -> int:
    warnings.filterwarnings("ignore")
    logging.getLogger("rwsr").addHandler(logging.NullHandler())
    logging.getLogger("rwsr").propagate = False
    told = sys.argv[1:]
    flips = int(told.pop(0)) if told and told[0].isdigit() else 500
    kinds = [kind for kind in ASKED if not told or kind.split(",")[0] in told]
    columns = ("noticed", "no effect", "silent", "traceback", "more than a line")
    bad = 0
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        make(folder)
        rows = {kind: campaign(kind, folder, flips) for kind in kinds}
    print(f"| artefact | flips | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}")
    for kind, outcomes in rows.items():
        print(f"| {kind} | {flips} | {' | '.join(str(outcomes[name]) for name in columns)} |")
        bad += outcomes["silent"] + outcomes["traceback"] + outcomes["more than a line"]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
