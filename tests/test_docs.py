"""What the README tells a person to type does what it says."""

import re
import shlex
import subprocess
import sys
import textwrap
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from PIL import Image

from rwsr.train.networks.published.compact import CompactConfig
from rwsr.train.networks.published.imdn import ImdnConfig

from .commands import flags, make_spandrel_importable, rwsr
from .conftest import scene

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
def test_every_command_of_the_readme_works_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the section on one's own photographs, and then its Python lines, in a fresh folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("astronaut.png", "coffee.png"):
        (tmp_path / "photos" / name).write_bytes((files("skimage") / "data" / name).read_bytes())
    commands = [line for block in _blocks("sh") for line in block.splitlines()]
    assert len(commands) == 19
    for line in commands:
        program, *arguments = shlex.split(line)
        assert program == "rwsr"
        rwsr(*arguments)
    for block in _blocks("python"):
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True)


# Of each training what makes a step of it small; no size of a store or of a patch is touched.
_TINY = ["network.num_feat=4", "network.num_block=1", "network.num_grow_ch=4", "loop.batch_size=2"]
_UDEM = "network.udem={num_feat: [4], num_block: [1], downscales: [2]}"
_STEPS = ["--steps", "2"]
_SMALLER = {
    "train mm-realsr": [*_STEPS, *flags("--set", _TINY)],
    "train sr": [*_STEPS, *flags("--set", ["loop.batch_size=2", "losses.gan.num_feat=4"])],
    "train cugan": [*_STEPS, *flags("--set", ["network.num_feat=[4,6,8]", "network.num_block=1", "loop.batch_size=2"])],
    "train rwsr-edl": [*_STEPS, *flags("--set", [*_TINY, "network.branch_feats=4", "losses.gan.num_feat=4"])],
    "train hr-aware-pretrain": [
        *_STEPS,
        *flags(
            "--set", ["network.num_feat=4", "network.code=8", "network.image_blocks=1", "network.degradation_blocks=1"]
        ),
        *flags(
            "--set",
            ["loop.batch_size=2", "network.far.net=squeezenet", "network.controller.hqi=squeeze", "losses.net=squeeze"],
        ),
    ],
    "paper cugan": [*_STEPS, "--samples", "8"],
    "train downscaling": [
        *_STEPS,
        *flags("--set", ["loop.batch_size=2", "network.num_feat=4", "network.num_block=1", "judge.num_feat=2"]),
    ],
    "train fssr": [*_STEPS, *flags("--set", [*_TINY, "losses.gan.num_feat=2"])],
    "pairs build --hr made": ["--samples", "4"],
    "train hr-aware": [*_STEPS, *flags("--set", ["loop.batch_size=1", "losses.net=squeeze"])],
    "degrade build": ["--samples", "4"],
    "paper hr-aware": [*_STEPS, "--samples", "8"],
    "eval": [],
}
_NO_VGG = ["losses.perceptual.net=squeezenet"]  # VGG-19's file is published, not ours
_ELSEWHERE = (
    "s3://",
    "tcp://",
    "rwsr studio",
    "flow serve",
    "flow run",
    "flow example",
    "flow schema",
    "...",
)  # tested elsewhere


def _indented() -> list[str]:
    """The commands of the README that are not in a block of `sh`."""
    lines = re.findall(r"^    (rwsr .*)$", README, re.MULTILINE)
    return [line.split("   #")[0] for line in lines if not any(word in line for word in _ELSEWHERE)]


def _picture(path: Path, seed: int, side: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene(seed, side, side)).save(path)


def _folders(below: Path) -> None:
    """What the README's folders stand for, in small."""
    for folder, side in {"DF2K": 420, "VALID": 420, "BSDS500/train": 260, "CID22": 200, "CBSD68": 96}.items():
        for seed in range(2):
            _picture(below / folder / f"{seed}.png", seed, side)
    for folder in ("MINE", "DIV2K"):
        for seed in range(2):
            _picture(below / folder / f"{folder}{seed}.png", 5 + seed, 600)
    for name, side in (("Canon_001_HR.png", 96), ("Canon_001_LR4.png", 24)):
        _picture(below / "RealSR/Canon/Test/4" / name, 3, side)
    _picture(below / "Set5/baby.png", 4, 96)
    _picture(below / "photo.png", 4, 64)
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=4).build().state_dict()}, below / "model.pth")
    torch.save(
        {"params": CompactConfig(num_feat=4, num_conv=2, scale=4).build().state_dict()}, below / "RealESRGAN_x4plus.pth"
    )
    torch.save({"params": ImdnConfig(scale=4).build().state_dict()}, below / "IMDN_x4.pth")


