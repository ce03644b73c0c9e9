"""RWSR-EDL's tables I, II, IV and V made of photographs: every method of theirs, trained for one camera.

OUT/
    photos/                            with --simulate-camera: the photographs, and the pairs to measure on
    clean.zarr, camera.zarr            bicubic pairs of clean photographs, and of the camera's own
    bank.zarr, injected.zarr           noise of the camera, and pairs that wait for it
    kernels/, by-kernels.zarr          its kernels, and pairs by them
    fssr-lr/, dasr-lr/, fssr.zarr, dasr.zarr    LR by learned downscalings, and pairs of it
    runs/                              the trainings
    metrics.parquet, report.html

The camera's photographs are LR to those that learn of LR (DASR, CinCGAN), and of their own size the source of pairs to
the others, which make them smaller first, as the papers do.
"""

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from ....degrade.config import compose, composed_values, merged
from ....degrade.images import sources
from ....degrade.images.listing import IndexConfig
from ....degrade.pairs.build_pairs import pairs_preset
from ....degrade.recipes.store_config import StoreConfig, store_preset
from ....degrade.storage.location import Place
from ....noisebank.bank import BankConfig
from ....noisebank.tiles import TileGrid
from ...executors import runner
from ...pipeline import Named, make_all
from ...stages.base import Ref, Work
from ...stages.images import Bank
from ...stages.pairs import MakePairs, Pairs
from ...stages.store import Store
from ...stages.train import Train, photographs_of
from ..parallel_training import telling, train_all
from ..simulated_cameras import CAMERAS, by_one_camera, written
from .base import PAIRS, Order, stage

SCALE = 4
ROWS: Mapping[str, tuple[str, ...]] = {  # the methods of each table that are trained or that learn of each image
    "I": ("ESRGAN", "ZSSR", "CinCGAN", "FSSR", "Impressionism", "FASRGAN", "DASR", "RWSR-EDL"),
    "II": ("ESRGAN", "ZSSR", "CinCGAN", "FSSR", "DASR", "RWSR-EDL"),
    "IV": ("ESRGAN", "ZSSR", "CinCGAN", "FSSR", "Impressionism", "DASR", "RWSR-EDL"),
    "V": ("EDSR", "ESRGAN", "ZSSR", "KernelGAN", "Impressionism", "FASRGAN", "RWSR-EDL"),
}
_BY_KERNELS = ("I",)  # Impressionism's second track; its first is of the challenges, tables IV and V
TRAINED: Mapping[str, tuple[str, ...]] = {  # the presets of each row, with what it starts from
    "EDSR": ("psnr",),
    "ESRGAN": ("esrgan-psnr", "esrgan"),
    "ZSSR": (),
    "KernelGAN": (),
    "CinCGAN": ("psnr", "cincgan-inner", "cincgan"),
    "FSSR": ("esrgan-psnr", "esrgan", "fssr-downscaling", "fssr"),
    "Impressionism": ("esrgan-psnr", "impressionism"),
    "FASRGAN": ("esrgan-psnr", "fasrgan"),
    "DASR": ("dasr-downscaling", "dasr"),
    "RWSR-EDL": ("esrgan-psnr", "rwsr-edl"),
}
ZERO_SHOT = {"ZSSR": "zssr", "KernelGAN": "kernelgan-zssr"}
_EDSR_SMALL = ("network.num_feat=24", "network.num_block=4", "network.img_range=1")
_QUICK = ("loop.batch_size=8", "loop.lr_patch_px=32", "loop.learning_rate=0.0005", "loop.ema_decay=0.99")
_PLAIN = ("network.modulated=false", "losses.ranking=0", "losses.anchor=0")  # of MM-RealSR's small presets


def presets_of(table: str) -> dict[str, int]:
    """The trainings of a table at the paper's size, each once."""
    found = dict.fromkeys((preset for row in ROWS[table] for preset in TRAINED[row]), 1)
    if table in _BY_KERNELS:
        return {("impressionism-dped" if name == "impressionism" else name): 1 for name in found}
    return found


def trained(order: Order, table: str) -> dict[str, Path]:
    """Train the rows of a table that the order wants, and give their runs.

    Raises:
        UserError: photographs to measure on are among those to train on, or a stage failed.
    """
    rows = [row for row in ROWS[table] if order.wants(row)]
    order.out.mkdir(parents=True, exist_ok=True)
    camera = _camera(order)
    graph = _Graph(order, camera, table, rows)
    graph.make({row: graph.runs[row] for row in rows if row in graph.runs})
    return {row: graph.runs.get(row) or _zero_shot(order, row) for row in rows}


