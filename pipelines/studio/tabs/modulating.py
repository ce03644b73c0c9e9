"""What the tab Modulate does, without a page: models opened once, an image, a crop of it under a setting, the whole by
`rwsr restore`'s own code, its command, metrics where there is HR, and curves.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ....degrade.errors import ImageError, UserError
from ....degrade.images.read import read_bytes
from ....degrade.ops.render import apply
from ....degrade.ops.resize import Resize
from ....degrade.progress import progress
from ....eval.images.files import Picture, read_picture
from ....eval.images.restoring import Model, pick_device
from ....eval.images.tensors import to_tensor
from ....eval.images.tiling import Pixels, restore_pixels, tile_of
from ....eval.metrics import ready
from ....eval.metrics.base import Ready
from ....eval.protocols.interpolation import interpolated
from ....train.files.open import Restorer, open_restorer
from ....train.networks.mm_realsr import whole_scores
from ...restore import Restored, restore_files, told_model
from ...sweep import restore_sweep, sweep_of
from ..served import eight_bits

BICUBIC = "bicubic"
MARGIN_PX = 16  # of LR, that a crop is restored with and that is cut away after
CROPS_PX = (32, 64, 128, 256)
_METRICS = ("psnr-y", "ssim-y", "lpips-squeeze")
_CURVE = tuple(i / 10 for i in range(11))


@dataclass(frozen=True)
class Setting:
    """What an image is restored by. blur, noise: scores or a condition from 0 to 1, with two digits; None is the UDEM's
    own. other, alpha: the model that alpha leads to; 0 is the first.
    """

    model: str
    blur: float | None = None
    noise: float | None = None
    other: str | None = None
    alpha: float = 0.0


@dataclass(frozen=True)
class Box:
    """A square of LR pixels."""

    x: int
    y: int
    side: int

    def within(self, height: int, width: int) -> "Box":
        """The nearest that lies in an image; smaller where that is."""
        side = min(self.side, height, width)
        x, y = (min(max(0, at), length - side) for at, length in ((self.x, width), (self.y, height)))
        return Box(x, y, side)


@dataclass
class Opened:
    """A model that is ready, one thread at a time."""

    path: Path
    restorer: Restorer
    lock: Lock = field(default_factory=Lock)

    @property
    def turned_by(self) -> str:
        """What its two sliders are: scores of a UDEM, a condition, or nothing."""
        if self.restorer.modulated is not None:
            return "scores"
        return "condition" if self.restorer.conditioned is not None else ""


@dataclass(frozen=True)
class Shown:
    """An image to look at, and where it lies; hr: of the same place, if it is known."""

    path: Path
    picture: Picture
    hr: Pixels | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.picture.pixels.shape[:2]
        return height, width


@dataclass(frozen=True)
class Whole:
    """A whole image that was written, and the command that writes the same bytes."""

    path: Path
    command: str


class Bench:
    """The models that were named, each opened when it is asked for; what is made of images goes below `out`."""

    def __init__(self, models: Mapping[str, Path], out: Path) -> None:
        self.paths, self.out = dict(models), out
        self._opened: dict[str, Opened] = {}
        self._blends: dict[tuple[str, str], Opened] = {}
        self._scores: dict[tuple[str, str | None, float, Path], tuple[float, float]] = {}
        self._metrics: dict[int, list[Ready]] = {}
        self._lock = Lock()

    # ----------------------------------------------------------------------------------------------- models, images

    def model(self, name: str) -> Opened:
        """A model, opened; raises UserError."""
        with self._lock:
            if name not in self._opened:
                self._opened[name] = Opened(self.paths[name], open_restorer(self.paths[name], pick_device(), name=name))
            return self._opened[name]

    def add(self, name: str, path: Path) -> None:
        """Name another model; raises UserError where it is none."""
        found = Opened(path, open_restorer(path, pick_device(), name=name))
        with self._lock:
            self.paths[name], self._opened[name] = path, found

    def _by(self, setting: Setting) -> Opened:
        """The model of a setting; between two, a network of their own, which gets its weights under its lock.

        Raises:
            UserError: they are not of one network.
        """
        first = self.model(setting.model)
        if setting.other is None:
            return first
        pair = (setting.model, setting.other)
        second = self.model(setting.other)
        with self._lock:
            if pair not in self._blends:
                interpolated(
                    first.restorer.net.state_dict(), second.restorer.net.state_dict(), 0.5
                )  # says what fits not
                self._blends[pair] = Opened(
                    first.path, open_restorer(first.path, pick_device(), name=first.restorer.name)
                )
            return self._blends[pair]

    def _weigh(self, opened: Opened, setting: Setting) -> None:
        """Give a network between two its weights, under its lock."""
        if setting.other is not None:
            first, second = (self.model(each).restorer.net.state_dict() for each in (setting.model, setting.other))
            opened.restorer.net.load_state_dict(interpolated(first, second, setting.alpha))

    def open(self, path: Path, hr: Path | None = None) -> Shown:
        """An image, and its HR; raises UserError, which names the file."""
        return Shown(path, _read(path), None if hr is None else eight_bits(_read(hr).pixels))

    def scale_of(self, setting: Setting) -> int:
        """How many times a setting enlarges; bicubic as the first model does."""
        name = setting.model if setting.model != BICUBIC else next(iter(self.paths), None)
        return 4 if name is None else self.model(name).restorer.scale

    def scores(self, setting: Setting, image: Shown) -> tuple[float, float] | None:
        """The blur and the noise that a model's own UDEM finds in a whole image; None of a model without."""
        if setting.model == BICUBIC:
            return None
        opened = self._by(setting)
        net = opened.restorer.modulated
        if net is None:
            return None
        key = (setting.model, setting.other, setting.alpha, image.path)
        if key not in self._scores:
            with opened.lock:
                self._weigh(opened, setting)
                self._scores[key] = whole_scores(net, image.picture.pixels, tile_of(pick_device()))
        return self._scores[key]

    # --------------------------------------------------------------------------------------------------- a crop of it

    def crop(self, setting: Setting, image: Shown, box: Box) -> Pixels:
        """SR of a square, [s*side, s*side, 3]; what lies around it is seen, as far as the margin goes.

        Raises:
            UserError: the model learns of whole images alone, or two are not of one network.
        """
        pixels = image.picture.pixels
        height, width = image.size
        box = box.within(height, width)
        top, left = max(0, box.y - MARGIN_PX), max(0, box.x - MARGIN_PX)
        bottom, right = min(height, box.y + box.side + MARGIN_PX), min(width, box.x + box.side + MARGIN_PX)
        part = np.ascontiguousarray(pixels[top:bottom, left:right])
        scale = self.scale_of(setting)
        sr = _bicubic(part, scale) if setting.model == BICUBIC else self._restored(setting, image, part)
        y, x = (box.y - top) * scale, (box.x - left) * scale
        return np.ascontiguousarray(sr[y : y + box.side * scale, x : x + box.side * scale])

    def _restored(self, setting: Setting, image: Shown, part: Pixels) -> Pixels:
        opened = self._by(setting)
        restorer = opened.restorer
        if restorer.learning is not None:
            raise UserError(f"{setting.model} learns of a whole image: restore the whole")
        own = self.scores(setting, image) or (0.0, 0.0)
        blur, noise = (
            mine if told is None else told for mine, told in zip(own, (setting.blur, setting.noise), strict=True)
        )
        with opened.lock:
            self._weigh(opened, setting)
            model: Model = restorer.net
            steered = restorer.steered
            if steered is not None:
                model = partial(steered.restore_at, blur=blur, noise=noise)
            return restore_pixels(model, part, restorer.scale, pick_device(), tile_px=0)

    def figures(self, setting: Setting, image: Shown, box: Box, sr: Pixels) -> dict[str, str]:
        """What the metrics say of a crop, as they are printed; nothing without HR of the right size."""
        scale, (height, width) = self.scale_of(setting), image.size
        if image.hr is None or image.hr.shape[:2] != (height * scale, width * scale):
            return {}
        box = box.within(height, width)
        hr = image.hr[box.y * scale : (box.y + box.side) * scale, box.x * scale : (box.x + box.side) * scale]
        return {name: metric.metric.printed(value) for name, (metric, value) in self._measured(scale, sr, hr).items()}

    def _measured(self, scale: int, sr: Pixels, hr: Pixels) -> dict[str, tuple[Ready, float]]:
        with self._lock:
            if scale not in self._metrics:
                self._metrics[scale] = ready(_METRICS, scale=scale, border=None, device=pick_device())[0]
            metrics = self._metrics[scale]
        a, b = (to_tensor(eight_bits(each))[None].to(pick_device()) for each in (sr, hr))
        side = min(sr.shape[:2])
        return {each.name: (each, each.measure(a, b).item()) for each in metrics if side >= each.least_px}

    def curve(
        self, setting: Setting, turned: str, image: Shown, box: Box
    ) -> tuple[list[float], dict[str, list[float]]]:
        """What becomes of a crop while blur, noise or alpha goes from 0 to 1: by each metric where there is HR, else
        how far it is from what it is now, in gray levels.
        """
        now = self.crop(setting, image, box).astype(np.float32)
        found: dict[str, list[float]] = {}
        scale, (height, width) = self.scale_of(setting), image.size
        box = box.within(height, width)
        hr = None
        if image.hr is not None and image.hr.shape[:2] == (height * scale, width * scale):
            hr = image.hr[box.y * scale : (box.y + box.side) * scale, box.x * scale : (box.x + box.side) * scale]
        with progress(f"{turned} from 0 to 1", len(_CURVE)) as advance:
            for value in _CURVE:
                sr = self.crop(replace(setting, **{turned: value}), image, box)
                if hr is None:
                    levels = np.abs(sr.astype(np.float32) - now).mean() * (255 / np.iinfo(sr.dtype).max)
                    found.setdefault("gray levels from now", []).append(float(levels))
                else:
                    for name, (_, figure) in self._measured(scale, sr, hr).items():
                        found.setdefault(name, []).append(figure)
                advance(1, "")
        return list(_CURVE), found

    # -------------------------------------------------------------------------------------------- the whole, and sweeps

    def words(self, setting: Setting, image: Shown, out: Path, turned: str | None = None) -> list[str]:
        """The words of the `rwsr restore` that does the same. turned: what goes from 0 to 1 in eleven steps."""
        told = {name: _said(getattr(setting, name)) for name in ("blur", "noise", "alpha")}
        if turned is not None:
            told[turned] = _STEPS
        named = f"./{image.path}" if str(image.path).startswith("-") else str(image.path)
        words = ["rwsr", "restore", named, "--model", str(self.paths[setting.model])]
        opened = self.model(setting.model)
        if setting.other is not None:
            words += ["--model", str(self.paths[setting.other]), "--alpha", told["alpha"]]
        if opened.turned_by == "condition":
            words += ["--condition", told["blur"], told["noise"]]
        elif opened.turned_by == "scores":
            words += [part for name in ("blur", "noise") if told[name] != _AUTO for part in (f"--{name}", told[name])]
        return [*words, "--out", str(out)]

    def command(self, setting: Setting, image: Shown, out: Path, turned: str | None = None) -> str:
        """The same as one line for a shell."""
        return shlex.join(self.words(setting, image, out, turned))

    def whole(self, setting: Setting, image: Shown) -> Whole:
        """The whole image, written as `rwsr restore` writes it.

        Raises:
            UserError: it cannot be restored, or written.
        """
        if setting.model == BICUBIC:
            raise UserError("bicubic is there to compare with; choose a model")
        out = self.out / "restored" / _folder(setting)
        if setting.other is not None:
            made = self._swept(setting, image, out, (setting.alpha,))[0]
        else:
            told = self._told(setting)
            restorer = told_model(self.paths[setting.model], **told)
            made, left_out = restore_files([image.path], restorer, out, **told)
            if left_out:
                raise UserError(f"{image.path}: {left_out[0].reason}")
        return Whole(made[0].path, self.command(setting, image, out))

    def sweep(self, setting: Setting, image: Shown, turned: str) -> tuple[list[Path], str]:
        """The strip, the GIF and the film of an image while blur, noise or alpha goes from 0 to 1, and the command."""
        out = self.out / "sweeps" / f"{_folder(setting)}-{turned}"
        pictures = self._swept(setting, image, out, tuple(_CURVE), turned)[1]
        return pictures, self.command(setting, image, out, turned)

    def _told(self, setting: Setting) -> dict[str, Any]:
        if self.model(setting.model).turned_by == "condition":
            return {"blur": None, "noise": None, "condition": (setting.blur or 0.0, setting.noise or 0.0)}
        return {"blur": setting.blur, "noise": setting.noise, "condition": None}

    def _swept(
        self, setting: Setting, image: Shown, out: Path, values: tuple[float, ...], turned: str = "alpha"
    ) -> tuple[list[Restored], list[Path]]:
        told = self._told(setting)
        scores = told["condition"] or (told["blur"], told["noise"])
        turns: dict[str, Any] = {"blur": (scores[0],), "noise": (scores[1],)}
        turns["alpha"] = None if setting.other is None else (setting.alpha,)
        turns[turned] = values
        sweep = sweep_of(**turns)
        assert sweep is not None
        restorer = told_model(self.paths[setting.model], **told)
        other = None if setting.other is None else told_model(self.paths[setting.other], **told)
        made, left_out, pictures = restore_sweep([image.path], restorer, other, out, sweep)
        if left_out:
            raise UserError(f"{image.path}: {left_out[0].reason}")
        return made, pictures


