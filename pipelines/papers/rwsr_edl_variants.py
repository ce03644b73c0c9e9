"""The rows of RWSR-EDL's ablation tables, each a change of the data or of the training's config."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    pass


Data = Literal["target", "mixed", "ngdc"]


def plain_name(text: str) -> str:
    """A name for a folder."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")


@dataclass(frozen=True)
class Variant:
    """A row of a table. data: the target set alone, with all of the auxiliary sets, or with what NGDC takes of them.
    noise: whether LR gets noise of a bank. changes: keys of the training's config.
    """

    name: str
    data: Data = "ngdc"
    noise: bool = True
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def run(self, seed: int) -> str:
        """The name of a training."""
        return f"{plain_name(self.name)}-{seed}"


def losses_of(**changed: Any) -> dict[str, Any]:
    return {"losses": changed}


def branches_of(which: str) -> dict[str, Any]:
    return {"network": {"branches": which}}


OFF = {"weight": 0}
_LR_32 = {"loop": {"lr_patch_px": 32}}
TABLES: dict[str, tuple[Variant, ...]] = {  # VII and VIII are of the target alone: their best is IX's "injection"
    "VII": (
        Variant("single branch", "target", changes=branches_of("single")),
        Variant("dual without mask", "target", changes=branches_of("dual")),
        Variant("dual with mask", "target", changes=branches_of("masked")),
    ),
    "VIII": (
        Variant("VGG-128", "target", changes=losses_of(gan={"discriminator": "vgg128"}) | _LR_32),
        Variant("Patch-D", "target", changes=losses_of(gan={"discriminator": "patch"}) | _LR_32),
    ),
    "IX": (
        Variant("no injection", "target", noise=False),
        Variant("injection", "target"),
        Variant("auxiliary without NGDC", "mixed"),
        Variant("auxiliary with NGDC", "ngdc"),
    ),
    "X": (  # the pixel loss alone looks at the sum: nothing else would train half of it
        Variant("weighted sum", changes=losses_of(exclusive=False)),
        Variant("pixel", changes=losses_of(exclusive=False, perceptual=OFF, gan=OFF)),
        Variant("pixel and perceptual", changes=losses_of(gan=OFF)),
        Variant("pixel and adversarial", changes=losses_of(perceptual=OFF)),
        Variant("all", changes={}),
    ),
}