def _camera(order: Order) -> tuple[Place, ...]:
    """Folders of the camera's photographs: as named, or spoilt as the test's LR is; raises UserError where what is
    measured on is trained on too.
    """
    run, clean = runner(order.workers), IndexConfig(role="hr")
    own = clean if order.simulate_camera else IndexConfig(role="lr")
    target = sources.index(order.target, order.out / "target.index.parquet", own, run)
    photos = sources.index(order.photos, order.out / "photos.index.parquet", clean, run)
    assert order.test is not None
    test = sources.index([order.test], order.out / "test.index.parquet", clean, run)
    sources.check_apart([*target, *photos], test)
    if order.simulate_camera is None:
        return order.target
    sources.name_left_out(target)
    camera = CAMERAS[order.simulate_camera]
    folder = order.out / "photos/target"
    return (
        written(target, folder, "photographs of the camera", lambda pixels, key: by_one_camera(pixels, key, camera)),
    )


def _zero_shot(order: Order, row: str) -> Path:
    """A run of what learns of each image when it restores it."""
    from ....train.zero_shot.presets import zero_shot

    preset = ZERO_SHOT[row]
    out, sets = order.out / "runs" / preset, order.sets_of(preset, alone=True)
    zero_shot(f"{preset}-small" if order.small else preset, out, scale=SCALE, sets=sets)
    return out


