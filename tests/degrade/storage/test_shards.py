"""Stores are plain Zarr, whole or visibly not, and every byte is accounted for, on a disk and on object storage."""

import json
import os
import pickle
import resource
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zarr
from pydantic import BaseModel

from rwsr.degrade.errors import StoreError
from rwsr.degrade.storage import location
from rwsr.degrade.storage.location import Place
from rwsr.degrade.storage.lock import only_builder
from rwsr.degrade.storage.provenance import provenance
from rwsr.degrade.storage.shards.commits import Commit
from rwsr.degrade.storage.shards.inspect import problems
from rwsr.degrade.storage.shards.layout import ArraySpec, Layout, samples_per_shard
from rwsr.degrade.storage.shards.parts import merging
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.storage.shards.store import (
    Store,
    commits_of,
    metadata_files,
    missing_shards,
    open_store,
    open_unfinished,
)
from rwsr.degrade.storage.shards.verify import digest, verify, verify_whole
from rwsr.degrade.storage.shards.writer import begin, finish, prepare, shard_writer
from rwsr.degrade.tasks import serial

KIND = "group-store"
LAYOUT = Layout(10, 4, (ArraySpec("hr", (16, 12, 3)), ArraySpec("lr", (5, 4, 3, 3))))
SCHEMA = pa.schema([("sample", pa.int64())])
PLAN = pa.schema([("first", pa.int64()), ("stop", pa.int64()), ("source", pa.string())])


class Config(BaseModel):
    seed: int = 0


def _blocks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    blocks = {a.name: rng.integers(0, 256, (10, *a.sample_shape), dtype=np.uint8) for a in LAYOUT.arrays}
    blocks["hr"][7] = 0  # a black sample is a sample, not a missing one
    return blocks


def _begin(path: Place, config: Config | None = None) -> Store:
    store = begin(path, LAYOUT, provenance(KIND, config or Config(), "inputs"), attributes={"a": 1})
    prepare(store, PLAN, lambda: iter([pa.table({"first": [0, 3], "stop": [3, 10], "source": ["x", "y"]}, PLAN)]))
    return store


def _rows(shard: int) -> pa.Table:
    return pa.table({"sample": list(LAYOUT.rows(shard))}, schema=SCHEMA)


def _write(store: Store, shard: int, blocks: dict[str, np.ndarray] | None = None) -> Commit:
    blocks = blocks or _blocks()
    with shard_writer(store, shard) as writer:
        for sample in LAYOUT.rows(shard):
            writer.add(**{name: block[sample] for name, block in blocks.items()})
        writer.add_rows(_rows(shard))
    return writer.commit


