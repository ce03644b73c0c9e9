"""Options files of other trainers become configs; what they say that has no meaning here is named."""

from pathlib import Path

import pytest

from rwsr.degrade.errors import UserError
from rwsr.degrade.recipes.importing.import_basicsr import import_options
from rwsr.degrade.recipes.mm_realsr import Groups
from rwsr.degrade.recipes.real_esrgan import SecondOrder
from rwsr.degrade.recipes.store_config import store_preset

from ...commands import rwsr

REAL_ESRGAN = """
name: train_x4
scale: 4
num_gpu: 4
manual_seed: 7
l1_gt_usm: True
gan_gt_usm: False
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
gt_size: 256
queue_size: 180
datasets:
  train:
    blur_kernel_size: 21
    kernel_list: ['iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso']
    kernel_prob: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    sinc_prob: 0.1
    blur_sigma: [0.2, 3]
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
    use_hflip: True
network_g:
  type: RRDBNet
"""


def _file(tmp_path: Path, text: str, name: str = "o.yml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_real_esrgans_file_is_our_preset(tmp_path: Path) -> None:
    """Every number lands in its place: but for the seed it is `real-esrgan`. Keys of networks need no line."""
    found = import_options(_file(tmp_path, REAL_ESRGAN))
    assert found.config == store_preset("real-esrgan").model_copy(update={"seed": 7})
    assert set(found.without_meaning) == {
        "gt_size",
        "queue_size",
        "datasets.train.use_hflip",
        "datasets.train.blur_kernel_size",
        "datasets.train.blur_kernel_size2",
    }
    assert found.changes == {"l1_gt_usm": "targets are sharpened while training: losses.sharpen_target"}


MM_REALSR = REAL_ESRGAN.replace("l1_gt_usm: True", "jpeg_diff_range: [5, 60]\nUSM").replace(
    "jpeg_range2: [30, 95]", "jpeg_range2: [40, 50]"
)


def test_mm_realsrs_file_is_groups_and_its_dead_keys_are_named(tmp_path: Path) -> None:
    """The *_diff_* keys make groups; what MM-RealSR's code never reads is not taken over."""
    found = import_options(_file(tmp_path, MM_REALSR.replace("USM", "gt_usm: False")))
    assert found.config == store_preset("mm-realsr").model_copy(update={"seed": 7})
    assert "never reads it" in found.without_meaning["jpeg_range2"]
    assert "never reads it" in found.without_meaning["second_blur_prob"]


def test_mm_realsrs_stages_degrade_what_their_code_degrades(tmp_path: Path) -> None:
    """Stage 1 (gt_usm) sharpened HR; stage 2 (l1_gt_usm) HR as it is, and sharpens its targets: both of one HR."""
    first = import_options(_file(tmp_path, MM_REALSR.replace("USM", "gt_usm: True"), "1.yml"))
    second = import_options(_file(tmp_path, MM_REALSR.replace("USM", "l1_gt_usm: True\npercep_gt_usm: True"), "2.yml"))
    assert first.config == store_preset("mm-realsr-stage-1").model_copy(update={"seed": 7})
    assert second.config == store_preset("mm-realsr").model_copy(update={"seed": 7})
    assert all("losses.sharpen_target" in said for said in second.changes.values()) and len(second.changes) == 2


NEOSR = """
name = "x"
model_type = "otf"
scale = 4
[datasets.train]
type = "otf"
patch_size = 64
[degradations]
resize_prob = [0.3, 0.4, 0.3]
resize_range = [0.5, 1.5]
gaussian_noise_prob = 0.2
noise_range = [0, 2]
poisson_scale_range = [0.05, 0.25]
gray_noise_prob = 0.1
jpeg_range = [40, 95]
second_blur_prob = 0.4
resize_prob2 = [0.3, 0.4, 0.3]
resize_range2 = [0.3, 1.5]
gaussian_noise_prob2 = 0.2
noise_range2 = [0, 2]
poisson_scale_range2 = [0.05, 0.1]
gray_noise_prob2 = 0.1
jpeg_range2 = [35, 95]
blur_kernel_size = 7
blur_kernel_size2 = 9
sinc_prob = 0.1
blur_sigma = [0.2, 3]
sinc_prob2 = 0.1
blur_sigma2 = [0.2, 1.5]
final_sinc_prob = 0.8
"""


def test_neosrs_file_is_taken_over_by_what_neosr_reads(tmp_path: Path) -> None:
    """Its blur_kernel_size is a dead key, its HR is never sharpened, and the modes of its resizes are fixed."""
    text = f"{NEOSR}resize_mode_list = ['lanczos']\nblur_prob = 0.1\n"
    found = import_options(_file(tmp_path, text, "o.toml"))
    recipe = found.config.recipe
    assert isinstance(recipe, SecondOrder) and recipe.usm is None and recipe.scale == 4
    assert recipe.first.noise_sigma_255 == (0, 2) and recipe.second.jpeg_quality == (35, 95)
    assert recipe.first.blur_prob == 1 and recipe.second.blur_prob == 0.4 and recipe.first.kernel_sizes == (7, 21)
    assert recipe.first.resize_modes == ("area", "bilinear", "bicubic")
    assert "neosr never reads it" in found.without_meaning["degradations.resize_mode_list"]
    assert "no trainer reads it" in found.without_meaning["degradations.blur_kernel_size"] and not found.changes


REDUX = """
name: 4x
scale: 4
high_order_degradation: True
jpeg_prob: 0.5
jpeg_range: [75, 95]
resize_mode_list: [bilinear, bicubic, nearest-exact, lanczos]
resize_mode_prob: [1, 1, 1, 1]
resize_mode_list2: []
resize_mode_prob2: []
resize_prob2: [0, 0, 1]
resize_mode_list3: [bicubic]
resize_mode_prob3: [1]
gaussian_noise_prob: 0
noise_range: [0, 0]
lq_usm: True
lq_usm_radius_range: [2, 9]
queue_size: 120
network_g:
  type: span
datasets:
  train:
    blur_kernel_size: 12
    kernel_range: [5, 9]
"""


def test_traiNNer_reduxs_file_and_what_it_leaves_out(tmp_path: Path) -> None:  # noqa: N802
    """Its own probabilities, and where the file says nothing its own defaults, not Real-ESRGAN's."""
    found = import_options(_file(tmp_path, REDUX))
    recipe = found.config.recipe
    assert isinstance(recipe, SecondOrder)
    assert (recipe.first.jpeg_prob, recipe.second.jpeg_prob, recipe.first.jpeg_quality) == (0.5, 1, (75, 95))
    assert recipe.first.resize_mode_probs == (0.25,) * 4 and "nearest-exact" in recipe.first.resize_modes
    assert not recipe.second.keep_resizes and recipe.second.resize.keep == 1
    assert recipe.final_resize_modes == ("bicubic",) and recipe.final_sinc_prob == 0
    assert recipe.usm is not None and recipe.usm.radius_range == (2, 9)
    assert recipe.first.kernel_sizes == (5, 9) and recipe.second.kernel_sizes == (5, 17)
    assert (recipe.first.blur_prob, recipe.second.blur_sigma, recipe.second.resize_range) == (0, (0.2, 1), (0.6, 1.2))
    assert (
        import_options(_file(tmp_path, "high_order_degradation: true\njpeg_range: [75, 95]\n")).config.recipe.usm
        is None
    )


@pytest.mark.parametrize("text", [NEOSR, REDUX, REAL_ESRGAN, MM_REALSR.replace("USM", "gt_usm: True")])
def test_what_is_imported_can_be_built(tmp_path: Path, photos: Path, text: str) -> None:
    """By the command, from the file alone."""
    file = _file(tmp_path, text, "o.toml" if text is NEOSR else "o.yml")
    said = rwsr("degrade", "import", file, "--out", tmp_path / "r.yaml")
    assert "use it with: rwsr degrade build" in said
    build = ("degrade", "build", "--config", tmp_path / "r.yaml", "--source", photos, "--out", tmp_path / "s.zarr")
    assert "rendered 3" in rwsr(*build, "--samples", 3, "--hr-size", 64)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("thicklines_prob: 0.3", "changes the result, and has no counterpart here (= 0.3)"),
        ("gan_gt_usm: True", "changes the result: a discriminator sees HR as it is here"),
        ("jpeg_rnage: [30, 60]", "changes the result, if jpeg_range was meant"),
    ],
)
def test_what_changes_the_result_is_loud(tmp_path: Path, line: str, says: str) -> None:
    """Never called no part of a degradation."""
    found = import_options(_file(tmp_path, f"noise_range: [1, 3]\n{line}\n"))
    assert [said for said in found.changes.values() if says in said]


def test_gaps_are_taken_over(tmp_path: Path) -> None:
    """MM-RealSR's three ranges and its bound."""
    text = "noise_range: [1, 30]\ngaussian_noise_diff_range: [2, 3]\nblur_kernel_diff_lower_bound: 0.4\n"
    recipe = import_options(_file(tmp_path, text)).config.recipe
    assert isinstance(recipe, Groups)
    assert (recipe.gaps.noise_sigma_255, recipe.gaps.blur_sigma) == ((2, 3), 0.4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: x\nscale: 4\n", "has no key of a degradation"),
        ("noise_range: [1, 3]\nkernel_list: [iso]\nkernel_prob: [0.5, 0.5]\n", "are not two lists of one length"),
        ("noise_range: [1, 3]\nresize_prob: 0.5\n", "is not [up, down, keep]"),
        ("noise_range: [9, 3]\n", "order it"),
        ("noise_range: [1, 3]\nkernel_list: [box]\nkernel_prob: [1]\n", "box is not a config key"),
        ("a: [1", "not well-formed"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    """Each names the file or the key, and the rule."""
    with pytest.raises(UserError) as caught:
        import_options(_file(tmp_path, text))
    assert says in str(caught.value) and "\n" not in str(caught.value)
