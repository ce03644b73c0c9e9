"""The tab Noise banks: every tile by its mean and variance, a box that is dragged, and what lies in it."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from ....degrade.storage.location import place
from ....noisebank.cati import AnyRule, BoxRule, CatiRule
from ..work import Newest, quickly, told
from . import sifting
from .common import Desk, LineChart, fail, piece, plain

if TYPE_CHECKING:
    from ....noisebank.statistics import NoiseStatistics
    from ..server import Studio

_SIDES = (16, 32, 64, 128, 256)
_COLOURS = ("#7f8fa6", "#c08457", "#6f9e72", "#8d6cab")


def draw(studio: "Studio") -> None:
    """The tab, for one visitor."""
    _Tab(studio)


class _Tab:
    """A scan, a rule, and what it takes."""

    def __init__(self, studio: "Studio") -> None:
        self.studio = studio
        self.tiles: sifting.Tiles | None = None
        self.rule: AnyRule = CatiRule()
        self._newest, self._anew = Newest(self._show), False
        with ui.element("div").classes("rwsr-two rwsr-wide"):
            with ui.column().classes("w-full gap-2"):
                self._draw_left()
            with ui.column().classes("w-full gap-2"):
                self.line = ui.label("name a bank, a scan, or photographs").classes("text-sm at-taken")
                self.plot = ui.plotly(_figure({}, None)).classes("w-full").style("height: 420px").classes("at-plot")
                self.plot.on("plotly_relayout", self._dragged)
                self.pieces = ui.element("div").classes("rwsr-members w-full at-pieces")
                self.chart = LineChart()
                columns = [{"name": name, "label": name, "field": name} for name in ("channel", "R", "G", "B")]
                self.table = ui.table(rows=[], columns=columns, title="covariance, squared gray levels")
                self.table.props("dense flat").classes("at-covariance").set_visibility(False)  # noqa: FBT003
        first = [str(each) for each in studio.banks] or [str(each) for each in studio.folders()]
        if first:
            self.where.value = first[0]
            if studio.banks:
                ui.timer(0.05, self.open, once=True)

    def _draw_left(self) -> None:
        self.where = ui.input("Bank, scan, or folder of photographs").classes("w-full at-where").props("dense")
        self.where.on("keydown.enter", self.open)
        self.where.set_enabled(self.studio.at_home)
        with ui.row().classes("w-full no-wrap items-center gap-2"):
            self.size = ui.select(list(_SIDES), value=64, label="side of a tile, px").props("dense")
            self.size.classes("grow at-size").on_value_change(self._resized)
            ui.button("Open", icon="search", on_click=self.open).props("outline dense").classes("at-open")
        self.work = Desk(ui.column().classes("w-full"))
        self.kind = ui.toggle({"cati": "CATI", "box": "box"}, value="cati", on_change=self._kind).props("dense")
        self.kind.classes("at-kind")
        with ui.column().classes("w-full gap-1") as self.of_cati:
            self.quantile = ui.number("bottom, %", value=2, min=0.1, max=100, step=0.5)
            self.strata = ui.number("bands of brightness (strata)", value=1, min=1, max=64, step=1)
            for box, name in ((self.quantile, "quantile"), (self.strata, "strata")):
                box.classes(f"w-full at-{name}").props("dense debounce=300").on_value_change(self._ruled)
        self.said = ui.label().classes("text-xs at-rule")
        with ui.row().classes("items-center gap-2"):
            ui.button("Save as rule", icon="save", on_click=self.save).props("outline dense").classes("at-save-rule")
            self.name = ui.input("name", value="bank").props("dense").classes("w-28 at-bank-name")
            ui.button("Build", icon="construction", on_click=self.build).props("outline dense").classes("at-build-bank")
        self.made = Desk(ui.column().classes("w-full gap-1 at-made-bank"))
        ui.label("images that it comes from").classes("text-sm font-medium mt-2")
        self.sources = ui.column().classes("w-full gap-0 at-sources")

    # ------------------------------------------------------------------------------------------------------- the scan

    async def open(self) -> None:
        """Open a bank's scan, or a scan; photographs are scanned first."""
        text = (self.where.value or "").strip()
        if not text:
            fail("name a bank, a scan, or a folder of photographs")
            return
        at = place(text)
        folder: Any = sifting.scan_of(at)
        if not (folder / "target").exists():
            if not isinstance(at, Path) or not at.is_dir():
                fail(f"{text} is neither a bank with its scan, nor a scan, nor a folder of photographs")
                return
            size, folder = int(self.size.value or 64), self.studio.scratch / f"{at.name}.scan"
            found = await self.work.work("scan", lambda: sifting.scanned(at, (), size, folder))
            if found is None:
                return
        try:
            self.tiles = await quickly(lambda: sifting.Tiles(folder))
        except Exception as error:
            fail(told(error))
            return
        self.size.set_options([grid.size for grid in self.tiles.grids], value=self.tiles.grid.size)
        await self._draw_all()

    async def _resized(self) -> None:
        tiles = self.tiles
        if tiles is None or self.size.value == tiles.grid.size:
            return
        grid = next((each for each in tiles.grids if each.size == self.size.value), None)
        if grid is None:
            return
        try:
            self.tiles = await quickly(lambda: sifting.Tiles(tiles.folder, grid))
        except Exception as error:
            fail(told(error))
            return
        await self._draw_all()

    async def _draw_all(self) -> None:
        assert self.tiles is not None
        if self.kind.value == "box":
            self.kind.value = "cati"
        self.rule = self._cati()
        await self.show(anew=True)

    # ------------------------------------------------------------------------------------------------------- the rule

    def _cati(self) -> CatiRule:
        return CatiRule(quantile=self.quantile.value / 100, strata=self.strata.value)  # pyright: ignore

    async def _ruled(self) -> None:
        if self.kind.value == "cati":
            try:
                self.rule = self._cati()
            except (ValueError, TypeError):
                self.said.set_text("bottom, % is above 0 and at most 100; bands are from 1 to 64: as before")
                return
            await self.show()

    async def _kind(self) -> None:
        self.of_cati.set_visibility(self.kind.value == "cati")
        if self.kind.value == "cati":
            self.rule = self._cati()
        elif self.tiles is not None and not isinstance(self.rule, BoxRule):
            tiles, rule = self.tiles, self.rule
            found = await quickly(lambda: tiles.taken(rule))
            self.rule = BoxRule(variance=(1, 20)) if found.interval is None else sifting.box_of(found.interval)
        await self.show()

    async def _dragged(self, event: events.GenericEventArguments) -> None:
        """The box, as it was dragged to: in the plot's own numbers."""
        moved = {key.rpartition(".")[2]: value for key, value in event.args.items() if key.startswith("shapes[")}
        if not {"x0", "x1", "y0", "y1"} <= moved.keys() or self.tiles is None:
            return
        x, y = sorted((float(moved["x0"]), float(moved["x1"]))), sorted((float(moved["y0"]), float(moved["y1"])))
        mean = (round(max(0.0, x[0]), 2), round(min(255.0, x[1]), 2))
        self.rule = BoxRule(variance=(max(0.0, y[0]), y[1]), mean=mean)
        self.kind.value = "box"
        self.of_cati.set_visibility(False)  # noqa: FBT003
        await self.show()

    # ---------------------------------------------------------------------------------------------------- what it takes

    async def show(self, *, anew: bool = False) -> None:
        """What the rule takes now; anew: of other tiles."""
        self._anew = self._anew or anew
        await self._newest()

    async def _show(self) -> None:
        anew, self._anew = self._anew, False
        tiles, rule = self.tiles, self.rule
        if tiles is None:
            return
        taken = await quickly(lambda: tiles.taken(rule))
        self.line.set_text(
            "; ".join(f"{each.name}: {each.num_patches:,} of {each.num_tiles:,} tiles, from {each.num_images:,} images"
                      for each in taken.yields.sets)
        )  # fmt: skip
        self.said.set_text(_rule_said(rule, taken))
        dots = await quickly(tiles.dots) if anew or not self.plot.figure["data"] else None
        if dots is None:
            self.plot.figure["layout"]["shapes"] = _boxes(rule, taken)
            self.plot.update()
        else:
            self.plot.update_figure(_figure(dots, _boxes(rule, taken)))
        self.sources.clear()
        with self.sources:
            for source, count in taken.sources:
                ui.label(f"{count:,} of {Path(source).name}").classes("text-xs")
        try:
            pieces = await quickly(lambda: tiles.pieces(rule))
            looks = await quickly(lambda: sifting.looks(sifting.many_pieces(tiles, rule)))
        except Exception as error:
            fail(told(error))
            return
        self.pieces.clear()
        with self.pieces:
            for each in pieces:
                with ui.column().classes("gap-0 w-full at-piece"):
                    piece(each.pixels)
                    piece(each.noise)
                    ui.label(f"{each.source}: mean {each.mean:.0f}, variance {each.variance:.2f}").classes("text-xs")
        self._show_looks(looks)

    def _show_looks(self, looks: "NoiseStatistics | None") -> None:
        """The spectrum and the covariance of what is taken."""
        power = [] if looks is None else [round(10 * math.log10(max(float(value), 1e-3)), 2) for value in looks.power]
        lines = {} if looks is None else {f"{looks.num_patches} patches": power}
        frequency = [] if looks is None else looks.frequency.tolist()
        self.chart.show("power of the noise, dB (white noise is flat)", "cycles per pixel", frequency, lines)
        self.table.set_visibility(looks is not None)
        if looks is not None:
            self.table.rows = [
                {"channel": name} | {
                    other: f"{looks.covariance[i][j]:.2f} (r {looks.correlation[i][j]:.2f})"
                    for j, other in enumerate("RGB")
                }
                for i, name in enumerate("RGB")
            ]  # fmt: skip

    # ----------------------------------------------------------------------------------------------------- what is kept

    async def save(self) -> None:
        """Write the rule as a file, and say what builds its bank."""
        tiles, rule, name, out = self.tiles, self.rule, plain(self.name.value, "bank"), self.studio.out
        if tiles is None:
            fail("open a scan first")
            return
        if not self.made.is_free:
            return
        path, command = await quickly(lambda: sifting.saved(tiles, rule, name, out))
        self.made.command(command)
        self.made.say(f"wrote {path}", "text-xs at-wrote-rule")

    async def build(self) -> None:
        """Build the bank of it, with its progress."""
        tiles, rule = self.tiles, self.rule
        if tiles is None:
            fail("open a scan first")
            return
        at = self.studio.out / "banks" / f"{plain(self.name.value, 'bank')}.zarr"
        at.parent.mkdir(parents=True, exist_ok=True)
        found = await self.made.work("cut patches", lambda: sifting.built(tiles, rule, at))
        for line in found.lines if found is not None else ():
            self.made.say(line, "text-xs at-bank-line")