def _finished(path: Place) -> Store:
    """A finished store of ten samples in three shards, the last one short."""
    found = _begin(path)
    for shard in range(3):
        _write(found, shard)
    finish(found)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A finished store on a disk."""
    return _finished(tmp_path / "store.zarr")


@pytest.fixture
def stored(somewhere: Place) -> Store:
    """A finished store on a disk, then one on object storage."""
    return _finished(somewhere / "store.zarr")


def _problems(store: Store) -> list[str]:
    store = open_unfinished(store.path, KIND)
    marks = commits_of(store)
    return verify_whole(store) + [line for s in range(LAYOUT.num_shards) for line in verify(store, s, marks.get(s))]


def test_zarr_reads_what_we_wrote(store: Store) -> None:
    """Any Zarr v3 library opens it: here zarr-python alone."""
    group = zarr.open_group(store.path, mode="r")
    for name, block in _blocks().items():
        assert np.array_equal(group[name][:], block)


def test_our_shards_are_byte_identical_to_zarrs(store: Store, tmp_path: Path) -> None:
    """zarr-python, given the same metadata and samples, writes the very same files."""
    copy = tmp_path / "by-zarr.zarr"
    shutil.copytree(store.path, copy)
    for name, block in _blocks().items():
        for shard in range(3):
            (copy / LAYOUT.shard_name(LAYOUT.array(name), shard)).unlink()
        array = zarr.open_group(copy, mode="r+")[name]
        array.with_config({"write_empty_chunks": True})[:] = block
        for shard in range(3):
            file = LAYOUT.shard_name(LAYOUT.array(name), shard)
            assert (copy / file).read_bytes() == (store.path / file).read_bytes()


def test_the_reader_gives_the_samples_in_the_order_asked_for(stored: Store) -> None:
    """Across shards, repeated, and backwards."""
    asked = [9, 0, 3, 3, 7]
    for name, block in _blocks().items():
        assert np.array_equal(ShardReader(stored, name).read(asked), block[asked])


def test_there_is_no_sample_beyond_the_ends(stored: Store) -> None:
    """Negative and too large numbers are errors, not other samples."""
    for sample in (-1, 10):
        with pytest.raises(IndexError):
            ShardReader(stored, "hr").read([sample])


def _read_in_child(reader: ShardReader, samples: list[int], answers) -> None:
    answers.put(reader.read(samples).tobytes())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_reader_works_in_a_child_process(store: Store, method: str) -> None:
    """After fork (files open in the parent) and after spawn (pickled)."""
    reader = ShardReader(store, "hr")
    expected = reader.read([1, 9]).tobytes()
    context = get_context(method)
    answers = context.Queue()
    child = context.Process(target=_read_in_child, args=(reader, [1, 9], answers))
    child.start()
    assert answers.get(timeout=60) == expected
    child.join()


def test_the_reader_works_from_many_threads(store: Store) -> None:
    """Eight threads on one reader all get their samples."""
    reader, block = pickle.loads(pickle.dumps(ShardReader(store, "hr"))), _blocks()["hr"]
    wrong: list[int] = []

    def read(which: int) -> None:
        for i in range(50):
            sample = (which + i) % 10
            if not np.array_equal(reader.read([sample])[0], block[sample]):
                wrong.append(sample)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def _flip(path: Place, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def _cut(path: Place, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def _replace(path: Place, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new).encode())


def _edit(path: Place, change: Callable[[dict], object]) -> None:
    value = json.loads((path / "zarr.json").read_text())
    change(value["attributes"]["rwsr"])
    (path / "zarr.json").write_bytes(json.dumps(value).encode())


def _swap(a: Place, b: Place) -> None:
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)


FAULTS: dict[str, Callable[[Place], object]] = {
    "a flipped bit": lambda p: _flip(p / "hr/c.1.0.0.0", 100),
    "a missing shard": lambda p: (p / "lr/c.2.0.0.0.0").unlink(),
    "a shard cut short": lambda p: _cut(p / "hr/c.0.0.0.0", 50),
    "an empty shard": lambda p: _cut(p / "hr/c.0.0.0.0", 0),
    "two shards swapped": lambda p: _swap(p / "hr/c.0.0.0.0", p / "hr/c.1.0.0.0"),
    "no marks": lambda p: (p / "commits.parquet").unlink(),
    "marks cut short": lambda p: _cut(p / "commits.parquet", 700),
    "a flipped bit among the marks": lambda p: _flip(p / "commits.parquet", 60),
    "the marks of another store": lambda p: _replace_marks(p),
    "another manifest": lambda p: _flip(p / "manifest.parquet", 60),
    "a manifest cut short": lambda p: _cut(p / "manifest.parquet", 50),
    "no manifest": lambda p: (p / "manifest.parquet").unlink(),
    "another shape": lambda p: _replace(p / "hr/zarr.json", "12", "13"),
    "no array metadata": lambda p: (p / "lr/zarr.json").unlink(),
    "broken array metadata": lambda p: (p / "lr/zarr.json").write_bytes(b"{"),
    "another config": lambda p: _edit(p, lambda r: r["provenance"]["config"].update(seed=1)),
    "a stranger among the shards": lambda p: (p / "hr/c.7").write_bytes(b"x"),
    "a shard twice": lambda p: location.write(p / "hr/c.3.0.0.0", (p / "hr/c.0.0.0.0").read_bytes()),
}


UNREADABLE = (
    "marks cut short",
    "a flipped bit among the marks",
    "the marks of another store",
    "another config",
)  # nothing can be compared


def _replace_marks(path: Place) -> None:
    other = _begin(path.with_name("other.zarr"), Config(seed=9))
    for shard in range(3):
        _write(other, shard)
    finish(other)
    (path / "commits.parquet").write_bytes((other.path / "commits.parquet").read_bytes())


@pytest.mark.parametrize("fault", FAULTS)
def test_verify_finds_every_fault(stored: Store, fault: str) -> None:
    """Each way of damaging a store is found, and a whole one has nothing to report."""
    assert _problems(stored) == []
    FAULTS[fault](stored.path)
    try:
        assert len(_problems(stored)) >= 1
    except StoreError as error:
        assert ("commits.parquet" in str(error) and fault in UNREADABLE) or (
            "zarr.json is not what was" in str(error) or "config that is not the one" in str(error)
        )


@pytest.mark.parametrize(
    "fault",
    ["a missing shard", "a shard cut short", "an empty shard", "no marks", "no manifest", "a manifest cut short"],
)
def test_opening_refuses_what_is_missing_or_short(stored: Store, fault: str) -> None:
    """Where Zarr would read zeros, opening says which shard lacks and what to do."""
    FAULTS[fault](stored.path)
    with pytest.raises(StoreError, match="run the command that built it again"):
        open_store(stored.path, KIND)


@pytest.mark.parametrize("fault", ["marks cut short", "a flipped bit among the marks", "the marks of another store"])
def test_opening_refuses_marks_that_are_not_the_stores(stored: Store, fault: str) -> None:
    """They say nothing about the shards, so that everything is to be built again."""
    FAULTS[fault](stored.path)
    with pytest.raises(StoreError, match="commits.parquet .*build (it )?again"):
        open_store(stored.path, KIND)


@pytest.mark.slow
def test_every_byte_of_the_marks_is_watched(stored: Store) -> None:
    """A changed byte in what they hold is told; one that nothing reads changes nothing that is read."""
    path = stored.path / "commits.parquet"
    data, marks = path.read_bytes(), commits_of(stored)
    for at in range(0, len(data), 23):
        location.write(path, data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        try:
            assert commits_of(stored) == marks
        except StoreError as error:
            assert "commits.parquet" in str(error)


def test_the_reader_notices_a_flipped_bit_and_a_missing_shard(stored: Store) -> None:
    """A sample whose bytes changed or went is an error; the others still read."""
    FAULTS["a flipped bit"](stored.path)
    with pytest.raises(StoreError, match="checksum"):
        ShardReader(stored, "hr").read([4])
    assert np.array_equal(ShardReader(stored, "hr").read([5]), _blocks()["hr"][[5]])
    FAULTS["a missing shard"](stored.path)
    FAULTS["a shard cut short"](stored.path)
    with pytest.raises(StoreError, match="cannot be read"):
        ShardReader(stored, "lr").read([9])
    with pytest.raises(StoreError, match="verify the store"):
        ShardReader(stored, "hr").read([0])


def test_a_build_goes_on_where_it_stopped(somewhere: Place, tree: Callable[[Place], dict[str, bytes]]) -> None:
    """Shards in any order, with a stop between, give the same folder, on a disk and on object storage."""
    whole = _finished(somewhere / "a.zarr")
    broken = _begin(somewhere / "b.zarr")
    _write(broken, 2)
    assert missing_shards(broken) == [0, 1]
    again = _begin(somewhere / "b.zarr")
    for shard in (1, 0):
        _write(again, shard)
    finish(again)
    assert tree(somewhere / "a.zarr") == tree(somewhere / "b.zarr")
    assert digest(whole) == digest(again)


def test_a_store_is_the_same_bytes_on_a_disk_and_on_object_storage(
    store: Store, s3: Callable[[], Place], tree: Callable[[Place], dict[str, bytes]]
) -> None:
    """What `aws s3 cp --recursive` would bring there."""
    assert tree(_finished(s3() / "store.zarr").path) == tree(store.path)


def test_the_plan_of_a_shard_is_the_rows_that_meet_it(tmp_path: Path) -> None:
    """Samples 0..3 come from both sources, 4..7 from the second."""
    store = _begin(tmp_path / "s.zarr")
    assert [store.plan_of(s)["source"].to_pylist() for s in range(3)] == [["x", "y"], ["y"], ["y"]]


def test_the_manifest_of_a_shard_is_its_rows(stored: Store) -> None:
    """Out of a row group that holds those of many shards."""
    assert [stored.manifest_of(s)["sample"].to_pylist() for s in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert stored.manifest()["sample"].to_pylist() == list(range(10))


def test_a_second_commit_with_other_bytes_is_refused(somewhere: Place) -> None:
    """Two different results for one shard mean that the build is not deterministic: that is said, not hidden."""
    store = _begin(somewhere / "s.zarr")
    blocks = _blocks()
    for _ in range(2):
        _write(store, 0, blocks)
    blocks["hr"][0] ^= 1
    with pytest.raises(StoreError, match="not deterministic"):
        _write(store, 0, blocks)


def test_a_finished_store_keeps_its_bytes(stored: Store, tree: Callable[[Place], dict[str, bytes]]) -> None:
    """The same shard again is fine; another one is refused before it touches a file."""
    before = tree(stored.path)
    blocks = _blocks()
    _write(stored, 0, blocks)
    blocks["hr"][0] ^= 1
    with pytest.raises(StoreError, match="other than it was committed"):
        _write(stored, 0, blocks)
    assert tree(stored.path) == before


@pytest.mark.parametrize("lost", ["manifest.parquet", "hr/c.1.0.0.0", "commits.parquet", "lr/zarr.json"])
def test_what_a_finished_store_lost_is_built_again(
    stored: Store, lost: str, tree: Callable[[Place], dict[str, bytes]]
) -> None:
    """The plan is made anew, only what lacks is rendered (or all of it, for its rows), and the folder is as before."""
    before = tree(stored.path)
    (stored.path / lost).unlink()
    again = _begin(stored.path)
    todo = missing_shards(again)
    assert todo == {"hr/c.1.0.0.0": [1], "lr/zarr.json": []}.get(lost, [0, 1, 2])
    for shard in todo:
        assert again.plan_of(shard).num_rows >= 1
        _write(again, shard)
    finish(again)
    assert tree(stored.path) == before


def test_another_config_is_refused_with_the_key_that_differs(store: Store) -> None:
    """A store is never continued under another config."""
    with pytest.raises(StoreError, match="seed was 0, now 5"):
        _begin(store.path, Config(seed=5))


def _begun_elsewhere(path: Path) -> Path:
    """Make a store look as if another numpy had begun it."""
    _edit(path, lambda r: r["provenance"]["versions"].update(numpy="0.1"))
    return path


def test_an_unfinished_store_of_another_environment_is_refused(tmp_path: Path) -> None:
    """It would hold bytes of two environments; the key that differs is named."""
    _write(_begin(tmp_path / "s.zarr"), 0)
    with pytest.raises(StoreError, match=r"numpy was '0\.1'"):
        _begin(_begun_elsewhere(tmp_path / "s.zarr"))


def test_an_empty_folder_may_become_a_store_and_a_full_one_not(tmp_path: Path) -> None:
    """A folder that somebody made beforehand is taken; one with other things in it is not."""
    (tmp_path / "empty").mkdir()
    assert _begin(tmp_path / "empty").layout == LAYOUT
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="use another --out"):
        _begin(tmp_path / "full")
    assert (tmp_path / "full/letter.txt").exists()


def test_what_a_killed_beginner_left_is_no_hindrance(tmp_path: Path) -> None:
    """A half-written zarr.json of a process that is gone."""
    (tmp_path / "s.zarr").mkdir()
    (tmp_path / "s.zarr/zarr.json.4194305.partial").write_text("{")
    assert _begin(tmp_path / "s.zarr").layout == LAYOUT


def test_readers_give_their_files_back(store: Store) -> None:
    """A thousand readers that are dropped leave no file open."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(1000):
        ShardReader(store, "hr").read([0, 5, 9])
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_a_process_without_a_file_left_is_told_so(store: Store) -> None:
    """The store is whole: it is the limit that must be mended."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reader = ShardReader(store, "hr")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(StoreError, match="Too many open files; raise `ulimit -n`"):
            reader.read([0])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(reader.read([0])) == 1


def test_an_unknown_array_is_named(store: Store) -> None:
    """With those that there are."""
    with pytest.raises(StoreError, match="known here: hr, lr"):
        ShardReader(store, "sr")


def test_two_builders_at_once_are_refused(tmp_path: Path) -> None:
    """The second one is told to wait."""
    with only_builder(tmp_path), pytest.raises(StoreError, match="another process"), only_builder(tmp_path):
        pass
    with only_builder(tmp_path):
        pass


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: location.remove_below(p), "not a store|does not exist"),
        (lambda p: (p / "zarr.json").write_bytes(b"{}"), "not written by rwsr"),
        (
            lambda p: (p / "zarr.json").write_bytes(b"{"),
            "zarr.json is damaged; copy it again, or remove .*store.zarr and build",
        ),
        (lambda p: _edit(p, lambda r: r["provenance"].update(format=99)), "format 99"),
        (lambda p: _edit(p, lambda r: r["provenance"].update(kind="noise-bank")), "is a noise-bank"),
    ],
)
def test_what_is_not_our_store_is_named(stored: Store, spoil: Callable[[Place], object], says: str) -> None:
    """A missing, foreign, damaged, newer or other folder gets its own line."""
    spoil(stored.path)
    with pytest.raises(StoreError, match=says):
        open_store(stored.path, KIND)


def test_shard_sizes_are_powers_of_two() -> None:
    """The largest power of two that fits, from 1 to 1024."""
    assert [samples_per_shard(n, 1000, 5000) for n in (1, 10, 300, 900, 5000)] == [512, 64, 2, 1, 1]
    assert samples_per_shard(1, 2**30, 5000) == 1024


@pytest.mark.parametrize("num_samples", [8192, 8193, 10**6, 10**7, 10**9])
def test_no_store_has_more_files_in_a_folder_than_can_be_listed(num_samples: int) -> None:
    """However many samples, and however small its shards are wished."""
    for sample_bytes in (768, 3 * 256 * 256):
        count = samples_per_shard(sample_bytes, 2**25, num_samples)
        assert Layout(num_samples, count, (ArraySpec("hr", (sample_bytes,)),)).num_shards <= 8192
        assert count.bit_count() == 1
    assert samples_per_shard(3 * 256 * 256, 1, num_samples) * 8192 >= num_samples


def test_the_rows_of_a_shard_are_checked_before_they_go_into_the_manifest(somewhere: Place) -> None:
    """A flipped bit in a part is named, nothing is marked as whole, and nothing half-written stays."""
    store = _begin(somewhere / "s.zarr")
    for shard in range(3):
        _write(store, shard)
    _flip(store.path / "building/rows/000001.arrow", 200)
    with pytest.raises(StoreError, match=r"building/rows/000001.arrow is not what was committed; remove it and build"):
        finish(store)
    assert [n for n in location.names_below(store.path) if "partial" in n or n.startswith(("commits", "manif"))] == []


def test_the_manifest_is_put_together_while_shards_are_made(
    somewhere: Place, tree: Callable[[Place], dict[str, bytes]]
) -> None:
    """In their order, whatever order they come in, and from where an earlier run stopped; one that fails is no matter
    for what is there, and errors of others keep their names.
    """
    whole = tree(_finished(somewhere / "a.zarr").path)
    for order in permutations(range(3)):
        store = _begin(somewhere / f"{order}.zarr")
        marks = {order[0]: _write(store, order[0])}
        with pytest.raises(FileNotFoundError, match="mine"), merging(store, marks) as manifest:
            marks[order[1]] = _write(store, order[1])
            manifest.add(marks[order[1]])
            raise FileNotFoundError("mine")
        assert not [name for name in location.names_below(store.path) if "manifest" in name]
        with merging(store, marks) as manifest:
            manifest.add(_write(store, order[2]))
        location.remove_below(store.path / "building")
        assert tree(store.path) == whole


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests of four rows a file."""
    monkeypatch.setattr("rwsr.degrade.storage.shards.layout._ROWS_PER_MANIFEST", 4)


