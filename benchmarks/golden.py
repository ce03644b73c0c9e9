"""One digest of each kind of artefact, so that a change of the code that must not change them can be told from one
that does.

    python benchmarks/golden.py [BEFORE]

Builds every kind small, by the `rwsr` command alone, in a folder of a fixed name, and prints a line of JSON: a
SHA-256 by name. BEFORE: a file with such a line; exits 1 where a digest is another one. Digests hold for one machine
and one set of installed packages.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

SMALL = [
    "network.num_feat=4",
    "network.num_block=1",
    "network.num_grow_ch=4",
    "loop.batch_size=2",
    "loop.lr_patch_px=16",
]
SMALL += [
    "loop.checkpoint_every=2",
    "loop.log_every=1",
    "network.udem={num_feat: [4], num_block: [1], downscales: [2]}",
]
PHOTOS = ("--source", "photos", "--samples", "6", "--hr-size", "64", "--workers", "1")
STAGES = {  # what is made, and how
    "index.parquet": ("sources", "index", "photos", "--out", "index.parquet"),
    "scan": ("noisebank", "scan", "--target", "photos", "--out", "scan", "--size", "64"),
    "bank.zarr": ("noisebank", "build", "--target", "photos", "--out", "bank.zarr", "--size", "64"),
    "groups.zarr": ("degrade", "build", "--preset", "mm-realsr", "--out", "groups.zarr", *PHOTOS),
    "bsrgan.zarr": ("degrade", "build", "--preset", "bsrgan", "--out", "bsrgan.zarr", *PHOTOS),
    "second.zarr": ("degrade", "build", "--preset", "real-esrgan", "--out", "second.zarr", *PHOTOS),
    "cugan.zarr": ("degrade", "build", "--preset", "cugan", "--out", "cugan.zarr", *PHOTOS),
    "noisy.zarr": ("degrade", "build", "--preset", "rwsr-edl", "--bank", "bank.zarr", "--out", "noisy.zarr", *PHOTOS),
    "sheet.png": ("degrade", "preview", "--preset", "mm-realsr", "--source", "photos", "--out", "sheet.png"),
    "png": ("store", "export", "groups.zarr", "--out", "png"),
    "run": ("train", "mm-realsr", "--store", "groups.zarr", "--preset", "mm-realsr-small", "--out", "run", "--steps",
            "5", *(word for key in SMALL for word in ("--set", key))),
    "restored": ("restore", "photos", "--model", "run", "--tile", "128", "--out", "restored"),
    "metrics.parquet": ("eval", "restoration", "--store", "groups.zarr", "--model", "run", "--out", "metrics.parquet"),
    "page.html": ("report", "--metrics", "metrics.parquet", "--run", "run", "--out", "page.html"),
    "quality.html": ("store", "report", "groups.zarr", "--out", "quality.html", "--samples", "4"),
}  # fmt: skip


def digest(path: Path) -> str:
    """Of a file, or of the names and bytes of all files below a folder."""
    found = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            found.update(f"{each.relative_to(path)}\n{hashlib.sha256(each.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()[:16]


def main() -> int:
    before = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else {}
    command = [sys.executable, "-c", "from rwsr.pipelines.cli.main import main; main()"]
    made: dict[str, str] = {}
    at = Path(tempfile.gettempdir()) / "rwsr-golden"  # one place always: some artefacts name their sources' folder
    at.mkdir()
    try:
        (at / "photos").mkdir()
        for name in ("astronaut.png", "coffee.png", "chelsea.png"):
            (at / "photos" / name).write_bytes((files("skimage") / "data" / name).read_bytes())
            os.utime(at / "photos" / name, (1_700_000_000, 1_700_000_000))
        for name, words in STAGES.items():
            done = subprocess.run([*command, *words], cwd=at, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
                                  capture_output=True)  # fmt: skip
            if done.returncode:
                print(f"rwsr {' '.join(words)}\n{done.stderr}", file=sys.stderr)
                return 1
            made[name] = digest(at / name)
    finally:
        shutil.rmtree(at)
    print(json.dumps(made))
    other = [name for name in before if before[name] != made.get(name)]
    for name in other:
        print(f"{name}: another one than before", file=sys.stderr)
    return bool(other)


if __name__ == "__main__":
    sys.exit(main())
