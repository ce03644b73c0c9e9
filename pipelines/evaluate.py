"""The protocols of `eval` on the models and images that a command names."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..degrade.build_store import open_samples
from ..degrade.errors import UserError
from ..degrade.progress import progress, say
from ..degrade.storage import location
from ..degrade.storage.location import Place
from ..eval.images.pairing import ALL, Selection
from ..eval.images.sets import ImageSet, of_folders, of_store
from ..eval.images.tiling import Device, Model, bicubic_model, lanczos_model, pick_device, unchanged
from ..eval.metrics.by_name import DEFAULT, Metric, chosen
from ..eval.metrics.lpips_dists import lpips
from ..eval.protocols import cugan_tables, steering, sweeps, udem_curves
from ..eval.protocols import hr_aware_probes as probes
from ..eval.protocols.restoration import Method, evaluate
from ..eval.report import examples
from ..eval.report import table as report
from ..eval.report.table import MetricRow, setting_of
from ..train.engine.model_file import model_file
from ..train.losses.far import Strength
from ..train.methods.hr_aware_validation import reconstructing
from ..train.networks.cunet import CUnet
from ..train.networks.lr_reconstruction import encoder_for, far_of, open_reconstruction
from ..train.networks.mm_realsr import MMRealSR, scores_of, under_whole_scores
from ..train.networks.open import Restorer, open_restorer

BICUBIC, LANCZOS = "bicubic", "lanczos"
IDENTITY = "degraded"


@dataclass(frozen=True)
class Measured:
    """What a protocol gave: its rows, by name why some metrics could not be measured, and how many images are left out
    since they cannot be read."""

    rows: list[MetricRow]
    skipped: dict[str, str]
    left_out: int = 0


def _begin(out: Place) -> Device:
    """The device to work on, once it is known that the report can be written."""
    report.check(out)
    return pick_device()


def image_set(
    store: Place | None, hr: Place | None, lr: Place | None, scale: int, selection: Selection = ALL
) -> ImageSet:
    """The images of a store, or of folders.

    Raises:
        UserError: neither or both are named, or what is named cannot be used.
    """
    if (store is None) == (hr is None and lr is None):
        raise UserError("name either a --store, or folders: --hr, --lr, or both")
    if store is None:
        return of_folders(hr, lr, scale, selection)
    if selection != ALL:
        raise UserError("--include, --exclude and --name are of folders; leave them out beside --store")
    return of_store(open_samples(store))


def named_models(texts: Sequence[str]) -> dict[str, Path]:
    """NAME=PATH or PATH as models by name.

    Raises:
        UserError: two have one name.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or "/" in name:
            name, path = Path(text).stem, text
        if name in found or name in (BICUBIC, LANCZOS):
            raise UserError(f"two of the models are called {name}; write OTHER={path} for one")
        found[name] = Path(path)
    return found


def open_models(models: Mapping[str, Path], device: Device, scale: int) -> list[Restorer]:
    """The models, ready to restore images of one scale; raises UserError."""
    found = [open_restorer(path, device, name=name) for name, path in models.items()]
    _check_scale(found, scale)
    return found


def open_alike(models: Mapping[str, Path], device: Device) -> list[Restorer]:
    """The models, all of one scale; raises UserError where one cannot be opened, or they differ."""
    found = [open_restorer(path, device, name=name) for name, path in models.items()]
    if len({each.scale for each in found}) > 1:
        said = ", ".join(f"{each.name} {each.scale} times" for each in found)
        raise UserError(f"the models enlarge differently ({said}); name models of one scale")
    return found


def _check_scale(restorers: Sequence[Restorer], scale: int) -> None:
    for each in restorers:
        if each.scale != scale:
            raise UserError(
                f"{each.name} enlarges {each.scale} times, this is for {scale}; name a model of scale {scale}"
            )


