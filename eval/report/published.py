"""What the papers print (`published.csv`), to stand beside what was measured, with the conditions of both.

Where a paper contradicts itself or its code, the note says so; such figures are never a target by themselves.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..images.known_sets import is_called, words_of

NO_HR = "(no HR)"  # at the end of the name of a set without HR
Variants = dict[str, tuple[float | None, ...]]  # PSNR, SSIM, LPIPS of each variant of an ablation
_FINE_TUNED = "RealESRGAN+"  # which HR-aware's ablations fine-tune
_OF_NO_MODEL = ("ZSSR", "KernelGAN+ZSSR")  # rows of its table 1


@dataclass(frozen=True)
class Published:
    """A figure of a paper: a method's mean on a set of images. metric: as in `metrics`, where the paper says enough.

    member: the setting, as a report names it; none where there is only one. printed: the value with the paper's digits.
    note: what to know before comparing.
    """

    paper: str
    table: str
    data: str
    method: str
    member: str
    metric: str
    printed: str
    note: str = ""

    @property
    def value(self) -> float:
        return float(self.printed)


@cache
def published() -> tuple[Published, ...]:
    """Every figure of every table of the four papers, and of IMDN's and RLFN's those that can be measured here."""
    text = (files("rwsr.eval.report") / "published.csv").read_text(encoding="utf-8")
    return tuple(Published(*row) for row in csv.reader(text.splitlines()[1:]))


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
        and ("gray" in words) == ("gray" in words_of(each.data))
        and (each.paper == "CUGAN") == (protocol == "cugan")
        and of_scale(each)
    ]


def ablation(paper: str, table: str, model: str = _FINE_TUNED) -> dict[str, Variants]:
    """The figures of a table of an ablation, by the set that they are of and by variant; None is not printed. model: of
    HR-aware's, which is fine-tuned.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for each in published():
        of_model = paper != "HR-aware" or each.method.partition(",")[0] in (model, *_OF_NO_MODEL)
        if (each.paper, each.table) == (paper, f"table {table}") and of_model:
            variant = "before" if each.method == model else each.method.removeprefix(f"{model}, ")
            found.setdefault(each.data, {}).setdefault(variant, {})[each.metric.partition("-")[0]] = each.value
    metrics = ("psnr", "ssim", "lpips")
    return {
        data: {variant: tuple(of.get(name) for name in metrics) for variant, of in variants.items()}
        for data, variants in found.items()
    }


def of_set(table: str, data: str, model: str = _FINE_TUNED) -> tuple[str, Variants]:
    """The rows of an ablation of HR-aware, and the set that they are of: the measured one where the table has it.

    model: which is fine-tuned; of one that the paper has not, RealESRGAN+'s.
    """
    known = {each.method.partition(",")[0] for each in published() if each.paper == "HR-aware"}
    every = ablation("HR-aware", table, model if model in known else _FINE_TUNED)
    own = {name: rows for name, rows in every.items() if is_called(data, name)}
    return next(iter((own or every).items()))