class _Graph:
    """What rows are made of: stages by their places, of which only those that are wanted are made."""

    def __init__(self, order: Order, camera: Sequence[Place], table: str, rows: Sequence[str]) -> None:
        self.order, self.camera = order, tuple(camera)
        self.stages: dict[Path, Named] = {}
        self.runs: dict[str, Path] = {}
        self._of_bicubic()
        self._of_learned_downscaling()
        self._of_noise(by_kernels=table in _BY_KERNELS and "Impressionism" in rows)

    # ------------------------------------------------------------------------------------------------- what there is

    def _of_bicubic(self) -> None:
        """Those that know clean LR alone: EDSR, ESRGAN, FASRGAN; and CinCGAN, whose EDSR does."""
        order = self.order
        clean = self.clean = self._store("clean", store_preset("bicubic"), 160 if order.small else 400, order.photos)
        edsr = ("network.arch=edsr", *(_EDSR_SMALL if order.small else ()))
        quick = (*_QUICK, "loop.steps=1500") if order.small else ()
        self.runs["EDSR"] = self._train(
            "edsr", stage(order, "psnr-fp32" if order.small else "psnr", clean, *edsr, *quick, part="psnr")
        )
        self.psnr = self._train("esrgan-psnr", self._plain("esrgan-psnr", "mm-realsr-small", clean))
        self.runs["ESRGAN"] = self._train(
            "esrgan", self._plain("esrgan", "mm-realsr-small-gan", clean, start_from=self.psnr)
        )
        self.runs["FASRGAN"] = self._train("fasrgan", self._stage("fasrgan", clean, start_from=self.psnr))
        camera = {"photographs": self.camera}
        inner = self._train(
            "cincgan-inner", self._stage("cincgan-inner", clean, start_from=self.runs["EDSR"], **camera)
        )
        self.runs["CinCGAN"] = self._train("cincgan", self._stage("cincgan", clean, start_from=inner, **camera))

    def _of_learned_downscaling(self) -> None:
        """FSSR, of the camera's photographs alone; and DASR, of clean ones made alike to them."""
        order = self.order
        camera = self._store("camera", store_preset("bicubic"), 128 if order.small else 512, self.camera, role="lr")
        fssr = self._train("fssr-downscaling", self._stage("fssr-downscaling", camera))
        pairs = self._made_pairs("fssr", fssr, self.camera, clean_up=2, role="lr")
        self.runs["FSSR"] = self._train("fssr", self._stage("fssr", pairs, start_from=self.runs["ESRGAN"]))
        photographs = {"photographs": self.camera}
        dasr = self._train("dasr-downscaling", self._stage("dasr-downscaling", self.clean, **photographs))
        pairs = self._made_pairs("dasr", dasr, order.photos, clean_up=1, role="hr")
        self.runs["DASR"] = self._train("dasr", self._stage("dasr", pairs, downscaling=dasr, **photographs))

    def _of_noise(self, *, by_kernels: bool) -> None:
        """RWSR-EDL and Impressionism: noise of the camera on clean LR, which is made by its kernels for the latter."""
        order, tile = self.order, 64 if self.order.small else 256
        grid = compose(BankConfig(grid=TileGrid(size=tile, stride=tile)), sets=order.sets_of("bank", alone=True))
        bank = self._put("bank.zarr", Bank(target=self.camera, config=grid, images=IndexConfig(role="lr")))
        injected = self._store(
            "injected", store_preset("rwsr-edl-noisefree"), 128, self.camera, role="lr", clean=order.photos
        )
        given = {"noise": bank, "start_from": self.psnr}
        self.runs["RWSR-EDL"] = self._train("rwsr-edl", self._stage("rwsr-edl", injected, **given))
        data, paper = injected, "impressionism"
        if by_kernels:
            paper = "impressionism-dped"
            data = self._store("by-kernels", self._kernels(), 128 if order.small else 256, self.camera, role="lr")
        small = ("network.branches=none",)
        run = (
            stage(order, "rwsr-edl-small", data, *small, part=paper, **given)
            if order.small
            else self._stage(paper, data, **given)
        )
        self.runs["Impressionism"] = self._train("impressionism", run)

    def _kernels(self) -> StoreConfig:
        """Pairs by the kernels of the camera's photographs, which KernelGAN estimates now."""
        from ....train.zero_shot.kernel_pool import CONFIG, estimate_kernels
        from ....train.zero_shot.presets import kernelgan_of
        from ...stages.base import Given

        out, order = self.order.out / "kernels", self.order
        out.mkdir(parents=True, exist_ok=True)
        rows = photographs_of(self.camera, Given({}), out / "index.parquet", runner(order.workers))
        config = kernelgan_of(small=order.small, sets=order.sets_of("kernels", alone=True))
        estimate_kernels(rows, out, config)
        return StoreConfig.model_validate({"num_samples": 1, **composed_values(out / CONFIG, ())})

    # ------------------------------------------------------------------------------------------------------ its parts

    def _put(self, name: str, stage: Any) -> Path:
        at = self.order.out / name
        self.stages[at] = Named(name, stage, name)
        return at

    def _store(
        self, name: str, preset: StoreConfig, hr_px: int, source: Sequence[Place], *, role: Any = "hr", **inputs: Any
    ) -> Path:
        config = compose(preset, num_samples=self.order.samples_or(50_000), hr_size_px=hr_px)
        config = compose(config, sets=self.order.sets_of(PAIRS, alone=True))
        stage = Store.of(config, source=tuple(source), images=IndexConfig(role=role), **inputs)
        return self._put(f"{name}.zarr", stage)

    def _made_pairs(self, name: str, by: Path, source: Sequence[Place], *, clean_up: int, role: Any) -> Path:
        order = self.order
        images = IndexConfig(role=role, min_side_px=1)
        made = self._put(f"{name}-lr", MakePairs(source=tuple(source), by=by, clean_up=clean_up, images=images))
        size = 144 if order.small else pairs_preset(SCALE).hr_size_px
        config = {"num_samples": order.samples_or(50_000), "hr_size_px": size}
        values = merged(config, composed_values(None, order.sets_of(PAIRS, alone=True)))
        return self._put(f"{name}.zarr", Pairs(source=(made,), scale=SCALE, config=values))

    def _train(self, name: str, stage: Train) -> Path:
        return self._put(f"runs/{name}", stage)

    def _stage(self, preset: str, data: Ref, **inputs: Any) -> Train:
        return stage(self.order, f"{preset}-small" if self.order.small else preset, data, part=preset, **inputs)

    def _plain(self, paper: str, small: str, data: Ref, **inputs: Any) -> Train:
        if self.order.small:
            return stage(self.order, small, data, *_PLAIN, part=paper, **inputs)
        return stage(self.order, paper, data, **inputs)

    # -------------------------------------------------------------------------------------------------- carried out

    def make(self, wanted: Mapping[str, Path]) -> None:
        """Make what is wanted and what it hangs on: data one after the other, trainings side by side."""
        order = self.order
        runs = order.out / "runs"
        sorter = TopologicalSorter(self._needs(list(wanted.values())))
        sorter.prepare()
        while sorter.is_active():
            ready = sorter.get_ready()
            stages = [self.stages[at] for at in sorted(ready)]
            data = [each for each in stages if not isinstance(each.stage, Train)]
            make_all(data, order.out, runs, Work(workers=order.workers), telling)
            trainings = [each for each in stages if isinstance(each.stage, Train)]
            if trainings:
                train_all(trainings, order.out, {}, order.workers)
            sorter.done(*ready)

    def _needs(self, wanted: Sequence[Path]) -> dict[Path, list[Path]]:
        found: dict[Path, list[Path]] = {}
        waiting = [*wanted]
        while waiting:
            at = waiting.pop()
            if at not in found:
                refs = map(Path, map(str, self.stages[at].stage.inputs()))
                found[at] = [ref for ref in refs if ref in self.stages]
                waiting += found[at]
        return found