def method_of(restorer: Restorer) -> Method:
    """A model as it is; MM-RealSR's goes by its own scores, CUGAN's is told how each image was degraded."""
    told = setting_of({"scores": "udem"}) if restorer.modulated else "{}"
    seen = None if restorer.modulated is None else partial(under_whole_scores, restorer.modulated)
    return Method(restorer.name, restorer.net, restorer.checkpoint, told, restorer.conditioned, seen)


def _baselines(scale: int) -> list[Method]:
    if scale == 1:
        return [Method(IDENTITY, unchanged)]
    return [Method(BICUBIC, bicubic_model(scale)), Method(LANCZOS, lanczos_model(scale))]


def metrics_of(
    names: Sequence[str], images: ImageSet, border: int | None, device: Device
) -> tuple[list[Metric], dict[str, str]]:
    """The metrics that can be measured on a set here; those that cannot are said by name.

    Raises:
        UserError: none can, or one needs HR where there is none.
    """
    found, missing = _ready(tuple(names) or (DEFAULT if images.has_hr else ("niqe",)), images.scale, border, device)
    for metric in found:
        if metric.needs_hr and not images.has_hr:
            raise UserError(f"{metric.name} needs HR, and {images.name} has none; measure niqe, or name --hr")
    return found, missing


def _metrics_to_choose_by(
    by: str, names: Sequence[str], images: ImageSet, device: Device
) -> tuple[list[Metric], dict[str, str]]:
    """Those metrics, and the one that the best is chosen by, which must be among what can be measured."""
    found, missing = metrics_of((*names, by), images, None, device)
    if by in missing:
        raise UserError(f"--by {by} cannot be measured here ({missing[by]}); name another")
    return found, missing


def _ready(names: Sequence[str], scale: int, border: int | None, device: Device) -> tuple[list[Metric], dict[str, str]]:
    found, missing = chosen(names, scale=scale, border=border, device=device)
    for name, reason in missing.items():
        say(f"skipped: {name}: {reason}")
    if not found:
        raise UserError("none of the metrics can be measured here; see the lines above")
    return found, missing


def _collect(title: str, total: int, parts: Iterator[tuple[int, list[MetricRow]]]) -> list[MetricRow]:
    rows: list[MetricRow] = []
    with progress(title, total) as advance:
        for count, found in parts:
            rows += found
            advance(count, "")
    if not rows:
        raise UserError("none of the images could be read; see the lines above")
    _say_what_has_no_value(rows)
    return rows


def _say_what_has_no_value(rows: Sequence[MetricRow]) -> None:
    if all(math.isnan(row.value) and row.metric != "niqe" for row in rows):
        raise UserError("no image is large enough for any of the metrics; lower --border, or name larger images")
    for metric, (without, exact) in report.not_finite(rows).items():
        if without:
            say(f"{metric} has no value for {without} images (too small or flat); its mean is over the others")
        if exact:
            say(f"{metric} is infinite for {exact} images (equal to the bit); its mean is over the others")


def _total(images: ImageSet) -> int:
    return sum(each.count for each in images.items)


def restoration(
    images: ImageSet, models: Mapping[str, Path], names: Sequence[str], border: int | None, out: Place
) -> Measured:
    """Restore every image with every model, and with bicubic and Lanczos, into the report `out`, with examples."""
    device = _begin(out)
    methods = [*_baselines(images.scale), *map(method_of, open_models(models, device, images.scale))]
    metrics, skipped = metrics_of(names, images, border, device)
    rows = _collect("evaluate", _total(images), evaluate(images, methods, metrics, device))
    report.add(out, rows)
    picked = examples.telling(examples.ranked(rows, metrics[0].name, methods[-1].name))
    examples.add(out, examples.cut(images, methods, picked, device), rows)
    return Measured(rows, skipped, _num_left_out(images, rows))


