"""Options files of other trainers become configs; what they say that has no meaning here is named."""

from pathlib import Path

import pytest

from rwsr.degrade.errors import UserError
from rwsr.degrade.recipe import Groups, SecondOrder
from rwsr.pipelines.basicsr import import_options
from rwsr.pipelines.presets import mm_realsr, real_esrgan

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
    """Every number lands in its place: but for the seed it is `real-esrgan`."""
    found = import_options(_file(tmp_path, REAL_ESRGAN))
    assert found.config == real_esrgan().model_copy(update={"seed": 7})
    assert set(found.without_meaning) == {
        "name",
        "num_gpu",
        "gan_gt_usm",
        "gt_size",
        "queue_size",
        "datasets.train.use_hflip",
        "network_g.type",
    }


def test_mm_realsrs_file_is_groups_and_its_dead_keys_are_named(tmp_path: Path) -> None:
    """The *_diff_* keys make groups; what MM-RealSR's code never reads is not taken over."""
    text = REAL_ESRGAN.replace("l1_gt_usm: True", "jpeg_diff_range: [5, 60]\ngt_usm: False").replace(
        "jpeg_range2: [30, 95]", "jpeg_range2: [40, 50]"
    )
    found = import_options(_file(tmp_path, text))
    assert found.config == mm_realsr().model_copy(update={"seed": 7})
    assert "never reads it" in found.without_meaning["jpeg_range2"]
    assert "never reads it" in found.without_meaning["second_blur_prob"]


def test_changed_numbers_are_taken_over(tmp_path: Path) -> None:
    """From neosr's TOML tables too."""
    text = """
scale = 2
[degradations]
noise_range = [2, 9]
jpeg_range2 = [50, 60]
blur_prob = 0.4
resize_mode_list = ["lanczos"]
"""
    recipe = import_options(_file(tmp_path, text, "o.toml")).config.recipe
    assert isinstance(recipe, SecondOrder) and recipe.scale == 2
    assert recipe.first.noise_sigma_255 == (2, 9) and recipe.second.jpeg_quality == (50, 60)
    assert recipe.first.blur_prob == 0.4 and recipe.first.resize_modes == ("lanczos",)


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
        ("noise_range: [1, 3]\nblur_kernel_size: 25\n", "kernels here have 7 to 21 taps"),
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