_AUTO, _STEPS = "auto", "0:1:11"


def _said(value: float | None) -> str:
    """As `rwsr restore` takes it."""
    return _AUTO if value is None else f"{value:.2f}"


def _folder(setting: Setting) -> str:
    """A name for what is restored under a setting."""
    parts = [setting.model]
    parts += [f"{setting.other}-alpha-{setting.alpha:.2f}"] if setting.other is not None else []
    parts += [f"{name}-{_said(value)}" for name in ("blur", "noise") if (value := getattr(setting, name)) is not None]
    return "-".join("".join(c if c.isalnum() or c in "-_." else "-" for c in part) for part in parts)


def _bicubic(lr: Pixels, scale: int) -> Pixels:
    """By MATLAB's bicubic, of 8 bits."""
    height, width = (side * scale for side in lr.shape[:2])
    return apply(eight_bits(lr), (Resize(height=height, width=width, mode="matlab-bicubic"),))


def _read(path: Path) -> Picture:
    """A picture; raises UserError, which names the file."""
    if not path.is_file():
        why = "is a folder; name an image in it" if path.is_dir() else "does not exist; name an image"
        raise UserError(f"{path} {why}")
    try:
        return read_picture(read_bytes(path))
    except ImageError as error:
        raise UserError(f"{path} {error.reason}") from None
