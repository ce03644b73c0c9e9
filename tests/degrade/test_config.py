"""Configs come from a preset, a file and --set; every mistake is one line that says how to mend it."""

import time
from pathlib import Path

import pytest
import yaml

from rwsr.degrade.config import compose, to_yaml
from rwsr.degrade.errors import UserError
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.train.methods import METHODS
from rwsr.train.methods.hr_aware import FINE_TUNING

from ..commands import make_spandrel_importable, rwsr


def test_a_file_wins_over_the_preset_and_set_over_the_file(tmp_path: Path) -> None:
    """Tables are merged key by key; what nobody names keeps the preset's value."""
    path = tmp_path / "c.toml"
    path.write_text("num_samples = 7\n[recipe.first]\nblur_sigma = [0.5, 2]\n")
    found = compose(
        store_preset("mm-realsr"), config=path, sets=["num_samples=9", "recipe.second.sinc_prob=0"], seed=None
    )
    assert (found.num_samples, found.recipe.first.blur_sigma, found.recipe.second.sinc_prob) == (9, (0.5, 2), 0)
    assert found.recipe.first.resize == store_preset("mm-realsr").recipe.first.resize


def test_what_show_prints_is_a_config_file(tmp_path: Path) -> None:
    """The printed YAML, read again, is the same config."""
    changed = compose(store_preset("mm-realsr"), sets=["seed=5"])
    path = tmp_path / "c.yaml"
    path.write_text(to_yaml(changed))
    assert compose(store_preset("mm-realsr"), config=path) == changed


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["num_sample=3"], "num_sample is not a config key; did you mean num_samples?"),
        (["recipe={kind: chain, steps: [{op: blur, prob: 2}]}"], "prob = 2: input should be less than or equal to 1"),
        (["recipe.first.blur_sgma=[1,2]"], "recipe.first.blur_sgma is not a config key; did you mean blur_sigma?"),
        (["zzz=1"], "known here: recipe, hr_size_px"),
        (["hr_size_px=130"], "hr_size_px = 130 is not a multiple of recipe.scale = 4; use 128 or 132"),
        (["num_samples=0"], "num_samples = 0: input should be greater than or equal to 1"),
        (["num_samples"], "names no key"),
        (["=3"], "names no key"),
        (["recipe..first=3"], "names no key"),
        (["hr_size_px=1.5", "num_samples=0"], "hr_size_px = 1.5: input should be a valid integer, got"),
        (["hr_size_px=1.5", "num_samples=0"], "Also: num_samples = 0: input"),
        (["num_samples=[1"], "is not a value"),
        (["recipe.first=7"], "recipe.first is not a table; write {key: value}"),
    ],
)
def test_a_wrong_set_says_how_to_mend_it(sets: list[str], says: str) -> None:
    """The nearest key, the rule, or the form."""
    with pytest.raises(UserError) as caught:
        compose(store_preset("mm-realsr"), sets=sets)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c.json", "{}", "use .yaml or .toml"),
        ("c.yaml", "a: [1", "is not well-formed"),
        ("c.toml", "a = ", "is not well-formed"),
        ("c.yaml", "- 1", "holds a list, not keys"),
        ("c.yaml", "", "holds nothing, not keys"),
        ("c.yaml", "3", "holds one value, not keys"),
        ("c.yaml", "seed: 1\nrecipe: {a: 1, a: 2}", "line 2: a is written twice"),
        ("c.yaml", None, "No such file"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str | None, says: str) -> None:
    """Each way of being wrong has its own line."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        compose(store_preset("mm-realsr"), config=path)
    assert "\n" not in str(caught.value)


TRAININGS = [preset for method in METHODS for preset in method.presets] + list(FINE_TUNING)


@pytest.mark.parametrize("preset", TRAININGS)
def test_a_trainings_preset_is_printed_in_full(preset: str, tmp_path: Path) -> None:
    """As a file that --config reads: over itself it changes nothing, and a key of it is one that --set knows."""
    make_spandrel_importable()
    shown = rwsr("train", "show", preset)
    (tmp_path / "all.yaml").write_text(shown)
    assert rwsr("train", "show", preset, "--config", tmp_path / "all.yaml") == shown
    values = yaml.safe_load(rwsr("train", "show", preset, "--set", "loop.steps=7"))
    assert values == yaml.safe_load(shown) | {"loop": values["loop"]} and values["loop"]["steps"] == 7


_BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
HOSTILE_FILES = {
    "a bomb.yaml": _BOMB,
    "a bomb as a value.yaml": f"{_BOMB}seed: *a9\n",
    "deep.yaml": "a: " + "[" * 3000 + "]" * 3000,
    "deep keys.yaml": "".join(f"{' ' * i}a:\n" for i in range(2000)),
    "deep.toml": "a = " + "[" * 3000 + "]" * 3000,
    "many keys.yaml": "".join(f"key{i}: {i}\n" for i in range(20_000)),
    "some keys.yaml": "".join(f"key{i}: {i}\n" for i in range(2_000)),
    "no int.yaml": "seed: !!int x",
    "no bool.yaml": "seed: !!bool x",
    "no timestamp.yaml": "seed: !!timestamp x",
    "no date.yaml": "seed: 2020-13-45",
    "no date.toml": "seed = 2020-13-45",
    "digits.yaml": "seed: " + "9" * 5000,
    "digits.toml": "seed = " + "9" * 5000,
    "python.yaml": "seed: !!python/object/apply:os.system ['true']",
    "itself.yaml": "a: &a [*a]",
    "null byte.yaml": "a: \0",
    "a list.yaml": "[1, 2]",
    "binary.yaml": "\x80\x81",
    "twice.yaml": "seed: 1\nseed: 2\n",
    "nan.yaml": "hr_size_px: .nan",
    "blocks.yaml": "hr_size_px: 100000000000",
    "large.yaml": "#" * 2**23,
}


READERS = {  # every command that reads a config; what it would build is never begun
    "degrade show": ("degrade", "show", "mm-realsr", "--config"),
    "degrade preview": ("degrade", "preview", "--preset", "mm-realsr", "--source", ".", "--out", "s.png", "--config"),
    "degrade build": ("degrade", "build", "--preset", "mm-realsr", "--source", ".", "--out", "s.zarr", "--config"),
    "noisebank build": ("noisebank", "build", "--target", ".", "--out", "b.zarr", "--config"),
    "train show": ("train", "show", "mm-realsr-code", "--config"),
    "train": ("train", "mm-realsr", "--store", "s.zarr", "--out", "run", "--config"),
    "flow run": ("flow", "run"),
}


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_a_hostile_config_is_one_line_and_soon(
    tmp_path: Path, name: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bombs, depth, dates and numbers that are none: no traceback, no hang, no wall of text."""
    path = tmp_path / name
    path.write_text(HOSTILE_FILES[name], encoding="latin-1" if name == "binary.yaml" else "utf-8")
    monkeypatch.chdir(tmp_path)
    begun = time.monotonic()
    said = rwsr(*READERS[reader], path, code=1)
    assert time.monotonic() - begun < 5
    assert "\n" not in said and len(said) < 600
    assert any(named in said for named in (name, "key0 is not", "hr_size_px"))
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "text",
    ["seed=2020-13-45", "seed=!!int x", "seed=!!bool x", "seed=!!timestamp x",
     "seed=" + "9" * 5000, "seed=" + "[" * 999,
     "seed=*a", "seed=&a [*a]", "seed=.nan", "seed=.inf", "=1", "a..b=1", "seed", "recipe=1", "recipe.first=null"],
)  # fmt: skip
def test_a_hostile_set_is_one_line(text: str) -> None:
    """The value of a key as YAML reads it."""
    said = rwsr("degrade", "show", "mm-realsr", "--set", text, code=1)
    assert "\n" not in said and len(said) < 600


