"""The fault campaign: whatever fails, a second run completes, with the bytes of an undisturbed build.

    python benchmarks/faults.py [kills|workers|disk|s3|two ...]

Builds a store by the real command, over and over, and disturbs it: SIGKILL of the build at 30 random moments and of
a Dask worker at 10, a full disk and one that became read-only (a small tmpfs, where mounting is allowed), an S3
server that answers 500, nothing, or drops connections, SIGKILL on object storage, and two builds of one store at
once. After each fault, before the second run, nothing half-written may open as whole, and each marked shard must be
what its mark says. Prints a Markdown table; exits 1 where that fails.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rwsr.degrade.errors import StoreError
from rwsr.degrade.recipes.store_config import GROUPS
from rwsr.degrade.storage.location import Place, names_below, place
from rwsr.degrade.storage.shards.store import commits_of, open_store, open_unfinished
from rwsr.degrade.storage.shards.verify import verify, verify_whole
from tests.loopback import CREDENTIALS, Mood, Trouble, free_port, new_bucket, start_s3

SAMPLES, HR_PX, SHARD_MIB = 240, 96, 0.4
RNG = random.Random(0)
Tree = dict[str, bytes]


@dataclass
class Trial:
    """One disturbed build: whether its first run ended well, and what it said last."""

    completed: bool
    said: str


def command(sources: Place, out: Place, *more: str) -> list[str]:
    """The build that is disturbed."""
    settings = ["--samples", str(SAMPLES), "--hr-size", str(HR_PX), "--set", f"shard_mib={SHARD_MIB}", *more]
    build = [sys.executable, "-m", "rwsr", "degrade", "build", "--preset", "mm-realsr"]
    return [*build, "--source", str(sources), "--out", str(out), *settings]


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    """The command in the background, in a process group of its own."""
    return subprocess.Popen(
        arguments,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def ended(process: subprocess.Popen[str]) -> Trial:
    """How a build ended."""
    said = (process.communicate(timeout=600)[1] or "").strip().splitlines()
    return Trial(process.returncode == 0, said[-1] if said else "")


def tree(folder: Place) -> Tree:
    """Every file of a store but the note of where the sources lay."""
    return {name: (folder / name).read_bytes() for name in names_below(folder) if name != "sources.json"}


def check_half(out: Place) -> bool:
    """Whether the store is whole; where it is not, it must not open, and its marked shards must be right."""
    try:
        store = open_store(out, GROUPS)
        assert not verify_whole(store), verify_whole(store)
        return True
    except StoreError:
        pass
    try:
        store = open_unfinished(out, GROUPS)
    except StoreError:
        return False  # it was not begun
    for shard, commit in commits_of(store).items():
        assert not verify(store, shard, commit), f"shard {shard} of {out} is marked, and is not what the mark says"
    return False


def complete(arguments: list[str], out: Place, whole: Tree, **environment: str) -> None:
    """A second run, undisturbed, which must give the bytes of the undisturbed build."""
    trial = ended(start(arguments, **environment))
    assert trial.completed, trial.said
    assert tree(out) == whole, "other bytes than the undisturbed build"


def row(fault: str, trials: int, unfinished: int, note: str) -> None:
    """A line of the table."""
    print(f"| {fault} | {trials} | {unfinished} | {note} |", flush=True)


def kills(sources: Place, folder: Place, whole: Tree, seconds: float, trials: int, fault: str) -> None:
    """SIGKILL of the build, everything it started with it, at random moments of its time."""
    unfinished = 0
    longest = 0.0
    for trial in range(trials):
        out = folder / f"killed-{trial}.zarr"
        process = start(command(sources, out))
        time.sleep(RNG.uniform(0.2, seconds))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        unfinished += not check_half(out)
        begun = time.monotonic()
        complete(command(sources, out), out, whole)
        longest = max(longest, time.monotonic() - begun)
    row(fault, trials, unfinished, f"the second run took {longest:.1f} s at most (undisturbed {seconds:.1f} s)")


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _workers(pid: int) -> list[int]:
    """The Dask workers of a build: the processes below it that were spawned to work."""
    below = _children(pid)
    named = [child for child in below if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return named


def workers(sources: Place, folder: Path, whole: Tree) -> None:
    """SIGKILL of one of two Dask workers at random moments; the same run completes."""
    first_try = 0
    for trial in range(10):
        out = folder / f"worker-{trial}.zarr"
        process = start(command(sources, out, "--dask", "local", "--workers", "2"))
        while not (out / "building/commits").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(RNG.uniform(0, 2))
        found = _workers(process.pid)
        if found:
            os.kill(RNG.choice(found), signal.SIGKILL)
        first_try += ended(process).completed and bool(found)
        complete(command(sources, out), out, whole)
    row("SIGKILL of a Dask worker", 10, 10 - first_try, f"{first_try} builds completed in the same run")


@contextmanager
def tmpfs(folder: Path, mib: float) -> Iterator[Callable[[str], None]]:
    """A small disk in memory; gives a function that changes its options while it is in use."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(mib * 1024)}k", "tmpfs", folder], check=True)
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True) and None
    finally:
        subprocess.run(["umount", folder], check=True)


