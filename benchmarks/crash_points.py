"""The crash campaign: killed before any change of the file system, a command's second run ends as an undisturbed one.

    python benchmarks/crash_points.py [MOST] [index|scan|bank|store|export|train|restore|eval|report|quality ...]

Runs each command once and counts its changes of the file system (mkdir, replace, rename, link, unlink, rmdir, fsync).
Then, for each of them (MOST of them, spread evenly, where there are more; none given is all), a process dies by
os._exit just before it, and the command is run again. Every file must then be what it is after one run, and nothing
more may lie there. Prints a Markdown table; exits 1 where that fails.
"""

import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from importlib.resources import files
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from rwsr.pipelines.cli import main as cli
from tests.commands import TINY, flags
from tests.commands import rwsr as command

CHANGES = ("replace", "rename", "link", "unlink", "rmdir", "mkdir", "fsync")
SELF = ("sources.json", ".html")  # hold the folder's own name, which is each trial's own


def commands(at: Path) -> dict[str, list[object]]:
    """Each command by a name; what it writes is below the working folder."""
    photos, one = at / "photos", ("--workers", 1)
    groups: tuple[object, ...] = ("--set", "shard_mib=0.05", "--hr-size", 64)
    return {
        "index": ["sources", "index", photos, "--out", "index.parquet", *one],
        "scan": ["noisebank", "scan", "--target", photos, "--out", "scan", "--size", 64, *one],
        "bank": ["noisebank", "build", "--target", photos, "--out", "bank.zarr", "--size", 64, *one],
        "store": ["degrade", "build", "--preset", "bicubic", "--source", photos, "--out", "store.zarr", "--samples", 12,
                  *groups, *one],
        "export": ["store", "export", at / "groups.zarr", "--out", "png", *one],
        "train": ["train", "mm-realsr", "--store", at / "groups.zarr", "--preset", "mm-realsr-small", "--out", "run",
                  "--steps", 5, *flags("--set", TINY)],
        "restore": ["restore", at / "small", "--model", at / "run", "--out", "restored"],
        "eval": ["eval", "restoration", "--store", at / "groups.zarr", "--model", at / "run", "--metric", "psnr-y",
                 "--out", "m.parquet"],
        "report": ["report", "--metrics", at / "m.parquet", "--run", at / "run", "--out", "page.html"],
        "quality": ["store", "report", at / "groups.zarr", "--out", "quality.html", "--samples", 4, *one],
    }  # fmt: skip


def prepare(at: Path) -> None:
    """What the commands read."""
    (at / "photos").mkdir()
    (at / "small").mkdir()
    for name in ("astronaut.png", "coffee.png", "chelsea.png"):
        (at / "photos" / name).write_bytes((files("skimage") / "data" / name).read_bytes())
    from PIL import Image

    for name in ("astronaut", "chelsea"):
        Image.open(at / "photos" / f"{name}.png").resize((60, 50)).save(at / "small" / f"{name}.png")
    command("degrade", "build", "--preset", "mm-realsr", "--source", at / "photos", "--out", at / "groups.zarr",
            "--samples", 6, "--hr-size", 64, "--set", "shard_mib=0.03")  # fmt: skip
    command("train", "mm-realsr", "--store", at / "groups.zarr", "--preset", "mm-realsr-small", "--out", at / "run",
            "--steps", 3, *flags("--set", TINY))  # fmt: skip
    command("eval", "restoration", "--store", at / "groups.zarr", "--model", at / "run", "--metric", "psnr-y",
            "--out", at / "m.parquet")  # fmt: skip


def run(words: list[object], folder: Path, at: int, log: Path | None = None) -> int:
    """The command in a process of its own, which dies before change number `at`; gives its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        os.chdir(folder)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        _count(at, log)
        sys.argv = ["rwsr", *map(str, words)]
        try:
            cli.main()
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
        os._exit(0)
    except BaseException:
        os._exit(99)


def _count(at: int, log: Path | None) -> None:
    """Die before the change of that number; note each where a log is named."""
    done = 0
    file = None if log is None else log.open("w")

    def counted(name: str) -> None:
        real = getattr(os, name)

        def change(*told: object, **more: object) -> object:
            nonlocal done
            done += 1
            if file is not None:
                file.write(f"{name} {told[0]}\n")
                file.flush()
            if done == at:
                os._exit(137)
            return real(*told, **more)

        setattr(os, name, change)

    for name in CHANGES:
        counted(name)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file by its name; a folder by its name alone."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        if path.is_file() and not path.name.endswith(SELF)
        else b""
        for path in sorted(folder.rglob("*"))
    }


def campaign(name: str, words: list[object], work: Path, most: int | None) -> tuple[int, Counter[str]]:
    """How many changes there are, and how the trials ended."""
    log = work / f"{name}.log"
    assert run(words, work / name, -1, log) == 0, name
    wanted, changes = tree(work / name), log.read_text().splitlines()
    points = range(1, len(changes) + 1)
    if most is not None and len(points) > most:
        points = [round(1 + i * (len(changes) - 1) / (most - 1)) for i in range(most)]
    outcomes = Counter[str]()
    for at in points:
        folder = work / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        run(words, folder, at)
        code = run(words, folder, -1)
        found = tree(folder)
        differing = sorted(each for each in wanted.keys() | found.keys() if wanted.get(each) != found.get(each))
        left = [each for each in differing if each not in wanted]
        outcome = "equal" if not differing else "left over" if left == differing else "differs"
        outcome = outcome if code == 0 else f"second run ends with {code}"
        outcomes[outcome] += 1
        if outcome != "equal":
            print(f"{name}, before change {at} ({changes[at - 1]}): {outcome} {differing[:3]}", flush=True)
    return len(changes), outcomes


def main() -> int:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    told = sys.argv[1:]
    most = int(told.pop(0)) if told and told[0].isdigit() else None
    with tempfile.TemporaryDirectory() as text:
        at = Path(text)
        prepare(at)
        every = {name: words for name, words in commands(at).items() if not told or name in told}
        rows = {name: campaign(name, words, at / "work", most) for name, words in every.items()}
    print("| command | changes | tried | equal | others |\n|---|---|---|---|---|")
    for name, (changes, outcomes) in rows.items():
        others = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if outcome != "equal")
        print(f"| {name} | {changes} | {outcomes.total()} | {outcomes['equal']} | {others} |")
    return int(any(outcomes.total() != outcomes["equal"] for _, outcomes in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
