"""The tab Stores: samples by every column of their manifest, each with its steps, made again, and what was drawn."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from nicegui import events, ui

from ....degrade.storage.location import place
from ..work import quickly, told
from . import browsing
from .common import Desk, chart_of, fail, piece

if TYPE_CHECKING:
    from ..server import Studio

T = TypeVar("T")


def draw(studio: "Studio") -> None:
    """The tab, for one visitor."""
    _Tab(studio)


class _Tab:
    """A store, and a sample of it."""

    def __init__(self, studio: "Studio") -> None:
        self.studio = studio
        self.samples: browsing.Samples | None = None
        self.number: int | None = None
        with ui.row().classes("w-full items-center gap-2"):
            self.where = ui.input("Store").classes("grow at-store").props("dense")
            self.where.on("keydown.enter", self.open)
            self.where.set_enabled(studio.at_home)
            if len(studio.stores) > 1:
                ui.select(
                    [str(each) for each in studio.stores], label="Named", on_change=lambda e: self._named(e.value)
                )
            ui.button("Open", icon="search", on_click=self.open).props("outline dense").classes("at-open-store")
            ui.button("Verify", icon="verified", on_click=self.verify).props("outline dense").classes("at-verify")
            ui.button("What was drawn", icon="bar_chart", on_click=self.histograms).props("outline dense").classes(
                "at-drawn"
            )
        self.work = Desk(ui.column().classes("w-full gap-1 at-store-work"))
        self.line = ui.label().classes("text-sm at-store-line")
        one = {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True}
        nothing: dict[str, Any] = {"columnDefs": [], "rowData": [], "rowSelection": one}
        self.grid = ui.aggrid(nothing | {"suppressFieldDotNotation": True}, auto_size_columns=False)
        self.grid.classes("w-full at-grid")
        self.grid.style("height: 300px").on("rowClicked", self._clicked, ["data"])
        self.sample = ui.column().classes("w-full gap-1 at-sample-of-store")
        self.charts = ui.element("div").classes("rwsr-views at-histograms")
        if studio.stores:
            self.where.value = str(studio.stores[0])
            ui.timer(0.05, self.open, once=True)

    async def _named(self, text: str) -> None:
        self.where.value = text
        await self.open()

    async def open(self) -> None:
        """Open a store, and list its samples."""
        text = (self.where.value or "").strip()
        if not text:
            fail("name a store")
            return
        try:
            samples = await quickly(lambda: browsing.Samples(place(text)))
        except Exception as error:
            fail(told(error))
            return
        read = await self.work.work("manifest", lambda: (samples.read(), samples)[1])
        if read is None:
            return
        self.samples = samples
        self.line.set_text(f"{text}: {'; '.join(samples.lines)}")
        self.charts.clear()
        self.grid.options["columnDefs"] = [_column(name, samples.rows) for name in samples.columns]
        self.grid.options["rowData"] = samples.rows
        self.grid.update()
        if samples.rows:
            await self.show(int(samples.rows[0]["sample"]))

    async def _clicked(self, event: events.GenericEventArguments) -> None:
        await self.show(int(event.args["data"]["sample"]))

    async def show(self, number: int) -> None:
        """A sample with its steps."""
        samples = self.samples
        if samples is None:
            return
        try:
            shown = await quickly(lambda: samples.shown(number))
        except Exception as error:
            fail(told(error))
            return
        self.number = number
        self.sample.clear()
        with self.sample:
            with ui.row().classes("items-center gap-2"):
                ui.label(f"sample {number}, of {shown.source}").classes("text-sm at-which")
                ui.button("Render again", icon="replay", on_click=self.again).props("outline dense size=sm").classes(
                    "at-again"
                )
            with ui.element("div").classes("rwsr-members w-full"):
                for name, pixels, lines in shown.images:
                    with ui.column().classes("gap-0 w-full"):
                        piece(pixels)
                        ui.label(name).classes("text-sm font-medium")
                        for line in lines:
                            ui.label(line).classes("text-xs")
            self.difference = ui.column().classes("w-full gap-1 at-difference")

    async def again(self) -> None:
        """Make the sample again of its photograph, and show how far it is from what is stored."""
        samples, number = self.samples, self.number
        if samples is None or number is None:
            return
        try:
            found = await quickly(lambda: samples.again(number))
        except Exception as error:
            fail(told(error))
            return
        self.difference.clear()
        with self.difference:
            said = "made again it is equal to the bit" if found.equal else "made again it DIFFERS; the difference x8:"
            ui.label(said).classes("text-sm " + ("text-positive" if found.equal else "text-negative"))
            with ui.element("div").classes("rwsr-members w-full"):
                for name, pixels in found.differences:
                    with ui.column().classes("gap-0 w-full"):
                        piece(pixels)
                        ui.label(f"{name}, difference").classes("text-xs")

    async def _long(self, title: str, does: Callable[[browsing.Samples], T]) -> T | None:
        """Long work on the store that is open, with its bar; None where there is none, or it failed."""
        samples = self.samples
        if samples is None:
            fail("open a store first")
            return None
        return await self.work.work(title, lambda: does(samples))

    async def verify(self) -> None:
        """Read every byte, with its progress."""
        found = await self._long("verify", browsing.Samples.problems)
        if found is not None and self.samples is not None:
            for each in found[:20] or [f"{self.samples.at} is whole: every byte is what was committed"]:
                self.work.say(each, "text-sm " + ("text-negative" if found else "text-positive"))

    async def histograms(self) -> None:
        """Every parameter that was drawn, beside what the recipe draws."""
        found = await self._long("draw", browsing.Samples.histograms)
        self.charts.clear()
        with self.charts:
            if found == []:
                ui.label("nothing was drawn for these: they are real pairs, or have no numbers").classes("text-sm")
            for each in found or ():
                ui.echart(_bars(each)).classes("w-full h-48 at-histogram")


def _column(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    number = any(isinstance(row.get(name), int | float) for row in rows)
    return {
        "field": name,
        "headerName": name,
        "filter": "agNumberColumnFilter" if number else "agTextColumnFilter",
        "floatingFilter": True,
        "width": 120 if number else 220,
        "headerTooltip": name,
    }


def _bars(of: browsing.Histogram) -> dict[str, Any]:
    series: list[dict[str, Any]] = [{"type": "bar", "name": "store", "data": of.store, "barWidth": "95%"}]
    if of.law:
        series.append({"type": "line", "name": "recipe", "data": of.law, "showSymbol": False, "step": "middle"})
    return chart_of(of.name, {"type": "category", "data": of.at}, series, many=True)