def segmented(images: ImageSet, models: Mapping[str, Path], names: Sequence[str], by: str, out: Place) -> Measured:
    """Restore every image with each model, and find the best for each image by one metric (MM-RealSR table 2)."""
    device = _begin(out)
    methods = [method_of(each) for each in open_models(models, device, images.scale)]
    if len(methods) < 2:
        raise UserError("name two --model or more: the best of them is chosen for each image")
    metrics, skipped = _metrics_to_choose_by(by, names, images, device)
    rows = _collect("evaluate", _total(images), sweeps.segmented(images, methods, metrics, device))
    rows += sweeps.best_of(rows, by, name=f"best of {len(methods)}")
    report.add(out, rows)
    return Measured(rows, skipped, _num_left_out(images, rows))


def _modulated(path: Path, device: Device) -> tuple[Restorer, MMRealSR]:
    found = open_restorer(path, device)
    if found.modulated is None:
        raise UserError(f"{path} has no UDEM that scores images; name a run of an mm-realsr preset")
    return found, found.modulated


def _steered(path: Path, device: Device) -> tuple[Restorer, MMRealSR | CUnet]:
    found = open_restorer(path, device)
    if found.steered is None:
        raise UserError(f"{path} cannot be told how strongly to restore; name a run of an mm-realsr or cugan preset")
    return found, found.steered


def _own_scores(net: MMRealSR | CUnet) -> Model:
    """What a network is told of the dimension that is not swept: the UDEM's score, or nothing of what is not there."""
    return partial(scores_of, net) if isinstance(net, MMRealSR) else (lambda lr: lr.new_zeros(lr.shape[0], 2))


def modulation(images: ImageSet, model: Path, names: Sequence[str], by: str, grid: int, out: Place) -> Measured:
    """Restore every image under each pair of scores of a grid, and find the best pair for each image by one metric."""
    device = _begin(out)
    restorer, net = _steered(model, device)
    _check_scale([restorer], images.scale)
    metrics, skipped = _metrics_to_choose_by(by, names, images, device)
    parts = sweeps.modulation(images, net.restore_at, restorer.name, restorer.checkpoint, metrics, device, grid=grid)
    rows = _collect("modulation", _total(images), parts)
    by_itself = evaluate(images, [method_of(restorer)], metrics, device, protocol=sweeps.MODULATION)
    own = _collect("by its own scores", _total(images), by_itself)
    rows += sweeps.best_of(rows, by, name=f"{restorer.name}, best of {grid * grid}")
    rows += own
    report.add(out, rows)
    return Measured(rows, skipped, _num_left_out(images, rows))


def interpolation(images: ImageSet, a: Path, b: Path, names: Sequence[str], steps: int, out: Place) -> Measured:
    """Restore every image by the networks between two of one kind."""
    device = _begin(out)
    first, second = open_restorer(a, device), open_restorer(b, device)
    _check_scale([first, second], images.scale)
    model_at = sweeps.between(first.net, second.net)
    metrics, skipped = metrics_of(names, images, None, device)
    name, checkpoint = f"{a.stem} to {b.stem}", f"{first.checkpoint[:16]} {second.checkpoint[:16]}"
    told = first.conditioned is not None
    parts = sweeps.interpolation(images, model_at, name, checkpoint, metrics, device, steps=steps, conditioned=told)
    rows = _collect("interpolation", _total(images), parts)
    report.add(out, rows)
    return Measured(rows, skipped, _num_left_out(images, rows))


def _of_each(
    title: str,
    images: ImageSet,
    models: Mapping[str, Path],
    out: Place,
    parts: Callable[[str, Path], Iterator[tuple[int, list[MetricRow]]]],
) -> Measured:
    """The rows of one model after the other."""
    if not models:
        raise UserError("name a --model")
    rows = [row for name in models for row in _collect(f"{title} {name}", _total(images), parts(name, models[name]))]
    report.add(out, rows)
    return Measured(rows, {}, _num_left_out(images, rows))


def udem(images: ImageSet, models: Mapping[str, Path], levels: int, out: Place) -> Measured:
    """The scores of each model over rising levels of each degradation."""
    device = _begin(out)

    def parts(name: str, path: Path) -> Iterator[tuple[int, list[MetricRow]]]:
        restorer, net = _modulated(path, device)
        return udem_curves.evaluate(images, partial(scores_of, net), name, restorer.checkpoint, device, levels=levels)

    return _of_each("scores of", images, models, out, parts)