@pytest.mark.slow
def test_every_other_command_of_the_readme_works_in_order(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the artefacts that the commands before it made, with the sizes that they say; only networks, numbers of steps
    and of samples are smaller."""
    monkeypatch.chdir(tmp_path)
    make_spandrel_importable()
    _folders(tmp_path)
    rwsr(
        "degrade",
        "build",
        "--preset",
        "mm-realsr",
        "--source",
        "VALID",
        "--out",
        "g.zarr",
        "--hr-size",
        96,
        "--samples",
        2,
    )
    rwsr("train", "mm-realsr", "--store", "g.zarr", "--out", "run", "--preset", "mm-realsr-small", *_STEPS,
         *flags("--set", [*_TINY, _UDEM, "loop.lr_patch_px=16"]))  # fmt: skip
    commands = _indented()
    assert len(commands) == 42
    for line in commands:
        program, *words = shlex.split(line)
        assert program == "rwsr"
        more = next((extra for start, extra in _SMALLER.items() if " ".join(words).startswith(start)), [])
        if "--samples" in more and "--samples" in words and int(words[words.index("--samples") + 1]) < 4:
            more = []
        if words[:2] == ["train", "mm-realsr"] and "esrgan-psnr" not in words:
            more = [*more, "--set", _UDEM]
        if "gan" in words[-3] or words[:2] in (["train", "rwsr-edl"], ["train", "sr"]):
            more = [*more, *flags("--set", _NO_VGG)]
        try:
            rwsr(*words, *more)
        except AssertionError as error:
            raise AssertionError(f"{line}\n{error}") from None


@pytest.mark.slow
def test_the_example_of_a_pipeline_runs(tmp_path: Path) -> None:
    """What `rwsr flow example` prints, with fewer samples and steps, goes the whole way; again, it does nothing."""
    for folder, name in (("photos", "astronaut.png"), ("held-out", "coffee.png")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes((files("skimage") / "data" / name).read_bytes())
    example = subprocess.run([BIN / "rwsr", "flow", "example"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "pipeline.yaml").write_text(example)
    small = {"groups.store.config.num_samples": 8, "test.store.config.num_samples": 2, "net.train.config.loop.steps": 2}
    fewer = [f"stages.{key}={value}" for key, value in small.items()]
    command = [BIN / "rwsr", "flow", "run", "pipeline.yaml", *(part for each in fewer for part in ("--set", each))]
    for says in ("wrote", "all is there already: nothing was done"):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0 and says in result.stdout.splitlines()[-1], result.stderr


@pytest.mark.parametrize("folder", ["degrade", "noisebank", "eval", "train"])
def test_the_readme_of_a_folder_names_files_that_exist(folder: str) -> None:
    """Each by a path, or by its name somewhere below the folder."""
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / folder / "README.md").read_text()))
    there = {path.name for path in (ROOT / folder).rglob("*.py")} | {
        path.name for path in (ROOT / "benchmarks").iterdir()
    }
    assert named and not {name for name in named if name not in there and not (ROOT / name).is_file()}


@pytest.mark.slow
def test_the_python_of_the_readmes_of_folders_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a tiny store, bank and set of one's own."""
    monkeypatch.chdir(tmp_path)
    Path("Set5").mkdir()
    Image.fromarray(scene(3, 160, 160)).save("Set5/baby.png")
    rwsr("noisebank", "build", "--target", "Set5", "--out", "bank.zarr", "--size", 64, "--stride", 8)
    rwsr("degrade", "build", "--preset", "mm-realsr", "--source", "Set5", "--out", "groups.zarr", "--samples", 8,
         "--hr-size", 128)  # fmt: skip

    def my_model(lr: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(lr, scale_factor=4, mode="bicubic")

    for folder in ("degrade", "noisebank", "eval", "train"):
        names: dict[str, object] = {"Path": Path, "torch": torch, "my_model": my_model}
        blocks = re.findall(r"((?:^    .*\n|^\n)+)", (ROOT / folder / "README.md").read_text(), re.MULTILINE)
        of_python = [textwrap.dedent(block) for block in blocks if re.match(r"\s*(from|import) ", block)]
        assert of_python
        for block in of_python:
            exec(block.replace("slice(17, 1)", "slice(7, 1)").replace("[0, 7]", "[0, 1]"), names)
    assert Path("run/model.safetensors").is_file()


def test_the_readme_names_every_command() -> None:
    """The table of commands and `rwsr --help` list the same groups."""
    text = subprocess.run([BIN / "rwsr", "--help"], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in text.split("Commands:\n")[1].splitlines() if line.strip()}
    table = README.split("## What is here")[1].split("Training presets")[0]
    assert all(re.search(rf"`{name}`|`rwsr {name}", table) for name in names)


def test_the_readme_names_targets_that_exist() -> None:
    """`make demo`, `make test` and `make check` are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?<!pairs )`?make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE) or target == "for", target


@pytest.mark.slow
def test_what_a_step_takes_is_what_the_code_counts() -> None:
    """Some rows of the table in train/README.md, made again."""
    told = (sys.executable, ROOT / "benchmarks/training_cost.py", "cunet", "esrgan", "hr-aware-pretrain-small")
    made = subprocess.run(told, check=True, capture_output=True, text=True, timeout=300).stdout.splitlines()
    readme = (ROOT / "train/README.md").read_text().splitlines()
    assert len(made) == 5 and all(line in readme for line in made)
