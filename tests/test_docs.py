"""What the README tells a person to type does what it says."""

import re
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_command_of_the_readme_works_in_order(tmp_path: Path) -> None:
    """The commands of the section on one's own photographs, and then its Python lines, in a fresh folder."""
    (tmp_path / "photos").mkdir()
    for name in ("astronaut.png", "coffee.png"):
        (tmp_path / "photos" / name).write_bytes((files("skimage") / "data" / name).read_bytes())
    commands = [line for block in _blocks("sh") for line in block.splitlines()]
    assert len(commands) == 19
    for line in commands:
        program, *arguments = shlex.split(line)
        result = subprocess.run([BIN / program, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
    for block in _blocks("python"):
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True)


def test_the_example_of_a_pipeline_runs(tmp_path: Path) -> None:
    """What `rwsr flow example` prints, with fewer samples and steps, goes the whole way; again, it does nothing."""
    for folder, name in (("photos", "astronaut.png"), ("held-out", "coffee.png")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes((files("skimage") / "data" / name).read_bytes())
    example = subprocess.run([BIN / "rwsr", "flow", "example"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "pipeline.yaml").write_text(example)
    fewer = ["store.config.num_samples=8", "test_store.config.num_samples=2", "train.config.loop.steps=2"]
    command = [BIN / "rwsr", "flow", "run", "pipeline.yaml", *(part for each in fewer for part in ("--set", each))]
    for says in ("wrote", "all is there already: nothing was done"):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0 and says in result.stdout.splitlines()[-1], result.stderr


def test_the_readme_names_every_command() -> None:
    """The table of commands and `rwsr --help` list the same groups."""
    text = subprocess.run([BIN / "rwsr", "--help"], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in text.split("Commands:\n")[1].splitlines() if line.strip()}
    table = README.split("## What is here")[1].split("Training presets")[0]
    assert all(re.search(rf"`{name}`|`rwsr {name}", table) for name in names)


def test_the_readme_names_targets_that_exist() -> None:
    """`make demo`, `make test` and `make check` are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE) or target == "for", target
