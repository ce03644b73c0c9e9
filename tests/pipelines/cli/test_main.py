"""The `rwsr` command as a person runs it: a real process, its words and its exit code."""

import json
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ... import commands
from ...builders import tiny_bank, tiny_run, tiny_store
from ...conftest import scene
from ...degrade.images.test_sources import spoil

RWSR = [str(Path(sys.executable).with_name("rwsr"))]


def rwsr(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit code; there is never a traceback."""
    result = subprocess.run([*RWSR, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == code, result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    return result


def _help(*path: str) -> str:
    return commands.rwsr(*path, "--help")


@cache
def _commands(*path: str) -> list[tuple[str, ...]]:
    """Every command below a path, found in the help itself."""
    text = _help(*path)
    if "\nCommands:\n" not in text:
        return [path]
    names = [line.split()[0] for line in text.split("\nCommands:\n")[1].splitlines() if line[2:3].strip()]
    return [found for name in names for found in _commands(*path, name)]


def test_every_command_has_an_example() -> None:
    """--help of each ends with a command that can be pasted, and names itself."""
    assert len(_commands()) == 68
    for path in _commands():
        text = _help(*path)
        assert f"Example:\n    rwsr {' '.join(path)}" in text, path


def test_no_command_is_described_in_half_a_sentence() -> None:
    """Nothing that a list of commands says is cut short, at 80 columns."""
    for path in {command[:-1] for command in _commands()}:
        for line in _help(*path).split("\nCommands:\n")[1].splitlines():
            assert not line.endswith((".", "...")) and len(line) <= 80, line


@pytest.mark.slow
def test_help_is_fast_and_imports_nothing_heavy() -> None:
    """Half a second at most, and no torch, dask, prefect, numpy or zarr."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        rwsr("--help")
        times.append(time.perf_counter() - started)
    assert min(times) < 0.5
    script = (
        "import sys\n"
        "from rwsr.pipelines.cli.main import root\n"
        "root(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'prefect', 'dask', 'distributed', 'numpy', 'zarr', 'pyarrow', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stderr.strip() == "[]"


@pytest.mark.slow
def test_index_names_each_bad_file_on_a_line_and_says_so_by_its_exit_code(photos: Path, tmp_path: Path) -> None:
    """A person sees which file and why; a script sees 3."""
    expected = spoil(photos)
    result = rwsr("sources", "index", photos, "--out", tmp_path / "i.parquet", code=3)
    lines = result.stderr.splitlines()
    for name, status in expected.items():
        assert len([line for line in lines if line.startswith(f"left out: {status}: {photos / name}: ")]) == 1
    assert "indexed 13 images: 4 ok, 9 left out (1 damaged, 1 duplicate" in result.stdout


@pytest.mark.slow
def test_a_build_goes_on_past_bad_files(photos: Path, tmp_path: Path) -> None:
    """Store and bank are whole, the bad files are named, and the exit code is 3."""
    spoil(photos)
    store, bank = tmp_path / "g.zarr", tmp_path / "b.zarr"
    size = ("--hr-size", "64", "--samples", "8")
    built = rwsr("degrade", "build", "--preset", "mm-realsr", "--source", photos, "--out", store, *size, code=3)
    assert "9 left out" in built.stdout and "rendered 8 groups" in built.stdout
    rwsr("store", "verify", store)
    banked = rwsr("noisebank", "build", "--target", photos, "--out", bank, "--size", "16", code=3)
    assert "9 left out" in banked.stdout
    rwsr("store", "verify", bank)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs, a store, a bank and a trained run, each made by its command."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("work")
    (folder / "photos").mkdir()
    for seed in range(3):
        Image.fromarray(scene(seed, 200, 180)).save(folder / f"photos/{seed}.png")
    photos, store, run = folder / "photos", folder / "g.zarr", folder / "run"
    tiny_bank(photos, folder / "b.zarr")
    tiny_run(tiny_store(photos, store, "mm-realsr", "seed=3"), run, "loop.lr_patch_px=12")
    return folder


@pytest.mark.slow
def test_json_is_for_machines(work: Path) -> None:
    """With --json stdout is one JSON value and nothing else."""
    info = json.loads(rwsr("store", "info", work / "g.zarr", "--json").stdout)
    assert info["arrays"] == {"hr": [12, 64, 64, 3], "lr": [12, 5, 16, 16, 3]} and info["missing"] == 0
    assert json.loads(rwsr("store", "verify", work / "b.zarr", "--json").stdout)["problems"] == []
    assert json.loads(rwsr("noisebank", "show", work / "b.zarr", "--json").stdout)["num_patches"] > 0


@pytest.mark.slow
def test_show_and_preview_draw(work: Path, tmp_path: Path) -> None:
    """Contact sheets and plots are PNG files of some size."""
    said = rwsr("noisebank", "show", work / "b.zarr", "--out", tmp_path / "pictures").stdout
    preview = ("degrade", "preview", "--preset", "mm-realsr", "--source", work / "photos", "--hr-size", "64")
    rwsr(*preview, "--out", tmp_path / "preview.png", "--samples", "2")
    names = [f"pictures/{name}.png" for name in ("patches", "tiles", "spectrum", "covariance")]
    for name in (*names, "preview.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    assert all(f"wrote {tmp_path / name}" in said for name in names)
    (tmp_path / "elsewhere").mkdir()
    nowhere = ("noisebank", "show", work / "b.zarr", "--out", tmp_path, "--scan", tmp_path / "elsewhere")
    assert "holds no finished scan" in rwsr(*nowhere, code=1).stderr


@pytest.mark.slow
def test_a_scan_serves_many_banks(work: Path, tmp_path: Path) -> None:
    """scan, yield, and a bank of each rule; yield's numbers are those of the banks, and no image is scanned again."""
    scan = tmp_path / "s"
    said = rwsr("noisebank", "scan", "--target", work / "photos", "--out", scan, "--size", "32", "--size", "16").stdout
    assert "tiles of 32 px, " in said
    table = rwsr("noisebank", "yield", scan).stdout
    assert table.count("bottom 2 %") == 4 and table.count("variance < 20") == 4
    yields = json.loads(rwsr("noisebank", "yield", scan, "--size", "16", "--quantile", "0.1", "--json").stdout)[
        "yields"
    ]
    for found, options in zip(yields[:2], (("--quantile", "0.1"), ("--rule", "threshold")), strict=True):
        out = tmp_path / found["rule"]["kind"]
        banked = rwsr("noisebank", "build", "--scan", scan, "--out", out, "--size", "16", *options, "--json").stdout
        assert json.loads(banked)["num_patches"] == found["sets"][0]["num_patches"] > 0
    assert not (tmp_path / "cati.scan").exists()


@pytest.mark.slow
def test_an_option_of_the_other_rule_is_named(work: Path, tmp_path: Path) -> None:
    """It is not an error, but it does nothing, and that is said."""
    build = ("noisebank", "build", "--target", work / "photos", "--out", tmp_path / "b", "--size", "16")
    given = ("--rule", "cati", "--max-var", "20", "--min-mean", "0", "--quantile", "0.02", "--stride", "16")
    assert "--max-var 20.0 is not used by --rule cati" in rwsr(*build, *given).stderr


@pytest.mark.slow
def test_an_auxiliary_set_gives_a_distilled_list(work: Path, tmp_path: Path) -> None:
    """The list and the scan are named, and a set in two roles is told."""
    sets = ("--target", work / "photos", "--auxiliary", work / "photos")
    said = rwsr("noisebank", "build", *sets, "--out", tmp_path / "b", "--size", "16").stdout
    assert f"wrote {tmp_path / 'b.distilled.parquet'}" in said and "0 images (3 more are in an earlier set)" in said


@pytest.mark.slow
def test_pictures_want_the_scan_that_the_bank_was_made_from(work: Path, tmp_path: Path) -> None:
    """A scan of other images is refused."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/0.png").write_bytes((work / "photos/0.png").read_bytes())
    rwsr("noisebank", "scan", "--target", tmp_path / "photos", "--out", tmp_path / "s", "--size", "16")
    show = ("noisebank", "show", work / "b.zarr", "--out", tmp_path / "pictures", "--scan", tmp_path / "s")
    assert "is not a scan of what" in rwsr(*show, code=1).stderr


@pytest.mark.slow
def test_a_place_that_is_taken_is_refused_before_any_work(work: Path, tmp_path: Path) -> None:
    """Nothing is left beside it."""
    (tmp_path / "mine").write_text("precious")
    for command in (("noisebank", "build", "--target"), ("degrade", "build", "--preset", "mm-realsr", "--source")):
        said = rwsr(*command, work / "photos", "--out", tmp_path / "mine", code=1).stderr
        assert said.strip() == f"error: {tmp_path / 'mine'} exists and is not a store; use another --out"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
@pytest.mark.parametrize("address", ["tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "127.0.0.1:8786", "yes"])
def test_an_address_that_is_none_is_wrong_usage(work: Path, tmp_path: Path, address: str) -> None:
    """Before anything is looked at."""
    arguments = ("--source", work / "photos", "--out", tmp_path / "g", "--dask", address)
    assert "is neither `local` nor an address" in rwsr("degrade", "build", *arguments, code=2).stderr


@pytest.mark.slow
def test_folders_or_a_scan_must_be_named(work: Path, tmp_path: Path) -> None:
    """Neither, or both, is wrong usage."""
    both = ("--scan", work / "b.zarr.scan", "--target", work / "photos")
    for arguments in ((), both):
        said = rwsr("noisebank", "build", "--out", tmp_path / "b", *arguments, code=2).stderr
        assert "name either the folders (--target, --auxiliary) or a finished --scan" in said


@pytest.mark.slow
def test_a_sample_renders_again(work: Path, tmp_path: Path) -> None:
    """It equals what is stored; the images are written; a number beyond the end is named."""
    result = rwsr("store", "render", work / "g.zarr", "5", "--out", tmp_path)
    assert "sample 5 equals what" in result.stdout
    assert len(list(tmp_path.glob("000005_*.png"))) == 6
    assert "not in 0..11" in rwsr("store", "render", work / "g.zarr", "12", code=1).stderr


@pytest.mark.slow
def test_restore_eval_and_report(work: Path, tmp_path: Path) -> None:
    """A model restores a photograph, is measured beside bicubic, and the page carries its pictures inside."""
    rwsr("restore", work / "photos/0.png", "--model", work / "run", "--out", tmp_path, "--noise", "0.5")
    assert (tmp_path / "0.png").exists()
    metrics, page = tmp_path / "m.parquet", tmp_path / "r.html"
    said = rwsr("eval", "restoration", "--store", work / "g.zarr", "--model", work / "run", "--out", metrics).stdout
    assert "bicubic: psnr-y" in said and "dB, ssim-y 0." in said
    table = pq.read_table(metrics)
    assert table.num_rows == 12 * 5 * 2 * 3 and set(table["space"].to_pylist()) == {"Y of BT.601, 16..235"}
    rwsr("report", "--metrics", metrics, "--run", work / "run", "--out", page)
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 2 * 4 + 5 * 5 and "://" not in text


@pytest.mark.slow
def test_restore_leaves_out_what_it_cannot_read(work: Path, tmp_path: Path) -> None:
    """The others are restored; the exit code is 3."""
    (tmp_path / "bad.png").write_text("no")
    files = (tmp_path / "bad.png", work / "photos/1.png")
    result = rwsr("restore", *files, "--model", work / "run", "--out", tmp_path / "o", code=3)
    assert "left out" in result.stderr and (tmp_path / "o/1.png").exists()


@pytest.mark.slow
def test_restore_leaves_out_what_has_no_place(work: Path, tmp_path: Path) -> None:
    """A file stands where the folder of one image would be made, a folder where another would be written: the next
    one is restored all the same.
    """
    for name in ("a/0.png", "aa.png", "b.png"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(work / "photos/0.png", tmp_path / "in" / name)
    (tmp_path / "o/aa.png").mkdir(parents=True)
    (tmp_path / "o/a").write_text("in the way")
    result = rwsr("restore", tmp_path / "in", "--model", work / "run", "--out", tmp_path / "o", code=3)
    assert result.stderr.count("cannot be written to") == 2 and (tmp_path / "o/b.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("store", "info", "nowhere"), "nowhere does not exist"),
        (("sources", "index", "nowhere", "--out", "i.parquet"), "nowhere is not a folder"),
        (("train", "mm-realsr", "--store", "nowhere", "--out", "run"), "nowhere does not exist"),
        (("report", "--metrics", "no.parquet", "--out", "r.html"), "no.parquet does not exist"),
        (("degrade", "show", "mm-realsr", "--set", "sed=1"), "did you mean seed?"),
        (("noisebank", "yield", "nowhere"), "nowhere holds no finished scan"),
        (("noisebank", "build", "--target", "x", "--out", "b", "--set", "rule.quantil=1"), "did you mean quantile?"),
        (("noisebank", "build", "--target", "x", "--out", "b", "--quantile", "2"), "rule.quantile = 2.0: "),
        (("noisebank", "build", "--target", "x", "--out", "b", "--size", "4"), "grid.size = 4: "),
        (("degrade", "show", "mm-realsr", "--set", "hr_size_px=130"), "use 128 or 132"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """`error: ` and the mend, exit 1, no traceback."""
    result = subprocess.run([*RWSR, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 1 and says in result.stderr
    assert [line for line in result.stderr.splitlines() if line] == [result.stderr.strip()]
