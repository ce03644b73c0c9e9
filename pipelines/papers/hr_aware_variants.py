"""The rows of HR-aware's tables: which network, which objective; and what a run of them needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...degrade.config import compose_values
from .rwsr_edl_variants import plain_name

if TYPE_CHECKING:
    from ...train.methods.hr_aware import FineTuneConfig
    from .items.base import Order

Network = Literal["HR-aware", "LWay", "controller", "FAR", "neither", "VGG-19", "CLIP RN50", "SR model"]
NETWORKS: dict[Network, dict[str, Any]] = {  # keys of the reconstruction network
    "HR-aware": {},
    "LWay": {},
    "controller": {"far": None},
    "FAR": {"controller": None},
    "neither": {"controller": None, "far": None},
    "VGG-19": {"far": {"net": "vgg19"}},
    "CLIP RN50": {"far": {"net": "clip-rn50"}},
    "SR model": {"far": {"net": "sr", "stride": 1}},
}
PRETRAINED, FROZEN = "hr-aware-pretrain", "lway-pretrain-frozen"  # the presets of all but LWay's, and of that
BEFORE = "before"


@dataclass(frozen=True)
class Variant:
    """A row of a table. network: what it is fine-tuned through; none is self-training. changes: of the fine-tuning."""

    name: str
    network: Network | None
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def has_far(self) -> bool:
        return self.network not in (None, "LWay") and NETWORKS[self.network].get("far", True) is not None

    def tuned(self, base: "FineTuneConfig") -> "FineTuneConfig":
        """The fine-tuning's config."""
        from ...train.methods.hr_aware import SELF_TRAINING

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
SRTTA = "SRTTA"
ZERO_SHOT = {"ZSSR": "zssr", "KernelGAN+ZSSR": "kernelgan-zssr"}  # rows that are of no model, and their presets


def rows_of(table: str) -> tuple[str, ...]:
    """The rows that a table makes, beside the models as they were."""
    return (*(each.name for each in TABLES[table]), *((SRTTA, *ZERO_SHOT) if table == "1" else ()))


@dataclass(frozen=True)
class Plan:
    """A table of an order: models, photographs to pretrain on, and images to fine-tune on (LR alone) and measure on.

    each_image: whether the rows of table 1 that learn of each image are made too; figure 9 has no curve of them.
    """

    order: "Order"
    table: str
    each_image: bool = True

    @property
    def out(self) -> Path:
        return self.order.out

    @property
    def models(self) -> Mapping[str, Path]:
        return self.order.models

    @property
    def far_model(self) -> Path | None:
        """What FAR of table 3's first row looks through; none is the model that is fine-tuned."""
        return self.order.far_model

    @property
    def preset(self) -> str:
        return "hr-aware-small" if self.order.small else "hr-aware"

    @property
    def hr_size_px(self) -> int:
        """Of the pairs."""
        return 128 if self.order.small else 400

    @property
    def seeds(self) -> range:
        return range(self.order.seeds)

    @property
    def variants(self) -> tuple[Variant, ...]:
        return tuple(each for each in TABLES[self.table] if self.order.wants(each.name))

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(dict.fromkeys(each.network for each in self.variants if each.network is not None))

    @property
    def adapts(self) -> bool:
        """Whether SRTTA is a row."""
        return self.each_image and self.table == "1" and self.order.wants(SRTTA)

    @property
    def zero_shot(self) -> Mapping[str, str]:
        """The rows that are of no model, and their presets."""
        if not self.each_image or self.table != "1":
            return {}
        return {row: preset for row, preset in ZERO_SHOT.items() if self.order.wants(row)}

    def sized(self, preset: str) -> str:
        """A preset of the order's size."""
        return f"{preset}-small" if self.order.small else preset

    def network_run(self, network: Network, seed: int, model: str) -> Path:
        """Where a reconstruction network is trained; one that looks through the SR model is that model's own."""
        of_model = f"-{plain_name(model)}" if network == "SR model" and self.far_model is None else ""
        return self.out / "reconstructions" / f"{plain_name(network)}{of_model}-{seed}"

    def run(self, model: str, variant: Variant, seed: int) -> Path:
        """Where a model is fine-tuned."""
        return self.out / "runs" / f"{plain_name(model)}-{plain_name(variant.name)}-{seed}"
