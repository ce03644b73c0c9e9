"""The tab Recipes in a browser: keys are turned, samples follow; what is saved and built is what the command makes."""

import shlex
from pathlib import Path

import pytest
import yaml

from rwsr.degrade.build_store import open_samples
from rwsr.degrade.recipes import PRESETS
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.storage.shards.verify import digest
from rwsr.pipelines.studio.fields import Field, Group, fields_of, nested

from ...commands import rwsr


def _leaves(parts: tuple[Field | Group, ...]) -> list[Field]:
    found: list[Field] = []
    for part in parts:
        found += [part] if isinstance(part, Field) else _leaves(part.parts)
    return found


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_key_of_every_preset_is_a_field(name: str) -> None:
    """Once, under its path, with its value and the words of its schema."""
    config = store_preset(name)
    leaves = _leaves(fields_of(config, leave_out=("grown_from",)))
    assert len({each.dotted for each in leaves}) == len(leaves)
    whole = config.model_dump()

    def value(path: tuple[str, ...]) -> object:
        at: object = whole
        for key in path:
            at = at[key]  # type: ignore[index]
        return at

    for each in leaves:
        found = value(each.path)
        if each.kind == "range":
            assert list(found) == each.value  # type: ignore[call-overload]
        elif each.kind in ("number", "switch", "choice"):
            assert found == each.value
        if each.kind == "choice":
            assert each.value in each.choices
        assert nested(each.path, 1) and each.name == each.path[-1]
    assert {"recipe.scale", "hr_size_px"} <= {each.dotted for each in leaves}
    assert all(each.about for each in leaves if each.dotted in ("hr_size_px", "num_samples"))


@pytest.mark.slow
def test_turned_keys_draw_other_samples_and_the_saved_recipe_builds_the_same_store(
    studio, photos: Path, tmp_path: Path
) -> None:
    here = studio(photos)
    here.page.get_by_role("tab", name="Recipes").click()
    here.at("sample").wait_for(timeout=30_000)
    assert here.page.locator(".at-sample").count() == 3 and here.page.locator(".at-spectra canvas").count() == 1
    here.choose("preset", "cugan:")
    here.until(lambda: "z " in here.at("samples").inner_text(), "the preset changes nothing")
    steps = here.at("samples").inner_text()
    here.at("others").click()
    here.until(lambda: here.at("samples").inner_text() != steps, "no other samples")
    level = here.page.locator(".at-key-recipe-fixed-level input")
    level.fill("[9, 50]")
    level.press("Tab")
    here.until(lambda: "fixed_level" in here.at("wrong").inner_text(), "a wrong value is taken")
    level.fill("[0, 50]")
    level.press("Tab")
    here.until(lambda: here.at("samples").inner_text().count("z 0.00, 1.00") == 3, "the level is not drawn")
    assert here.at("wrong").inner_text() == ""
    here.at("amount").locator("input").fill("6")
    here.at("name").locator("input").fill("noisy")
    here.at("name").locator("input").press("Tab")
    here.page.wait_for_timeout(500)
    here.at("save").click()
    here.at("wrote").wait_for()
    told = yaml.safe_load((here.out / "recipes/noisy.yaml").read_text())
    assert told["num_samples"] == 6 and told["recipe"]["fixed_level"] == [0, 50] and told["seed"] == 1
    words = shlex.split(here.at("line-of-shell").inner_text())
    here.at("build").click()
    here.page.locator(".at-built", has_text="rendered 6 pairs").wait_for(timeout=30_000)
    rwsr(*words[1:-1], tmp_path / "by-command.zarr")
    stores = [open_samples(path) for path in (tmp_path / "by-command.zarr", here.out / "stores/noisy.zarr")]
    assert digest(stores[0]) == digest(stores[1])


