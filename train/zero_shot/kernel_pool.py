"""A pool of kernels that KernelGAN estimates of photographs, as Impressionism (Ji et al. 2020) makes LR with."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from ...degrade.errors import ImageError, UserError
from ...degrade.images import sources
from ...degrade.images.pixels import U8, encode_png
from ...degrade.images.read import read_source
from ...degrade.images.rows import SourceRow
from ...degrade.progress import printable, progress, say
from ...degrade.recipes.rwsr_edl import KernelInjection
from ...degrade.storage.local import write_atomic
from ...degrade.storage.location import place
from ...eval.images.restoring import pick_device
from ...eval.images.tensors import to_tensor
from .kernelgan import KernelGanConfig, estimated
from .resampling import F64

CONFIG, SHEET = "kernels.yaml", "kernels.png"
_HR_PX = 256  # as RWSR-EDL's
_DIGITS = 6  # of a tap, whose kernel sums up to 1
_MOST = 1000  # kernels of a config
_ENLARGED, _ACROSS, _GAP = 6, 8, 4  # of the sheet


def estimate_kernels(rows: Sequence[SourceRow], out: Path, config: KernelGanConfig) -> int:
    """Write the kernel of scale 2 of each usable image: OUT/NAME.json, and all as OUT/kernels.yaml, a --config of
    `rwsr degrade build`, and OUT/kernels.png to look at. Gives their number.

    Those that are there are left, as an image has the same kernel each time.

    Raises:
        UserError: no image can be used.
    """
    out.mkdir(parents=True, exist_ok=True)
    device, kernels = pick_device(), list[F64]()
    made_by = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    usable = sources.usable(rows)
    with progress("kernels", len(usable)) as advance:
        for row in usable:
            file = out / f"{Path(row.path).stem}-{row.sha256[:8]}.json"
            known = json.loads(file.read_text()) if file.exists() else {}
            if known.get("of") != made_by:
                pixels = read_source(place(row.root), row.path, row.sha256)
                try:
                    kernel = estimated(config, to_tensor(pixels)[None].to(device))
                except ImageError as error:
                    say(f"left out: {printable(row.path)}: {error.reason}")
                    advance(1, "")
                    continue
                known = {"of": made_by, "kernel": (kernel.round(_DIGITS) + 0.0).tolist()}
                write_atomic(file, json.dumps(known).encode())
            kernels.append(np.array(known["kernel"]))
            advance(1, "")
    if not kernels:
        raise UserError("no kernel could be estimated; see the lines above")
    taken = kernels[:: -(-len(kernels) // _MOST)]
    if len(taken) < len(kernels):
        say(f"note: {len(taken)} of the {len(kernels)} kernels, spread evenly, are in {CONFIG}")
    flat = tuple(tuple(float(tap) for tap in kernel.ravel()) for kernel in taken)
    recipe = KernelInjection(kernels=flat, strength=0)
    told = recipe.model_dump(mode="json", include={"kind", "scale", "clean_downscale", "strength"})
    told["kernels"] = [" ".join(f"{tap:.{_DIGITS}g}" for tap in taps) for taps in flat]
    config_of = {"hr_size_px": _HR_PX, "recipe": told}
    write_atomic(out / CONFIG, yaml.safe_dump(config_of, default_flow_style=None, width=120, sort_keys=False).encode())
    write_atomic(out / SHEET, encode_png(sheet(taken)))
    return len(kernels)


def sheet(kernels: Sequence[F64]) -> U8:
    """Kernels beside each other, each as bright as its largest tap allows: [H, W, 3]."""
    side = max(map(len, kernels)) * _ENLARGED + _GAP
    across = min(_ACROSS, len(kernels))
    found = np.full((-(-len(kernels) // across) * side, across * side, 3), 64, np.uint8)
    for number, kernel in enumerate(kernels):
        bright = (np.clip(kernel / kernel.max(), 0, 1) * 255).round().astype(np.uint8)
        tile = bright.repeat(_ENLARGED, 0).repeat(_ENLARGED, 1)[..., None]
        y, x = (place * side for place in divmod(number, across))
        found[y : y + len(tile), x : x + len(tile)] = tile
    return found