def _rule_said(rule: AnyRule, taken: sifting.Taken) -> str:
    if isinstance(rule, BoxRule):
        (low, high), (dark, light) = rule.variance, rule.mean
        return f"variance {low:.2f} to {high:.2f}, mean {dark:.1f} to {light:.1f}"
    if taken.interval is None:
        return "no tile can span an interval"
    spans = (f"variance {each.variance[0]:.2f} to {each.variance[1]:.2f}, mean {each.mean[0]:.1f} to {each.mean[1]:.1f}"
             for each in taken.interval.intervals)  # fmt: skip
    return "CATI: " + "; ".join(spans)


def _boxes(rule: AnyRule, taken: sifting.Taken) -> list[dict[str, Any]]:
    """What the rule spans; each can be dragged, whereupon it is a box by hand."""
    if isinstance(rule, BoxRule):
        spans = [(rule.variance, rule.mean)]
    else:
        spans = [(each.variance, each.mean) for each in (taken.interval.intervals if taken.interval else ())]
    return [
        {
            "type": "rect",
            "x0": mean[0],
            "x1": mean[1],
            "y0": max(variance[0], 1e-3),
            "y1": max(variance[1], 2e-3),
            "line": {"color": "#3563a8", "width": 2},
            "fillcolor": "rgba(53, 99, 168, 0.15)",
        }
        for variance, mean in spans
    ]


def _figure(dots: dict[str, sifting.Dots], boxes: list[dict[str, Any]] | None) -> dict[str, Any]:
    data = [
        {
            "type": "scattergl",
            "mode": "markers",
            "name": f"{name} ({each.total:,})",
            "x": each.mean,
            "y": each.variance,
            "marker": {"size": 4, "color": colour, "opacity": 0.6},
            "hoverinfo": "skip",
        }
        for (name, each), colour in zip(dots.items(), _COLOURS * (1 + len(dots) // len(_COLOURS)), strict=False)
    ]
    axis = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
    return {
        "data": data,
        "layout": {
            "margin": {"l": 60, "r": 10, "t": 10, "b": 45},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": "#808890"},
            "xaxis": {"title": {"text": "mean luma of the tile"}, "range": [-3, 258], **axis},
            "yaxis": {"title": {"text": "variance of its luma"}, "type": "log", **axis},
            "legend": {"orientation": "h", "y": 1.08},
            "dragmode": "pan",
            "shapes": boxes or [],
        },
        "config": {
            "displaylogo": False,
            "scrollZoom": True,
            "modeBarButtonsToRemove": ["toImage"],
            "edits": {"shapePosition": True},
        },
    }
