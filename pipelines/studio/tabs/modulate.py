"""The tab Modulate: an image under models and settings beside each other, turned while one looks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from ....degrade.errors import UserError
from ....eval.protocols.cugan_tables import MOST_BLUR, MOST_NOISE
from ...restore import images_of
from ..compare import Compare
from ..served import SERVED, quick_png
from ..work import Newest, quickly, told
from .common import Desk, Slider, fail, line_chart, saved_upload
from .modulating import BICUBIC, CROPS_PX, Bench, Box, Setting, Shown

if TYPE_CHECKING:
    from ..server import Studio

_MOST_VIEWS = 4
_TURNED = ("blur", "noise", "alpha")
_CONDITION = {"blur": ("r", MOST_BLUR), "noise": ("sigma", MOST_NOISE)}  # what a condition of 1 is


def draw(studio: "Studio") -> None:
    """The tab, for one visitor."""
    _Tab(studio)


class _Tab:
    """What one visitor looks at: an image, a place in it, and views of that."""

    def __init__(self, studio: "Studio") -> None:
        self.studio: Studio = studio
        self.bench: Bench = studio.kept.setdefault("bench", Bench(studio.models, studio.out))
        self.images = _listed(studio.images)
        self.image: Shown | None = None
        self.box = Box(0, 0, 64)
        self.views: list[_View] = []
        with ui.element("div").classes("rwsr-two"):
            with ui.column().classes("gap-2 w-full"):
                self._draw_image()
            with ui.column().classes("gap-2 w-full"):
                with ui.row().classes("items-center gap-2"):
                    ui.button("Another view", icon="add", on_click=self.add_view).props("outline dense").classes(
                        "at-add-view"
                    )
                    ui.label("wheel: zoom · drag: move · + - 0 and arrows by key").classes("text-xs opacity-70")
                self.frame = ui.element("div").classes("rwsr-views")
        self.add_view()
        if self.images:
            ui.timer(0.05, lambda: self.open(self.images[0]), once=True)

    # ---------------------------------------------------------------------------------------------------- the image

    def _draw_image(self) -> None:
        if self.images:
            names = {str(path): path.name for path in self.images}
            chosen = ui.select(names, value=str(self.images[0]), label="Image")
            chosen.on_value_change(lambda e: self.open(Path(e.value))).classes("w-full").props("dense").classes(
                "at-image"
            )
        if self.studio.at_home:
            with ui.row().classes("w-full no-wrap items-center gap-1"):
                path = ui.input("Path of an image").classes("grow").props("dense").classes("at-path")
                path.on("keydown.enter", lambda: self.open(Path(path.value or "")))
                hr = ui.input("and of its HR").classes("grow").props("dense").classes("at-hr")
                hr.on("keydown.enter", lambda: self.open_hr(hr.value or ""))
        upload = ui.upload(label="or drop an image here", auto_upload=True, max_files=1, on_upload=self._uploaded)
        upload.classes("w-full").props("flat bordered dense").classes("at-upload")
        self.upload = upload
        self.thumb = ui.interactive_image(cross=False, on_mouse=self._clicked, events=["mousedown", "mousemove"])
        self.thumb.classes("w-full cursor-crosshair at-thumb")
        sides = {px: f"{px} px" for px in CROPS_PX}
        with ui.row().classes("items-center gap-2"):
            ui.label("crop of LR").classes("text-sm")
            ui.toggle(sides, value=self.box.side, on_change=lambda e: self._resize(e.value)).props("dense").classes(
                "at-side"
            )
        self.about = ui.label().classes("text-xs opacity-70").classes("at-about")

    async def _uploaded(self, event: events.UploadEventArguments) -> None:
        path = await saved_upload(event, self.studio.out)
        self.upload.reset()
        await self.open(path)

    async def open(self, path: Path, hr: Path | None = None) -> None:
        """Look at an image; one that cannot be read is named, and the one before stays."""
        try:
            image = await quickly(lambda: self.bench.open(path, hr))
        except Exception as error:  # whatever a file holds, the page lives on
            fail(told(error))
            return
        same = self.image is not None and self.image.path == path
        self.image = image
        height, width = image.size
        if not same:
            self.box = Box((width - self.box.side) // 2, (height - self.box.side) // 2, self.box.side)
        self.thumb.set_source(SERVED.put(quick_png(_small(image.picture.pixels))))
        said = "" if image.hr is None else f", with HR of {image.hr.shape[1]}x{image.hr.shape[0]}"
        self.about.set_text(f"{path.name}, {width}x{height}{said}")
        self._show_box()
        for view in self.views:
            await view.renew()

    async def open_hr(self, text: str) -> None:
        """Look at the same image with its HR."""
        if self.image is not None:
            await self.open(self.image.path, Path(text) if text.strip() else None)

    async def _clicked(self, event: events.MouseEventArguments) -> None:
        if self.image is None or (event.type == "mousemove" and not event.buttons & 1):
            return
        height, width = self.image.size
        ratio = max(1.0, max(height, width) / _THUMB_PX)
        half = self.box.side / 2
        self.box = Box(round(event.image_x * ratio - half), round(event.image_y * ratio - half), self.box.side)
        await self._moved()

    async def _resize(self, side: int) -> None:
        middle_x, middle_y = self.box.x + self.box.side // 2, self.box.y + self.box.side // 2
        self.box = Box(middle_x - side // 2, middle_y - side // 2, side)
        await self._moved()

    async def _moved(self) -> None:
        self._show_box()
        await asyncio.gather(*(view.show() for view in self.views))

    def _show_box(self) -> None:
        assert self.image is not None
        height, width = self.image.size
        self.box = self.box.within(height, width) if self.box.side <= min(height, width) else self.box
        box, ratio = self.box.within(height, width), max(1.0, max(height, width) / _THUMB_PX)
        x, y, side = (value / ratio for value in (box.x, box.y, box.side))
        self.thumb.set_content(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" fill="none" stroke="#fff" '
            f'stroke-width="2" /><rect x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" fill="none" '
            'stroke="#000" stroke-width="2" stroke-dasharray="5 5" />'
        )

    # ---------------------------------------------------------------------------------------------------------- views

    def add_view(self) -> None:
        """Another model or setting beside the others, as the last one is."""
        if len(self.views) == _MOST_VIEWS:
            fail(f"{_MOST_VIEWS} views are the most; remove one")
            return
        last = self.views[-1].setting if self.views else Setting(next(iter(self.bench.paths), BICUBIC))
        with self.frame:
            self.views.append(_View(self, last))

    def remove(self, view: "_View") -> None:
        if len(self.views) > 1:
            self.views.remove(view)
            view.card.delete()


class _View:
    """One card: a model under a setting, its crop on top of LR, and what can be done with it."""

    def __init__(self, tab: _Tab, setting: Setting) -> None:
        self.tab, self.setting = tab, setting
        self._newest = Newest(self._show)
        self.card = ui.card().classes("w-full gap-2 p-3").classes("at-view")
        with self.card:
            self._draw()
        ui.timer(0.05, self.renew, once=True)

    def _draw(self) -> None:
        bench = self.tab.bench
        with ui.row().classes("w-full no-wrap items-center gap-1"):
            names = [*bench.paths, BICUBIC]
            self.model = ui.select(names, value=self.setting.model, label="Model", on_change=self._chosen)
            self.model.classes("grow").props("dense").classes("at-model")
            self.other = ui.select(["", *bench.paths], value="", label="alpha leads to", on_change=self._chosen)
            self.other.classes("grow").props("dense").classes("at-other")
            ui.button(icon="close", on_click=lambda: self.tab.remove(self)).props("flat round dense").tooltip("remove")
        self.compare = Compare("LR, bicubic", self.setting.model).classes("at-compare")
        self.line = ui.label().classes("text-xs").classes("at-figures")
        self.sliders = {name: self._slider(name) for name in _TURNED}
        with ui.row().classes("gap-1 items-center"):
            for name, icon, does in (
                ("Whole", "fullscreen", self.whole),
                ("Command", "terminal", self.command),
                ("Curve", "show_chart", self.curve),
                ("Sweep", "movie", self.sweep),
            ):
                ui.button(name, icon=icon, on_click=does).props("outline dense size=sm").classes(f"at-{name.lower()}")
            self.turned = ui.select(["noise", "blur"], value="noise").props("dense borderless").classes("at-turned")
        self.made = Desk(ui.column().classes("w-full gap-1 at-made"))

    def _slider(self, name: str) -> "_Slider":
        return _Slider(name, lambda: self._slid())

    # ------------------------------------------------------------------------------------------------ what it is set to

    async def _chosen(self) -> None:
        self.setting = Setting(self.model.value, other=self.other.value or None)
        await self.renew()

    async def _slid(self) -> None:
        values: dict[str, Any] = {name: each.value for name, each in self.sliders.items()}
        self.setting = replace(self.setting, **{**values, "alpha": values["alpha"] or 0.0})
        await self.show()

    async def renew(self) -> None:
        """After another model or image: which sliders there are, and where its own scores lie."""
        image, setting, bench = self.tab.image, self.setting, self.tab.bench
        kind = ""
        try:
            if setting.model != BICUBIC:
                kind = (await quickly(lambda: bench.model(setting.model))).turned_by
            own = None if image is None else await quickly(lambda: bench.scores(setting, image))
        except Exception as error:
            fail(told(error))
            self.compare.label("LR, bicubic", setting.model)
            self.compare.show(None, None, 1)
            self.line.set_text(told(error))
            return
        if kind == "condition" and setting.blur is None:
            self.setting = setting = replace(setting, blur=0.0, noise=0.0)
        for name, mine in zip(("blur", "noise"), own or (None, None), strict=True):
            told_of = kind == "condition"
            value, auto = getattr(setting, name), kind == "scores"
            self.sliders[name].set(visible=bool(kind), own=mine, auto=auto, value=value, condition=told_of)
        self.sliders["alpha"].set(visible=setting.other is not None, own=None, auto=False, value=setting.alpha)
        turned = [name for name, each in self.sliders.items() if each.visible]
        self.turned.set_options(
            turned, value=self.turned.value if self.turned.value in turned else next(iter(turned), None)
        )
        self.compare.label("LR, bicubic", setting.model)
        await self.show()

    async def show(self) -> None:
        """The crop under the setting; while one is under way, the newest waits and all between are left out."""
        await self._newest()

    async def _show(self) -> None:
        image, setting, box, bench = self.tab.image, self.setting, self.tab.box, self.tab.bench
        if image is None:
            return

        def made() -> tuple[bytes, bytes, dict[str, str], float]:
            began = perf_counter()
            sr = bench.crop(setting, image, box)
            seconds = perf_counter() - began
            lr = bench.crop(Setting(BICUBIC), image, box) if setting.model != BICUBIC else sr
            return quick_png(lr), quick_png(sr), bench.figures(setting, image, box, sr), seconds

        try:
            lr, sr, figures, seconds = await quickly(made)
        except Exception as error:
            self.compare.show(None, None, 1)
            self.line.set_text(told(error))
            return
        self.compare.show(SERVED.put(lr), SERVED.put(sr), 1)
        told_figures = ", ".join(f"{name} {value}" for name, value in figures.items())
        if image.hr is not None and not figures:
            told_figures = f"HR is not {bench.scale_of(setting)} times as large: no metrics"
        self.line.set_text(f"{1000 * seconds:.0f} ms" + (f" · {told_figures}" if told_figures else ""))

    # ------------------------------------------------------------------------------------------------- what it can do

    async def command(self) -> None:
        """Show the line that makes the same of the whole image."""
        image = self.tab.image
        if image is None or self.setting.model == BICUBIC:
            fail("choose an image and a model")
            return
        if not self.made.is_free:
            return
        command = self.tab.bench.command(self.setting, image, Path("restored"))
        self.made.command(command)

    async def whole(self) -> None:
        """Restore the whole image, and look at it."""
        image, setting = self.tab.image, self.setting
        if image is None:
            fail("choose an image first")
            return
        made = await self.made.work("restore the whole", lambda: self.tab.bench.whole(setting, image))
        if made is not None:
            address = SERVED.put(made.path.read_bytes())
            self.made.command(made.command)
            with self.made.box:
                ui.label(f"wrote {made.path}").classes("text-xs").classes("at-wrote")
                with ui.link(target=address, new_tab=True):
                    ui.image(address).classes("w-full").classes("at-restored")

    async def sweep(self) -> None:
        """A strip, a GIF and a film while one number goes from 0 to 1."""
        image, setting, turned = self.tab.image, self.setting, self.turned.value
        if image is None or turned is None:
            fail("choose an image, and a model with something to turn")
            return
        made = await self.made.work(f"turn {turned}", lambda: self.tab.bench.sweep(setting, image, turned))
        if made is not None:
            pictures, command = made
            self.made.command(command)
            with self.made.box:
                for path in pictures:
                    address = SERVED.put(path.read_bytes(), path.suffix)
                    if path.suffix == ".mp4":
                        ui.video(address, loop=True).classes("w-full").classes("at-film")
                    else:
                        ui.image(address).classes("w-full").classes(f"at-{path.suffix[1:]}")
                    ui.label(f"wrote {path}").classes("text-xs")

    async def curve(self) -> None:
        """What the metrics of the crop do while one number goes from 0 to 1."""
        image, setting, turned, box = self.tab.image, self.setting, self.turned.value, self.tab.box
        if image is None or turned is None:
            fail("choose an image, and a model with something to turn")
            return
        made = await self.made.work(f"turn {turned}", lambda: self.tab.bench.curve(setting, turned, image, box))
        if made is None:
            return
        values, found = made
        own = self.sliders[turned].own
        with self.made.box:
            for name, figures in found.items():
                line_chart(name, turned, values, {name: figures}, {} if own is None else {"UDEM": own})


class _Slider:
    """A number from 0 to 1 with two digits, or the model's own, which is marked."""

    def __init__(self, name: str, moved: Callable[[], Awaitable[None]]) -> None:
        self.name, self._moved, self.visible = name, moved, False
        self.own: float | None = None
        self.condition = False
        self._quiet = False  # while it is set by its code, and by no hand
        self.row = ui.row().classes("w-full no-wrap items-center gap-2")
        self.row.set_visibility(False)
        with self.row:
            self.text = ui.label(name).classes("w-36 text-sm")
            self.slider = (
                Slider(min=0, max=1, step=0.01, value=0).props("label").classes("grow").classes(f"at-{name}-slider")
            )
            self.slider.on_value_change(self._turned)
            self.auto = (
                ui.checkbox("auto", value=True, on_change=self._switched).props("dense").classes(f"at-{name}-auto")
            )

    @property
    def value(self) -> float | None:
        """What it is set to; None is the model's own."""
        if not self.visible or (self.auto.visible and self.auto.value):
            return None
        return self.at

    @property
    def at(self) -> float:
        """Where the slider stands."""
        return round(float(self.slider.value or 0), 2)

    def set(
        self, *, visible: bool, own: float | None, auto: bool, value: float | None, condition: bool = False
    ) -> None:
        """After another model or image. condition: it is a share of CUGAN's r or sigma."""
        self.visible, self.own, self.condition = visible, own, condition
        self._quiet = True
        self.row.set_visibility(visible)
        self.auto.set_visibility(auto)
        self.auto.value = auto and value is None
        self.slider.value = round(own or 0.0, 2) if value is None else value
        marks = f'[{{value: {own:.2f}, label: "UDEM {own:.2f}"}}]' if own is not None else "[]"
        self.slider.props(f":marker-labels='{marks}'")
        self._quiet = False
        self._say()

    def _say(self) -> None:
        word, most = _CONDITION.get(self.name, ("", 0)) if self.condition else ("", 0)
        self.text.set_text(f"{self.name} {self.at:.2f}" + (f" ({word} {most * self.at:g})" if word else ""))

    def _turned(self) -> Awaitable[None] | None:
        """By hand, it is no longer the model's own."""
        if self._quiet:
            return None
        self._quiet = True
        self.auto.value = False
        self._quiet = False
        self._say()
        return self._moved()

    def _switched(self) -> Awaitable[None] | None:
        if self._quiet:
            return None
        self._quiet = True
        if self.auto.value and self.own is not None:
            self.slider.value = round(self.own, 2)
        self._quiet = False
        self._say()
        return self._moved()


def _listed(paths: Sequence[Path]) -> list[Path]:
    """Every image that is named, and of named folders; what has none is told."""
    try:
        return images_of(paths)
    except UserError as error:
        fail(str(error))
        return []


_THUMB_PX = 560


def _small(pixels: Any) -> Any:
    """An image of at most so many pixels a side, to choose a place in."""
    import cv2

    ratio = max(pixels.shape[:2]) / _THUMB_PX
    if ratio <= 1:
        return pixels
    height, width = (max(1, round(side / ratio)) for side in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