def test_a_wrong_list_is_told_by_what_is_wrong_in_it() -> None:
    """Not that it is empty as well, and in words of ours."""
    said = rwsr("degrade", "show", "mm-realsr", "--set", "source_scales=[2]", code=1)
    assert "source_scales.0 = 2" in said and "empty" not in said
    assert "source_scales is empty" in rwsr("degrade", "show", "mm-realsr", "--set", "source_scales=[]", code=1)
    assert "recipe is not a table" in rwsr("degrade", "show", "mm-realsr", "--set", "recipe=5", code=1)


@pytest.mark.parametrize(
    "key", ["network.num_block", "network.num_feat", "loop.batch_size", "loop.num_workers", "network.udem.num_block"]
)
def test_sizes_that_no_network_has_are_refused_before_it_is_made(key: str) -> None:
    """Ten million blocks would be made for minutes."""
    value = "[10000000]" if key.endswith("udem.num_block") else "10000000"
    assert "less than or equal to" in rwsr("train", "show", "mm-realsr-code", "--set", f"{key}={value}", code=1)


def test_a_config_file_needs_no_preset_beside_it(tmp_path: Path, photos: Path) -> None:
    """A whole one by itself, one that names its preset by that; two that differ are refused."""
    whole, named, part = tmp_path / "whole.yaml", tmp_path / "named.yaml", tmp_path / "part.yaml"
    whole.write_text(rwsr("degrade", "show", "bicubic"))
    named.write_text("preset: bicubic\nhr_size_px: 64\n")
    part.write_text("hr_size_px: 64\n")
    build = ("degrade", "build", "--source", photos, "--samples", 2, "--hr-size", 64)
    digests = [
        rwsr(*build, "--out", tmp_path / f"{path.stem}.zarr", "--config", path).split("digest ")[1]
        for path in (whole, named)
    ]
    assert digests[0] == digests[1]
    rwsr(*build, "--out", tmp_path / "x.zarr", "--config", part, code=2)
    assert "drop one of them" in rwsr(
        *build, "--out", tmp_path / "x.zarr", "--config", named, "--preset", "cugan", code=1
    )
    assert "drop one of them" in rwsr(
        *build, "--out", tmp_path / "x.zarr", "--config", whole, "--preset", "cugan", code=1
    )