def test_a_large_manifest_lies_in_several_files(several: None, somewhere: Place) -> None:
    """Read as one; each is watched."""
    store = _finished(somewhere / "s.zarr")
    names = [name for name in location.names_below(store.path) if "manifest" in name]
    assert names == store.layout.manifests == [f"manifest-{i:04d}.parquet" for i in range(3)]
    assert open_store(store.path, KIND).manifest()["sample"].to_pylist() == list(range(10))
    assert [store.manifest_of(s)["sample"].to_pylist() for s in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert _problems(store) == []
    _flip(store.path / names[1], 60)
    assert _problems(store) == ["manifest-0001.parquet is not the one that was committed"]
    (store.path / names[2]).unlink()
    with pytest.raises(StoreError, match=r"lacks .* shards \(the first is 0\)|lacks its manifest"):
        open_store(store.path, KIND)


def test_a_build_that_is_killed_between_two_files_of_the_manifest_goes_on(
    several: None, somewhere: Place, tree: Callable[[Place], dict[str, bytes]]
) -> None:
    """What is whole of it counts for nothing before the end."""
    whole = tree(_finished(somewhere / "a.zarr").path)
    store = _begin(somewhere / "b.zarr")
    with pytest.raises(KeyboardInterrupt), merging(store, {}) as manifest:
        for shard in range(2):
            manifest.add(_write(store, shard))
        raise KeyboardInterrupt
    assert "manifest-0001.parquet" in location.names_below(store.path)
    with pytest.raises(StoreError, match="lacks 1 of 3 shards"):
        open_store(store.path, KIND)
    _write(_begin(store.path), 2)
    finish(store)
    assert tree(store.path) == whole


@pytest.mark.parametrize("spoil", [lambda p: _cut(p, 100), lambda p: _replace(p, "16", "17"), lambda p: p.unlink()])
def test_what_describes_an_array_is_made_anew_while_a_store_is_built(
    somewhere: Place, tree: Callable[[Place], dict[str, bytes]], spoil: Callable[[Place], object]
) -> None:
    """What a damaged one would say never becomes what was committed."""
    whole = tree(_finished(somewhere / "a.zarr").path)
    store = _begin(somewhere / "b.zarr")
    _write(store, 0)
    spoil(store.path / "hr/zarr.json")
    again = _begin(store.path)
    for shard in (1, 2):
        _write(again, shard)
    finish(again)
    assert tree(store.path) == whole and _problems(again) == []


def test_a_store_without_any_mark_is_told_in_one_line(store: Store) -> None:
    (store.path / "commits.parquet").unlink()
    assert [line for line in problems(store.path, serial) if "commit mark" in line][1:] == [
        "none of 3 shards has a commit mark; run the build again"
    ]


def test_a_shard_that_is_not_made_to_its_end_leaves_nothing(
    somewhere: Place, tree: Callable[[Place], dict[str, bytes]]
) -> None:
    """And what its maker raised keeps its own name."""
    store = _begin(somewhere / "s.zarr")
    before = tree(store.path)
    with pytest.raises(FileNotFoundError, match="a photograph"), shard_writer(store, 0) as writer:
        writer.add(**{name: block[0] for name, block in _blocks().items()})
        raise FileNotFoundError("a photograph")
    assert tree(store.path) == before


@pytest.mark.parametrize("separator", [".", "/"])
def test_shards_of_the_format_before_lie_in_folders_of_their_own(tmp_path: Path, separator: str) -> None:
    """Zarr finds both."""
    layout = replace(LAYOUT, separator=separator)
    for name, data in metadata_files(layout, {}).items():
        location.write(tmp_path / "z" / name, data)
    array = zarr.open_group(tmp_path / "z", mode="r+")["hr"]
    array[:] = _blocks()["hr"]
    for shard in range(3):
        assert (tmp_path / "z" / layout.shard_name(layout.array("hr"), shard)).is_file()