@pytest.mark.slow
def test_what_is_wrong_is_not_forgotten_and_not_built(studio, photos: Path) -> None:
    """A value that waits for another key is taken with it; until then nothing is saved; nor are no samples built."""
    here = studio(photos)
    here.page.get_by_role("tab", name="Recipes").click()
    here.at("sample").wait_for(timeout=30_000)
    size = here.at("key-hr-size-px").locator("input")
    size.fill("194")
    here.until(lambda: "not a multiple" in here.at("wrong").inner_text(), "a wrong value is taken")
    here.at("save").click()
    here.page.locator(".q-notification", has_text="not a multiple").first.wait_for()
    assert not (here.out / "recipes").exists()
    here.at("key-recipe-scale").locator("input").fill("2")
    here.until(lambda: here.at("wrong").inner_text() == "", "the two together are not taken")
    here.at("amount").locator("input").fill("-3")
    here.page.wait_for_timeout(400)
    here.at("build").click()
    here.page.locator(".q-notification", has_text="num_samples").first.wait_for()
    here.at("amount").locator("input").fill("3")
    here.page.wait_for_timeout(400)
    here.at("save").click()
    here.at("wrote").wait_for()
    told = yaml.safe_load((here.out / "recipes/recipe.yaml").read_text())
    assert (told["hr_size_px"], told["recipe"]["scale"], told["num_samples"]) == (194, 2, 3)


@pytest.mark.slow
def test_files_of_others_are_taken_and_what_fits_not_is_told(studio, photos: Path, tmp_path: Path) -> None:
    rwsr("degrade", "import", _options(tmp_path), "--out", tmp_path / "ours.yaml")
    here = studio()
    here.page.get_by_role("tab", name="Recipes").click()
    folder = here.at("folder").locator("input")
    folder.fill(str(tmp_path / "none"))
    folder.press("Enter")
    here.page.locator(".q-notification", has_text="none").first.wait_for()
    folder.fill(str(photos))
    folder.press("Enter")
    here.at("sample").wait_for()
    for file, says in ((_options(tmp_path), "blur_sigma"), (tmp_path / "ours.yaml", "blur_sigma")):
        here.give("import", file)
        here.page.locator(".q-notification", has_text=f"took {file.name}").wait_for()
        here.at("group-first").click()
        here.page.locator(".at-key-recipe-first-blur-sigma").wait_for()
        assert says.replace("_", "-") in str(here.at("key-recipe-first-blur-sigma").get_attribute("class"))
        least = here.at("key-recipe-first-blur-sigma").locator("input").first
        assert least.input_value() == "0.3"
    (tmp_path / "odd.yaml").write_text("a: [")
    here.give("import", tmp_path / "odd.yaml")
    here.page.locator(".q-notification", has_text="odd.yaml").first.wait_for()
    assert here.at("sample").is_visible()


def _options(tmp_path: Path) -> Path:
    """An options file of Real-ESRGAN, of the keys that it has."""
    path = tmp_path / "train.yml"
    path.write_text(
        """
scale: 4
gt_size: 256
resize_prob: [0.2, 0.7, 0.1]
resize_range: [0.15, 1.5]
gaussian_noise_prob: 0.5
noise_range: [1, 30]
poisson_scale_range: [0.05, 3]
gray_noise_prob: 0.4
jpeg_range: [30, 95]
second_blur_prob: 0.8
resize_prob2: [0.3, 0.4, 0.3]
resize_range2: [0.3, 1.2]
gaussian_noise_prob2: 0.5
noise_range2: [1, 25]
poisson_scale_range2: [0.05, 2.5]
gray_noise_prob2: 0.4
jpeg_range2: [30, 95]
datasets:
  train:
    type: RealESRGANDataset
    blur_kernel_size: 21
    kernel_list: ['iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso']
    kernel_prob: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    sinc_prob: 0.1
    blur_sigma: [0.3, 3]
    betag_range: [0.5, 4]
    betap_range: [1, 2]
    blur_kernel_size2: 21
    kernel_list2: ['iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso']
    kernel_prob2: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    sinc_prob2: 0.1
    blur_sigma2: [0.2, 1.5]
    betag_range2: [0.5, 4]
    betap_range2: [1, 2]
    final_sinc_prob: 0.8
    gt_size: 400
    use_hflip: true
    use_rot: false
"""
    )
    return path