def steering_by(images: ImageSet, models: Mapping[str, Path], steps: int, out: Place) -> Measured:
    """The noise that each model leaves, and the detail that it shows, under rising scores."""
    device = _begin(out)

    def parts(name: str, path: Path) -> Iterator[tuple[int, list[MetricRow]]]:
        restorer, net = _steered(path, device)
        levels = steering.MIDDLING if isinstance(net, MMRealSR) else steering.STRONGEST
        own = _own_scores(net)
        return steering.evaluate(
            images,
            net.restore_at,
            own,
            name,
            restorer.checkpoint,
            device,
            scale=restorer.scale,
            levels=levels,
            steps=steps,
        )

    return _of_each("steering", images, models, out, parts)


def cugan(images: ImageSet, models: Mapping[str, Path], names: Sequence[str], table: int, out: Place) -> Measured:
    """CUGAN's settings, at scale 1: the degraded images as they are, and restored by each model."""
    device = _begin(out)
    default = ("psnr-rgb",) if table == 2 else ("lpips-alex-cugan", "dists")
    metrics, skipped = _ready(tuple(names) or default, 1, 0, device)
    settings = cugan_tables.TABLE_2 if table == 2 else cugan_tables.TABLE_1
    methods = [*_baselines(1), *map(method_of, open_models(models, device, 1))]
    parts = cugan_tables.evaluate_settings(images, methods, metrics, device, settings=settings)
    rows = _collect("evaluate", _total(images) * len(settings), parts)
    report.add(out, rows)
    return Measured(rows, skipped, _num_left_out(images, rows))


def far_of_runs(images: ImageSet, runs: Mapping[str, Path], far_model: Path | None, out: Place) -> Measured:
    """FAR of HR images and of their degraded versions, by each reconstruction network."""
    device = _begin(out)

    def parts(name: str, path: Path) -> Iterator[tuple[int, list[MetricRow]]]:
        net, model = open_reconstruction(path, device)
        if net.far is None or net.config.far is None:
            raise UserError(f"{path} has no FAR; name a run of hr-aware-pretrain with it")
        encoder = encoder_for(path, net.config.far, model.config.get("far_model"), far_model, device)
        checkpoint = location.sha256(model_file(path))
        value_of = partial(far_of, net, encoder)
        return probes.far(images, probes.degradations(), value_of, name, checkpoint, net.config.far.text, device)

    return _of_each("FAR by", images, runs, out, parts)


def reconstruction(
    images: ImageSet,
    runs: Mapping[str, Path],
    names: Sequence[str],
    steps: int,
    strength: Strength,
    out: Place,
) -> Measured:
    """How well each network reconstructs LR from HR that is more and more like LR."""
    device = _begin(out)
    metrics, skipped = metrics_of(tuple(names) or ("psnr-rgb",), images, 0, device)

    def parts(name: str, path: Path) -> Iterator[tuple[int, list[MetricRow]]]:
        net, _ = open_reconstruction(path, device)
        if net.config.scale != images.scale:
            raise UserError(f"{path} is for scale {net.config.scale}, the images for {images.scale}; set --scale")
        hqi = None if net.config.controller is None else lpips(net.config.controller.hqi).to(device)
        checkpoint = location.sha256(model_file(path))
        again = reconstructing(net, hqi, strength)
        controlled = "no controller" if hqi is None else f"controller around {strength}"
        return probes.reconstruction(images, again, name, checkpoint, controlled, metrics, device, steps=steps)

    found = _of_each("reconstruction by", images, runs, out, parts)
    return Measured(found.rows, skipped, found.left_out)


def _num_left_out(images: ImageSet, rows: Sequence[MetricRow]) -> int:
    return len(set(range(len(images.items))) - {row.sample for row in rows}) + images.num_unreadable
