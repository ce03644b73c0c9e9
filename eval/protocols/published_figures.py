"""What the papers print, to stand beside what was measured, with the conditions that it was measured under.

Where a paper contradicts itself or its code, the note says so; such figures are never a target by themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..images.known_sets import is_called, words_of


@dataclass(frozen=True)
class Published:
    """A figure of a paper: a method's mean on a set of images. metric: as in `metrics`, where the paper says enough.

    member: the setting, as a report names it; none where there is only one. note: what to know before comparing.
    """

    paper: str
    table: str
    data: str
    method: str
    member: str
    metric: str
    value: float
    note: str = ""


_MM_REALSR = {
    ("RealSR (Cai et al.)", "niqe"): (8.31, 8.23, 6.17, 4.62, 4.53, 4.62),
    ("RealSR (Cai et al.)", "lpips-vgg"): (0.4047, 0.4054, 0.3757, 0.3647, 0.3640, 0.3606),
    ("RealSR (Cai et al.)", "dists-mm-realsr"): (0.2201, 0.2190, 0.1764, 0.1535, 0.1545, 0.1664),
    ("AIM19", "niqe"): (2.86, 3.60, 4.77, 3.92, 3.60, 3.61),
    ("AIM19", "lpips-vgg"): (0.5566, 0.5558, 0.4635, 0.4048, 0.3957, 0.3948),
    ("AIM19", "dists-mm-realsr"): (0.2325, 0.2336, 0.1944, 0.1596, 0.1545, 0.1507),
}
_MM_METHODS = ("RealSR", "ESRGAN", "CUGAN, best of 121", "BSRGAN", "Real-ESRGAN", "MM-RealSR")
_MM_SEGMENTED_ON = "RealSR (Cai et al.)"  # not BSRGAN's RealSRSet, which has no HR
_MM_SEGMENTED = {
    "lpips-vgg": (0.3957, 0.3910, 0.3950, 0.4125, 0.3905, 0.3662),
    "dists-mm-realsr": (0.1764, 0.1820, 0.1910, 0.1942, 0.1760, 0.1632),
}
_SEGMENTS = ("quarter 1", "quarter 2", "quarter 3", "quarter 4", "best of four", "MM-RealSR")
_CUGAN_1 = {
    ("UGAN", "lpips-alex-cugan"): (0.0490, 0.0957, 0.0484, 0.1331, 0.0697, 0.1140, 0.2068, 0.2557, 0.3154, 0.3510),
    ("CUGAN", "lpips-alex-cugan"): (0.0522, 0.0966, 0.0525, 0.1463, 0.0714, 0.1178, 0.2019, 0.2498, 0.3075, 0.3350),
    ("UGAN", "dists"): (0.0603, 0.0901, 0.0499, 0.1013, 0.0716, 0.0987, 0.1430, 0.1705, 0.1994, 0.2110),
    ("CUGAN", "dists"): (0.0639, 0.0964, 0.0525, 0.1081, 0.0727, 0.1003, 0.1392, 0.1657, 0.1982, 0.2162),
}
_CUGAN_2 = {
    "Unet": (30.62, 28.28, 30.24, 26.85, 29.12, 27.41, 24.57, 23.03),
    "CUnet": (30.50, 28.16, 30.07, 26.63, 29.04, 27.35, 24.55, 23.02),
    "CResMD": (30.43, 28.06, 30.09, 26.53, 29.00, 27.28, 24.48, 22.95),
}
CUGAN_ERRATA = {
    "lpips-alex-cugan": (
        "Table 1 gives r = 1 as z = 0.15; by the text and the code it is 0.25, which is told here.",
        "Section 4.2 names other settings of blur and noise than table 1 prints; these are the table's.",
        "The text puts every distance of LPIPS at a single degradation below 0.0041; at r = 4 the table has 0.0132.",
        "The published code gives LPIPS images of 0..1, where the network expects -1..1; so does this metric.",
    ),
    "psnr-rgb": (
        "Table 2 prints CUnet as 20.07 at r = 2 and 28.63 at r = 4; from its own distances it is 30.07 and 26.63.",
        "The text has CUnet 0.32 dB (r = 4) and 0.22 dB (sigma = 50) above CResMD; those are Unet's, CUnet is 0.10 dB "
        "above in both, and 0.02 dB below at r = 2.",
        "Table 2 gives CUnet 1.370M parameters; the network of the paper and the code has 6,534,476.",
    ),
}
_MISPRINT = "printed as 20.07 and 28.63; from the distances in the same table it is 30.07 and 26.63"
_EDL = {  # PSNR, SSIM, LPIPS
    ("table I", "RealSR-Canon"): {
        "ZSSR": (26.007, 0.7482, 0.386),
        "ESRGAN": (25.956, 0.7468, 0.415),
        "Impressionism": (25.781, 0.7508, 0.258),
        "DASR": (26.229, 0.7660, 0.251),
        "RWSR-EDL": (27.803, 0.8112, 0.247),
    },
    ("table III", "CameraSR"): {
        "FSSR": (23.781, 0.7566, 0.180),
        "Impressionism": (25.142, 0.8097, 0.139),
        "DASR": (25.235, 0.8065, 0.141),
        "RWSR-EDL": (26.284, 0.8226, 0.133),
    },
    ("table IV", "AIM19"): {
        "ESRGAN": (21.382, 0.5478, 0.543),
        "FSSR": (20.820, 0.5103, 0.390),
        "Impressionism": (21.021, 0.5978, 0.376),
        "DASR": (21.780, 0.5725, 0.346),
        "RWSR-EDL": (22.335, 0.6187, 0.342),
    },
    ("table V", "NTIRE20"): {
        "ESRGAN": (19.06, 0.2423, 0.7552),
        "Impressionism": (24.82, 0.6619, 0.2270),
        "RWSR-EDL": (25.40, 0.6819, 0.2222),
    },
}
EDL_ABLATIONS: dict[str, dict[str, tuple[float | None, float | None, float | None]]] = {  # on RealSR Canon too
    "VII": {
        "single branch": (27.691, None, 0.255),
        "dual without mask": (27.688, None, 0.254),
        "dual with mask": (27.775, None, 0.250),
    },
    "VIII": {"VGG-128": (27.673, 0.8058, None), "Patch-D": (27.775, 0.8095, None)},
    "IX": {
        "no injection": (27.715, 0.8078, 0.252),
        "injection": (27.775, 0.8095, 0.250),
        "auxiliary without NGDC": (27.557, 0.8022, 0.264),
        "auxiliary with NGDC": (27.802, 0.8110, 0.247),
    },
    "X": {
        "weighted sum": (26.127, 0.7551, 0.272),
        "pixel": (27.690, 0.8098, 0.256),
        "pixel and perceptual": (27.730, 0.8101, 0.251),
        "pixel and adversarial": (27.504, 0.8006, 0.254),
        "all": (27.802, 0.8110, 0.247),
    },
}
_HR_AWARE = {  # PSNR-Y, SSIM, LPIPS
    ("NTIRE20", "RealESRGAN+"): (25.08, 0.7061, 0.2504),
    ("NTIRE20", "RealESRGAN+, LWay"): (25.41, 0.7142, 0.2498),
    ("NTIRE20", "RealESRGAN+, HR-aware"): (25.87, 0.7204, 0.2369),
    ("RealSR-Canon", "RealESRGAN+"): (24.74, 0.7634, 0.2607),
    ("RealSR-Canon", "RealESRGAN+, LWay"): (25.77, 0.7850, 0.2460),
    ("RealSR-Canon", "RealESRGAN+, HR-aware"): (25.46, 0.7674, 0.2510),
    ("RealSR-Nikon", "RealESRGAN+"): (24.31, 0.7334, 0.2851),
    ("RealSR-Nikon", "RealESRGAN+, LWay"): (25.21, 0.7532, 0.2781),
    ("RealSR-Nikon", "RealESRGAN+, HR-aware"): (25.14, 0.7449, 0.2681),
}
HrAwareRows = dict[str, tuple[float | None, float | None, float | None]]  # PSNR, SSIM, LPIPS of each variant


def _hr_aware_1(data: str) -> HrAwareRows:
    return {
        "before": _HR_AWARE[data, "RealESRGAN+"],
        "LWay": _HR_AWARE[data, "RealESRGAN+, LWay"],
        "HR-aware": _HR_AWARE[data, "RealESRGAN+, HR-aware"],
    }


HR_AWARE_ABLATIONS: dict[str, dict[str, HrAwareRows]] = {  # of RealESRGAN+, by table and set
    "1": {data: _hr_aware_1(data) for data in ("NTIRE20", "RealSR-Canon", "RealSR-Nikon")},
    "2": {
        "RealSR-Canon": {
            "neither": (26.20, 0.7889, 0.2525),
            "controller": (25.78, 0.7858, 0.2434),
            "FAR": (25.40, 0.7668, 0.2522),
            "both": (25.46, 0.7674, 0.2510),
        }
    },
    "3": {
        "NTIRE20": {
            "SR model": (24.22, 0.6878, 0.2397),  # EDSR
            "VGG-19": (25.55, 0.7112, 0.2460),
            "CLIP RN50": (25.87, 0.7204, 0.2369),
        }
    },
    "4": {"NTIRE20": {"1 - HQI": (25.79, 0.7196, 0.2370), "HQI": (25.87, 0.7204, 0.2369)}},
}
_HR_AWARE_NOTE = "border, SSIM's colours and LPIPS's net unsaid"
_SET5 = (("IMDN", "x2", 38.00), ("IMDN", "x4", 32.21), ("RLFN", "x2", 38.07), ("RLFN", "x4", 32.24))


def _mm_realsr() -> list[Published]:
    notes = {
        "niqe": "",
        "lpips-vgg": "the paper does not say that it is LPIPS-VGG; the code does",
        "dists-mm-realsr": "fed with -1..1 where DISTS expects 0..1",
    }

    def note(data: str, metric: str, method: str) -> str:
        said = [notes[metric]] if notes[metric] else []
        if data.startswith("RealSR"):
            said.append("the paper does not say which version and camera of RealSR")
            if method == "MM-RealSR" and metric != "niqe":
                said.append("tables 1 and 2 disagree: LPIPS 0.3606 and 0.3662, DISTS 0.1664 and 0.1632")
        return "; ".join(said)

    found = [
        Published("MM-RealSR", "table 1", data, method, "", metric, value, note(data, metric, method))
        for (data, metric), values in _MM_REALSR.items()
        for method, value in zip(_MM_METHODS, values, strict=True)
    ]
    return found + [
        Published(
            "MM-RealSR", "table 2", _MM_SEGMENTED_ON, method, "", metric, value, note(_MM_SEGMENTED_ON, metric, method)
        )
        for metric, values in _MM_SEGMENTED.items()
        for method, value in zip(_SEGMENTS, values, strict=True)
    ]


def _cugan(members_1: Sequence[str], members_2: Sequence[str]) -> list[Published]:
    found = [
        Published("CUGAN", "table 1", "LIVE1", method, member, metric, value)
        for (method, metric), values in _CUGAN_1.items()
        for member, value in zip(members_1, values, strict=True)
    ]
    return found + [
        Published("CUGAN", "table 2", "CBSD68", method, member, "psnr-rgb", value, note)
        for method, values in _CUGAN_2.items()
        for member, value in zip(members_2, values, strict=True)
        for note in [_MISPRINT if method == "CUnet" and member in ("r2 sigma0", "r4 sigma0") else ""]
    ]


def _rest() -> list[Published]:
    unsaid = "the paper does not say RGB or Y, nor LPIPS's network; its code: RGB of uint8 less 4 px, AlexNet"
    metrics = ("psnr", "ssim", "lpips")
    found = [
        Published("RWSR-EDL", table, data, method, "", metric, value, unsaid)
        for (table, data), rows in _EDL.items()
        for method, values in rows.items()
        for metric, value in zip(metrics, values, strict=True)
    ]
    found += [
        Published("RWSR-EDL", f"table {table}", "RealSR-Canon", method, "", metric, value, unsaid)
        for table, rows in EDL_ABLATIONS.items()
        for method, values in rows.items()
        for metric, value in zip(metrics, values, strict=True)
        if value is not None
    ]
    found += [
        Published("HR-aware", "table 1", data, method, "", metric, value, _HR_AWARE_NOTE)
        for (data, method), values in _HR_AWARE.items()
        for metric, value in zip(("psnr-y", "ssim", "lpips"), values, strict=True)
    ]
    found += [
        Published("HR-aware", f"table {table}", data, f"RealESRGAN+, {method}", "", metric, value, _HR_AWARE_NOTE)
        for table in ("2", "3", "4")
        for data, rows in HR_AWARE_ABLATIONS[table].items()
        for method, values in rows.items()
        for metric, value in zip(("psnr-y", "ssim", "lpips"), values, strict=True)
        if value is not None
    ]
    note = "PSNR-Y, border = scale, LR by MATLAB's bicubic"
    return found + [
        Published(name, "its paper", "Set5", name, scale, "psnr-y", value, note) for name, scale, value in _SET5
    ]


def published() -> list[Published]:
    """Every figure that is known here."""
    from .cugan_tables import TABLE_1, TABLE_2, member_of

    return [
        *_mm_realsr(),
        *_cugan([member_of(*each) for each in TABLE_1], [member_of(*each) for each in TABLE_2]),
        *_rest(),
    ]


NO_HR = "(no HR)"  # at the end of the name of a set without HR


def beside(data: str, metrics: Sequence[str], protocol: str = "restoration") -> list[Published]:
    """The figures on a set of that name by metrics of those names or of their family (`lpips` beside `lpips-alex`).

    Names are compared word by word: MM-RealSR's "RealSR (Cai et al.)" stands beside any set with the word RealSR, which
    BSRGAN's RealSRSet is not. A set without HR has none: no paper measured it so. CUGAN's stand beside its own settings
    only; all others beside sets of their scale, 4 but for Set5.
    """
    if data.endswith(NO_HR):
        return []
    families = {name.split("-")[0] for name in metrics}
    words = words_of(data)

    def of_scale(each: Published) -> bool:
        return each.paper == "CUGAN" or (each.member if each.member.startswith("x") else "x4") in words

    return [
        each
        for each in published()
        if is_called(data, each.data.partition(" (")[0])
        and (each.metric in metrics or each.metric in families)
        and (each.paper == "CUGAN") == (protocol == "cugan-settings")
        and of_scale(each)
    ]


def of_set(table: str, data: str) -> tuple[str, HrAwareRows]:
    """The rows of an ablation of HR-aware, and the set that they are of: the measured one where the table has it."""
    own = {name: rows for name, rows in HR_AWARE_ABLATIONS[table].items() if is_called(data, name)}
    return next(iter((own or HR_AWARE_ABLATIONS[table]).items()))
