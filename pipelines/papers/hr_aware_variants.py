"""The rows of HR-aware's tables: which network, which objective; and what a run of them needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...degrade.config import compose_values
from ...degrade.storage.location import Place
from ...train.methods.hr_aware import SELF_TRAINING, FineTuneConfig
from ...train.methods.hr_aware_pretrain import LWAY
from .rwsr_edl_variants import plain_name
from .simulated_cameras import Simulated

Network = Literal["HR-aware", "LWay", "controller", "FAR", "neither", "VGG-19", "CLIP RN50", "SR model"]
NETWORKS: dict[Network, dict[str, Any]] = {  # keys of the reconstruction network
    "HR-aware": {},
    "LWay": dict(LWAY),
    "controller": {"far": None},
    "FAR": {"controller": None},
    "neither": {"controller": None, "far": None},
    "VGG-19": {"far": {"net": "vgg19"}},
    "CLIP RN50": {"far": {"net": "clip-rn50"}},
    "SR model": {"far": {"net": "sr", "stride": 1}},
}
BEFORE = "before"


@dataclass(frozen=True)
class Variant:
    """A row of a table. network: what it is fine-tuned through; none is self-training. changes: of the fine-tuning."""

    name: str
    network: Network | None
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def has_far(self) -> bool:
        return self.network is not None and NETWORKS[self.network].get("far", True) is not None

    def tuned(self, base: FineTuneConfig) -> FineTuneConfig:
        """The fine-tuning's config."""
        if self.network is None:
            return compose_values(base, SELF_TRAINING)
        return compose_values(base, self.changes if self.has_far else {**self.changes, "far": None})


TABLES: dict[str, tuple[Variant, ...]] = {
    "1": (Variant("self-training", None), Variant("LWay", "LWay"), Variant("HR-aware", "HR-aware")),
    "2": (
        Variant("neither", "neither"),
        Variant("controller", "controller"),
        Variant("FAR", "FAR"),
        Variant("both", "HR-aware"),
    ),
    "3": (Variant("SR model", "SR model"), Variant("VGG-19", "VGG-19"), Variant("CLIP RN50", "CLIP RN50")),
    "4": (Variant("1 - HQI", "HR-aware", {"strength": "1-hqi"}), Variant("HQI", "HR-aware")),
}


@dataclass(frozen=True)
class Plan:
    """An adaptation. models: SR models by name. pretrain_on: folders of photographs that pairs are made of. hr, lr: the
    images to fine-tune on (LR alone) and to measure on; simulate_camera: the camera that LR is made of HR by. samples,
    hr_size_px, pairs_sets: of the pairs. pretrain_steps, preset, steps: of the two trainings. pretrain_seeds: of the
    reconstruction networks; where there are fewer than seeds, several fine-tunings go through one. workers: trainings
    at once. far_model: of table 3's first row; none is the model that is fine-tuned. metrics: none is the paper's.
    """

    out: Path
    table: str
    models: Mapping[str, Path]
    pretrain_on: tuple[Place, ...]
    hr: Place
    lr: Place | None
    simulate_camera: Simulated | None
    preset: str
    sets: tuple[str, ...]
    pretrain_sets: tuple[str, ...]
    pairs_sets: tuple[str, ...]
    steps: int | None
    pretrain_steps: int | None
    seeds: int
    pretrain_seeds: int
    samples: int
    hr_size_px: int
    workers: int
    far_model: Path | None = None
    metrics: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[Variant, ...]:
        return TABLES[self.table]

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(dict.fromkeys(each.network for each in self.variants if each.network is not None))

    def network_run(self, network: Network, seed: int, model: str) -> Path:
        """Where a reconstruction network is trained; one that looks through the SR model is that model's own."""
        of_model = f"-{plain_name(model)}" if network == "SR model" and self.far_model is None else ""
        return self.out / "reconstructions" / f"{plain_name(network)}{of_model}-{seed % self.pretrain_seeds}"

    def run(self, model: str, variant: Variant, seed: int) -> Path:
        """Where a model is fine-tuned."""
        return self.out / "runs" / f"{plain_name(model)}-{plain_name(variant.name)}-{seed}"
