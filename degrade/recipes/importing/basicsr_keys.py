"""The keys of other trainers' options files: what is ours of each, what changes no sample, what is never read."""

from typing import Literal

from ...storage.provenance import Json

Trainer = Literal["Real-ESRGAN", "MM-RealSR", "neosr", "traiNNer-redux"]
ORDER = {
    "blur_sigma": "blur_sigma",
    "sinc_prob": "sinc_prob",
    "betag_range": "generalized_beta",
    "betap_range": "plateau_beta",
    "resize_range": "resize_range",
    "gaussian_noise_prob": "gaussian_noise_prob",
    "noise_range": "noise_sigma_255",
    "poisson_scale_range": "poisson_scale",
    "gray_noise_prob": "gray_noise_prob",
    "jpeg_range": "jpeg_quality",
}
REDUX_ORDER = {  # what only traiNNer-redux reads
    "blur_prob": "blur_prob",
    "kernel_range": "kernel_sizes",
    "jpeg_prob": "jpeg_prob",
    "resize_mode_list": "resize_modes",
    "resize_mode_prob": "resize_mode_probs",
}
GAPS = {
    "blur_kernel_diff_lower_bound": "blur_sigma",
    "gaussian_noise_diff_range": "noise_sigma_255",
    "poisson_noise_diff_range": "poisson_scale",
    "jpeg_diff_range": "jpeg_quality",
}


# traiNNer-redux's own, of utils/redux_options.py
REDUX_MODES = ["bilinear", "bicubic", "nearest-exact", "lanczos"]
REDUX_SHARED: Json = {
    "kernel_sizes": (5, 17),
    "sinc_prob": 0,
    "generalized_beta": (0.5, 4),
    "plateau_beta": (1, 2),
    "blur_prob": 0,
    "resize_modes": REDUX_MODES,
    "resize_mode_probs": [0.25] * 4,
    "gaussian_noise_prob": 0,
    "noise_sigma_255": (0, 0),
    "poisson_scale": (0, 0),
    "gray_noise_prob": 0,
    "jpeg_prob": 1,
    "jpeg_quality": (75, 95),
}
REDUX_FIRST = {
    "blur_sigma": (0.2, 2),
    "resize": {"up": 0.2, "down": 0.7, "keep": 0.1},
    "resize_range": (0.4, 1.5),
}
REDUX_SECOND = {
    "blur_sigma": (0.2, 1),
    "resize": {"up": 0.3, "down": 0.4, "keep": 0.3},
    "resize_range": (0.6, 1.2),
    "keep_resizes": False,
}
REDUX_FINAL = {
    "final_sinc_prob": 0,
    "final_kernel_sizes": (5, 17),
    "final_resize_modes": REDUX_MODES,
    "final_resize_mode_probs": [0.25] * 4,
}
REASONS = {  # of keys that change no sample of a store
    "blur_kernel_size": "no trainer reads it: kernels have the sizes of kernel_range, or 7 to 21",
    "blur_kernel_size2": "no trainer reads it: kernels have the sizes of kernel_range2, or 7 to 21",
    "gt_size": "crop of the training step: loop.lr_patch_px; HR crops of a store are --hr-size",
    "lq_size": "crop of the training step: loop.lr_patch_px",
    "patch_size": "crop of the training step: loop.lr_patch_px",
    "queue_size": "there is no pool: every sample of a store has its own draws",
    "use_hflip": "mirrored while training",
    "use_rot": "set while training: loop.use_rot90",
}
DEAD = {  # by trainer: keys that stand in its files and that its code never reads
    "MM-RealSR": {
        "jpeg_range2": "MM-RealSR never reads it: both of its JPEGs use jpeg_range",
        "second_blur_prob": "MM-RealSR never reads it: its second blur is always on",
    },
    "neosr": {
        name: "neosr never reads it"
        for name in (*REDUX_ORDER, *(f"{name}2" for name in REDUX_ORDER), "resize_mode_list3", "resize_mode_prob3")
    },
    "Real-ESRGAN": {},
    "traiNNer-redux": {"second_blur_prob": "traiNNer-redux calls it blur_prob2"},
}
CHANGES = {  # keys without a counterpart, and the values under which they do nothing
    "thicklines_prob": (0, None),
    "dataroot_lq_prob": (0, None),
    "gt_usm_after": (False, None),
    "color": (None, "rgb"),
}
