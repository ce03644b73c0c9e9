"""The UDEM's scores over rising levels of one degradation at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import pyarrow as pa
import torch
from scipy.stats import spearmanr

from ..degrade import tables
from ..degrade.image import U8
from ..degrade.kernels import Kernel
from ..degrade.places import Place
from ..degrade.provenance import Provenance
from ..degrade.render import apply
from ..degrade.steps import Blur, GaussianNoise, field_key
from .restore import Model
from .tensors import to_tensor

KIND = "score-curves"
Degraded = Literal["blur", "noise"]
DEGRADED: tuple[Degraded, ...] = ("blur", "noise")  # in the order of the scores
_SCHEMA = pa.schema([("degradation", pa.string()), ("level", pa.float64()), ("score", pa.float64())])


@dataclass(frozen=True)
class ScoreCurve:
    """A score over rising levels of one degradation: the mean over the images at each level."""

    degradation: Degraded
    levels: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def spearman(self) -> float:
        """Rank correlation of score and level: 1 when every stronger level scores higher."""
        return float(np.asarray(spearmanr(self.levels, self.scores))[0])


def _made_smaller(photograph: U8) -> U8:
    height, width = photograph.shape[:2]
    return np.asarray(cv2.resize(photograph, (width // 4, height // 4), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _degraded(clean: U8, curve: Degraded, level: float, image: int) -> U8:
    if curve == "blur":
        kernel = Kernel(kind="iso", size=21, sigma_x=level, sigma_y=level)
        return apply(clean, (Blur(kernel=kernel),))
    return apply(clean, (GaussianNoise(sigma_255=level, grey=False, field=field_key(0, "score-curve", image)),))


def score_curve(
    score: Model, photographs: Sequence[U8], curve: Degraded, device: torch.device, *, levels: int = 10
) -> ScoreCurve:
    """The UDEM's score for one degradation alone, at equally spaced levels (MM-RealSR figure 6).

    photographs: HR; each is made 4 times smaller by area averaging, then blurred (sigma 0.2 to 3 px) or given
    Gaussian noise (sigma 1 to 30 of 255). score: [B, 3, h, w] -> [B, 2] (blur, noise).
    """
    low, high = (0.2, 3.0) if curve == "blur" else (1.0, 30.0)
    clean = [_made_smaller(photograph) for photograph in photographs]
    column = DEGRADED.index(curve)
    steps = [float(level) for level in np.linspace(low, high, levels)]
    means: list[float] = []
    for level in steps:
        with torch.inference_mode():
            scores = [
                score(to_tensor(_degraded(image, curve, level, i))[None].to(device))[0, column].item()
                for i, image in enumerate(clean)
            ]
        means.append(sum(scores) / len(scores))
    return ScoreCurve(curve, tuple(steps), tuple(means))


def write(path: Place, curves: Sequence[ScoreCurve], made: Provenance) -> None:
    """The curves as Parquet: one row per degradation and level."""
    rows = [(c.degradation, level, score) for c in curves for level, score in zip(c.levels, c.scores, strict=True)]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)]
    tables.write(path, pa.Table.from_arrays(columns, schema=_SCHEMA), made)


def read(path: Place) -> list[ScoreCurve]:
    """The curves in a table; raises StoreError when it is missing or something else."""
    rows = tables.read(path, KIND)[0].to_pylist()
    return [
        ScoreCurve(
            name,
            tuple(row["level"] for row in rows if row["degradation"] == name),
            tuple(row["score"] for row in rows if row["degradation"] == name),
        )
        for name in DEGRADED
    ]
