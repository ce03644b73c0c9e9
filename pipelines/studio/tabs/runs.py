"""The tab Trainings: their curves so far beside each other, what they make of held-out images, and their pages."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from ..served import SERVED
from ..work import quickly, told
from . import following
from .common import LineChart, fail

if TYPE_CHECKING:
    from ..server import Studio

_EVERY_S = 2.0  # while one is under way
_MOST_COMPARED = 6


def draw(studio: "Studio") -> None:
    """The tab, for one visitor."""
    _Tab(studio)


class _Tab:
    """Some trainings, one term of all, and the images of one."""

    def __init__(self, studio: "Studio") -> None:
        self.studio = studio
        self.folders: list[Path] = list(studio.runs)
        self.known: list[Path] = []
        self.curves: dict[str, following.Curves] = {}
        self.images: dict[str, dict[str, bytes]] = {}
        with ui.element("div").classes("rwsr-two rwsr-wide"):
            with ui.column().classes("w-full gap-2"):
                self.where = ui.input("Folder of a run, or of several").classes("w-full at-run-folder").props("dense")
                self.where.on("keydown.enter", self._added)
                self.where.set_enabled(studio.at_home)
                self.chosen = ui.select({}, multiple=True, value=[], label="Beside each other")
                self.chosen.classes("w-full at-runs").props("dense use-chips").on_value_change(self.refresh)
                self.states = ui.column().classes("w-full gap-0 at-states")
                ui.label("pages").classes("text-sm font-medium mt-2")
                self.pages = ui.column().classes("w-full gap-0 at-pages")
            with ui.column().classes("w-full gap-2"):
                with ui.row().classes("w-full items-center gap-2"):
                    self.term = ui.select([], label="Curve").classes("w-64 at-term").props("dense")
                    self.term.on_value_change(self._draw_curves)
                    self.smooth = ui.switch("smooth", on_change=self._draw_curves).props("dense")
                self.chart = LineChart()
                with ui.row().classes("w-full items-center gap-2"):
                    self.image = ui.select([], label="Held-out image").classes("w-64 at-held-out").props("dense")
                    self.image.on_value_change(self._draw_images)
                self.shown = ui.element("div").classes("rwsr-members w-full at-images")
        if self.folders:
            ui.timer(0.05, self.look, once=True)
        ui.timer(_EVERY_S, self._tick)

    async def _added(self) -> None:
        text = (self.where.value or "").strip()
        if not text:
            fail("name the folder of a run, or of several")
            return
        try:
            self.folders.append(await quickly(lambda: following.checked(Path(text))))
        except Exception as error:
            fail(told(error))
            return
        await self.look()

    async def look(self) -> None:
        """Find the runs, and choose the first ones."""
        self.known = await quickly(lambda: following.found(self.folders))
        names = {str(path): path.name for path in self.known}
        kept = [each for each in self.chosen.value if each in names]
        self.chosen.set_options(names, value=kept or list(names)[:_MOST_COMPARED])
        await self.refresh()

    async def _tick(self) -> None:
        if self.chosen.value and any("under way" in str(each) for each in self._states):
            await self.refresh()

    _states: Sequence[str] = ()

    async def refresh(self) -> None:
        """Read what is chosen anew: curves, images, pages."""
        paths = [Path(each) for each in self.chosen.value][:_MOST_COMPARED]
        self.curves, states = {}, list[str]()
        for path in paths:
            try:
                run, curves = await quickly(lambda path=path: following.looked_at(path))
            except Exception as error:
                states.append(f"{path.name}: {told(error)}")
                continue
            states.append(run.line)
            self.curves[_name(path, paths)] = curves
        self._states = states
        self.states.clear()
        with self.states:
            for each in states:
                ui.label(each).classes("text-xs")
        terms = following.terms_of(list(self.curves.values()))
        self.term.set_options(terms, value=self.term.value if self.term.value in terms else next(iter(terms), None))
        self._draw_curves()
        if paths:
            await self._look_at_images(paths)
        self._draw_pages(paths)

    def _draw_curves(self, _: events.ValueChangeEventArguments[Any] | None = None) -> None:
        term = self.term.value
        lines = {name: curves[term] for name, curves in self.curves.items() if term in curves}
        self.chart.show_points(str(term or ""), "step", {
            name: _smoothed(points) if self.smooth.value else points for name, points in lines.items()
        })  # fmt: skip

    async def _look_at_images(self, paths: Sequence[Path]) -> None:
        found: dict[str, dict[str, bytes]] = {}
        for path in paths:
            for name, by_step in (await quickly(lambda path=path: following.pictures(path))).items():
                for label, data in by_step.items():
                    key = label if label in ("LR", "HR") or len(paths) == 1 else f"{_name(path, paths)}, {label}"
                    found.setdefault(name, {}).setdefault(key, data)
        if {name: list(each) for name, each in found.items()} != {n: list(each) for n, each in self.images.items()}:
            self.images = found
            names = list(found)
            self.image.set_options(
                names, value=self.image.value if self.image.value in names else next(iter(names), None)
            )
            self._draw_images()

    def _draw_images(self, _: events.ValueChangeEventArguments[Any] | None = None) -> None:
        self.shown.clear()
        with self.shown:
            for label, data in self.images.get(str(self.image.value), {}).items():
                with ui.column().classes("gap-0 w-full"):
                    address = SERVED.put(data)
                    ui.html(f'<img class="rwsr-piece" src="{address}" alt="">', sanitize=False).classes("w-full")
                    ui.label(label).classes("text-xs at-image-label")

    def _draw_pages(self, paths: Sequence[Path]) -> None:
        self.pages.clear()
        with self.pages:
            for page in dict.fromkeys(page for path in paths for page in following.pages(path)):
                button = ui.button(f"{page.parent.name}/{page.name}", on_click=partial(self._open_page, page))
                button.props("flat dense no-caps size=sm").classes("at-page")

    @staticmethod
    def _open_page(page: Path) -> None:
        try:
            ui.navigate.to(SERVED.put(page.read_bytes(), ".html"), new_tab=True)
        except OSError as error:
            fail(told(error))


def _name(path: Path, among: Sequence[Path]) -> str:
    """A run's name; with its folder's where two have one."""
    alike = [each for each in among if each.name == path.name]
    return path.name if len(alike) == 1 else f"{path.parent.name}/{path.name}"


def _smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """A running mean that forgets a tenth with each point."""
    found: list[tuple[int, float]] = []
    mean = points[0][1] if points else 0.0
    for step, value in points:
        mean = 0.9 * mean + 0.1 * value
        found.append((step, mean))
    return found
