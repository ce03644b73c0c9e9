"""Items that are measurements of models that the user names: published files, or runs of `rwsr train`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ....degrade.errors import UserError
from .base import Item, Made, Order, finished, measure_into, on_disk

if TYPE_CHECKING:
    from ....eval.images.sets import ImageSet


def pairs_of(order: Order, scale: int) -> "ImageSet":
    """HR with its LR to measure on; LR made by a simulated camera where that is asked for."""
    from ....degrade.images import sources
    from ....degrade.images.listing import IndexConfig
    from ...evaluate import image_set
    from ...executors import runner
    from ..simulated_cameras import CAMERAS, pairs_by

    if order.simulate_camera is None:
        return image_set(None, order.test, order.test_lr, scale)
    assert order.test is not None
    rows = sources.index([order.test], order.out / "test.index.parquet", IndexConfig(role="hr"), runner(order.workers))
    hr, lr = pairs_by(CAMERAS[order.simulate_camera], rows, order.out / "photos", scale)
    return image_set(None, hr, lr, scale)


def scale_of(order: Order) -> int:
    """How many times the named models enlarge; raises UserError where they differ."""
    from ....eval.images.restoring import pick_device
    from ...evaluate import open_alike

    return open_alike(order.models, pick_device())[0].scale


def lpips_and(*others: str) -> tuple[str, ...]:
    """PSNR, SSIM and the paper's LPIPS, or the one that can be had here."""
    from ....eval.metrics import lpips_here

    return (*others, lpips_here())


def measured(item: Item, order: Order, metrics: Sequence[str]) -> Made:
    """The named models on the named images by `restoration`, the printed figures beside them where names agree."""
    from ....eval.protocols.restoration import RestorationOptions

    scale = scale_of(order)
    images, out = pairs_of(order, scale), order.out / "metrics.parquet"
    wanted = tuple(order.metrics) or tuple(metrics)
    measure_into(out, "restoration", images, order.models, RestorationOptions(metrics=wanted))
    said = ["A model stands beside the printed row whose name it is given: --model 'ESRGAN=RRDB_ESRGAN_x4.pth'."]
    if scale != 4 and "CameraSR" not in item.title:
        said.append(f"The models enlarge {scale} times; what is printed is of models that enlarge 4 times.")
    return finished(item, order, metrics=out, said=said)


def timed(item: Item, order: Order) -> Made:
    """Seconds for one image of 300x200, the median of some, and parameters, of each named model."""
    from ....eval.images.restoring import name_of, pick_device
    from ....eval.report.page import Table
    from ....eval.report.published import published
    from ....eval.timing import seconds_of, threads
    from ....train.files.open import open_restorer

    device = pick_device()
    printed = {
        (each.method, each.metric): each.printed
        for each in published()
        if (each.paper, each.table) == ("RWSR-EDL", "table VI")
    }
    lines: list[tuple[str, ...]] = []
    for name, path in order.models.items():
        restorer = open_restorer(path, device, name=name)
        if restorer.conditioned is not None:
            raise UserError(f"{name} needs a condition; the table is of models that need none")
        if restorer.learning is not None:
            raise UserError(f"{name} learns of each image anew, so that it has no time of its own; leave it out")
        seconds = seconds_of(restorer.net, device, height=200, width=300, times=_TIMES)
        parameters = sum(value.numel() for value in restorer.net.parameters())
        beside = [printed.get((name, metric), "") for metric in ("seconds", "parameters")]
        lines.append((name, f"{seconds:.4f}", f"{parameters:,}", *beside))
    table = Table(("model", "seconds", "parameters", "seconds printed", "parameters printed"), tuple(lines))
    said = (
        f"One LR of 300x200 pixels, {_TIMES} times after one that is not counted, the median; on {name_of(device)}, "
        f"with {threads()} threads. The paper says neither its device nor whether 300x200 is LR or HR.",
    )
    told = [f"{line[0]}: {line[1]} s, {line[2]} parameters" for line in lines]
    return finished(item, order, body=[table], said=said, lines=told)


_TIMES = 5


def swept(item: Item, order: Order) -> Made:
    """Photographs under rising scores of a modulated model, noise and blur, as strips and films."""
    from ....eval.report.page import Part, Picture
    from ...restore import told_model
    from ...sweep import restore_sweep, sweep_of

    test, body = on_disk(order.test), list[Part]()
    scores = tuple(i / 5 for i in range(6))
    for name, path in order.models.items():
        for told, blur, noise in (("noise", (None,), scores), ("blur", scores, (None,))):
            restorer = told_model(path, blur=None, noise=None, condition=None)
            if restorer.modulated is None:
                raise UserError(f"{name} takes no scores; name a run of an mm-realsr preset")
            sweep = sweep_of(blur, noise, None)
            assert sweep is not None
            _, _, pictures = restore_sweep([test], restorer, None, order.out / f"{name}-{told}", sweep)
            strips = [each for each in pictures if each.suffix == ".png"]
            body += [Picture(each.read_bytes(), f"{name}, told more {told}; the films lie beside.") for each in strips]
    if not body:
        raise UserError(f"none of the images of {test} could be restored; see the lines above")
    lines = [f"made {order.out / name}-{told}" for name in order.models for told in ("noise", "blur")]
    return finished(item, order, body=body, lines=lines)