def disk(sources: Place, folder: Path, whole: Tree) -> None:
    """A disk that is full, at several sizes; and one that becomes read-only in the middle."""
    size = sum(map(len, whole.values())) / 2**20
    said: set[str] = set()
    for trial, share in enumerate((0.02, 0.2, 0.5, 0.9, 1.05)):
        with tmpfs(folder / f"small-{trial}", size * share) as remount:
            out = folder / f"small-{trial}/s.zarr"
            found = ended(start(command(sources, out)))
            assert not found.completed
            said.add(found.said.split(": ")[-2].split("; ")[-1])
            assert not check_half(out)
            remount("size=1g")
            complete(command(sources, out), out, whole)
    row("a full disk (tmpfs of 2 to 105 % of the store)", 5, 5, f"it says: {', '.join(sorted(said))}")
    with tmpfs(folder / "read-only", size * 4) as remount:
        out = folder / "read-only/s.zarr"
        process = start(command(sources, out))
        while not (out / "building/commits").exists():
            time.sleep(0.01)
        remount("ro")
        found = ended(process)
        assert not found.completed and not check_half(out)
        again = ended(start(command(sources, out)))
        assert not again.completed
        remount("rw")
        complete(command(sources, out), out, whole)
    row("a disk that becomes read-only", 1, 1, f"it says: {again.said[-80:]}")


def s3(sources: Path, folder: Path, whole: Tree, seconds: float) -> None:
    """A server in trouble for a while, and SIGKILL of a build on object storage."""
    port = free_port()
    server = start_s3(port)
    os.environ.update(CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    trouble = Trouble(port)
    moods: list[tuple[Mood, float, str]] = [
        ("errors", 5, "answers 500 for 5 s"),
        ("errors", 90, "answers 500 for 90 s"),
        ("drops", 5, "drops connections for 5 s"),
        ("silence", 75, "does not answer for 75 s"),
    ]
    try:
        for mood, long, text in moods:
            out = place(new_bucket(port)) / "s.zarr"
            process = start(command(sources, out), AWS_ENDPOINT_URL=trouble.url)
            while not (out / "building/commits").exists():
                time.sleep(0.05)
            trouble.mood = mood
            time.sleep(long)
            trouble.mood = "well"
            found = ended(process)
            half = check_half(out)
            complete(command(sources, out), out, whole)
            note = "the build waited and completed" if found.completed else f"it said: {found.said[-90:]}"
            row(f"an S3 server that {text}", 1, int(not half), note)
        kills(sources, place(new_bucket(port)), whole, seconds + 2, 5, "SIGKILL of a build on S3")
        two(sources, place(new_bucket(port)), whole, "two builds of one store at once on S3")
    finally:
        trouble.close()
        server.terminate()
        server.wait()


def two(sources: Place, folder: Place, whole: Tree, fault: str) -> None:
    """Two builds of one store, started together: one wins, the other says so (or waits, and finds it done)."""
    notes: set[str] = set()
    for trial in range(3):
        out = folder / f"two-{trial}.zarr"
        ends = [ended(process) for process in [start(command(sources, out)) for _ in range(2)]]
        assert any(end.completed for end in ends) and any("being built" in end.said for end in ends), ends
        notes |= {end.said for end in ends if "being built" in end.said}
        assert check_half(out) and tree(out) == whole
        complete(command(sources, out), out, whole)
    row(fault, 3, 0, f"the other says: …{sorted(notes)[0][-100:]}")


def main() -> None:
    """Run the parts that are named, or all."""
    parts = sys.argv[1:] or ["kills", "workers", "disk", "s3", "two"]
    with tempfile.TemporaryDirectory() as name:
        folder, sources = Path(name), Path(name) / "photos"
        sources.mkdir()
        for each in ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png"):
            (sources / each).write_bytes((files("skimage") / "data" / each).read_bytes())
        begun = time.monotonic()
        trial = ended(start(command(sources, folder / "whole.zarr")))
        seconds = time.monotonic() - begun
        assert trial.completed, trial.said
        whole = tree(folder / "whole.zarr")
        print(f"{SAMPLES} groups of {HR_PX} px in {sum('hr/c' in name for name in whole)} shards, {seconds:.1f} s\n")
        print("| fault | trials | not finished by the first run | |\n|---|---|---|---|", flush=True)
        if "kills" in parts:
            kills(sources, folder, whole, seconds, 30, "SIGKILL of the build")
        if "workers" in parts:
            workers(sources, folder, whole)
        if "disk" in parts:
            disk(sources, folder, whole)
        if "two" in parts:
            two(sources, folder, whole, "two builds of one store at once")
        if "s3" in parts:
            s3(sources, folder, whole, seconds)


if __name__ == "__main__":
    main()
