"""What tabs share: a line of what went wrong, a bar of long work, a file that was dropped."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nicegui import events, ui

from ..served import SERVED, quick_png
from ..work import CancelledError, Work, done, told

if TYPE_CHECKING:
    from ....eval.images.tiling import Pixels

T = TypeVar("T")


class Slider(ui.slider):
    """A slider that the hand moves at once, whatever the server still does."""

    LOOPBACK = False


def fail(text: str) -> None:
    """One line of what went wrong, or of what is lacking."""
    ui.notify(text, type="negative", multi_line=True, position="bottom", close_button=True, timeout=15_000)


def plain(name: str | None, otherwise: str) -> str:
    """A name that somebody typed as the name of a file, which lies in no other folder."""
    return re.sub(r"[^\w\-]+", "-", (name or "").strip()).strip("-")[:80] or otherwise


class Desk:
    """Where long work shows its bar, and then what came of it: one at a time, which ends when its page is left."""

    def __init__(self, box: ui.column) -> None:
        self.box, self._busy = box, False

    @property
    def is_free(self) -> bool:
        """Whether nothing is under way here; where something is, it is said."""
        if self._busy:
            fail("other work is under way here; cancel it, or wait")
        return not self._busy

    async def work(self, title: str, function: Callable[[], T]) -> T | None:
        """Do some work with a bar and a button that cancels it; None where it failed, which is told, was cancelled, or
        other work is under way.
        """
        if not self.is_free:
            return None
        self._busy, work = True, Work(title)
        self.box.client.on_delete(work.cancel)
        self.box.clear()
        try:
            with self.box:
                _bar(work)
            found = await done(work, function)
        except CancelledError:
            if not self.box.is_deleted:
                ui.notify(f"cancelled: {title}", type="warning")
            return None
        except Exception as error:  # whatever befell the work, the page lives on
            if not self.box.is_deleted:
                fail(told(error))
            return None
        finally:
            self._busy = False
            if not self.box.is_deleted:
                self.box.clear()
        return None if self.box.is_deleted else found

    def command(self, text: str) -> None:
        """A line for a shell, alone, with a button that copies it."""
        self.box.clear()
        with self.box, ui.row().classes("w-full no-wrap items-start"):
            ui.label(text).classes("rwsr-command grow at-line-of-shell")
            ui.button(icon="content_copy", on_click=lambda: ui.clipboard.write(text)).props("flat dense round")

    def say(self, text: str, classes: str) -> None:
        """A line below."""
        with self.box:
            ui.label(text).classes(classes)


def _bar(work: Work) -> None:
    with ui.row().classes("w-full no-wrap items-center gap-2 at-work") as row:
        text = ui.label(work.title).classes("text-sm")
        shown = ui.linear_progress(value=0, show_value=False).props("instant-feedback").classes("grow")
        ui.button("Cancel", on_click=work.cancel).props("flat dense size=sm").classes("at-cancel")

        def follow() -> None:
            if row.is_deleted:
                return
            share = work.share
            shown.props(add="indeterminate" if share is None else "", remove="" if share is None else "indeterminate")
            shown.value = share or 0.0
            counts = f" {work.done}/{work.total}" if work.total else ""
            text.set_text(f"{'cancelling: ' if work.cancelled else ''}{work.title}{counts}")

        ui.timer(0.2, follow)


def piece(pixels: "Pixels") -> None:
    """An image as it is, each pixel a square."""
    ui.html(f'<img class="rwsr-piece" src="{SERVED.put(quick_png(pixels))}" alt="">', sanitize=False).classes("w-full")


_TEXT, _GRID = "#868e98", "rgba(128, 134, 144, 0.28)"  # seen on white and on black


def chart_of(title: str, x: Mapping[str, Any], series: Sequence[Mapping[str, Any]], *, many: bool) -> dict[str, Any]:
    """The options of a chart that is seen by day and by night. many: it has a legend."""
    axis = {"splitLine": {"lineStyle": {"color": _GRID}}, "axisLabel": {"color": _TEXT}}
    return {
        "animation": False,
        "textStyle": {"color": _TEXT},
        "title": {"text": title, "textStyle": {"fontSize": 12, "color": _TEXT}, "left": 0},
        "legend": {"top": 24, "show": many, "textStyle": {"color": _TEXT}, "itemWidth": 14},
        "grid": {"left": 56, "right": 20, "top": 60 if many else 38, "bottom": 40},
        "tooltip": {"trigger": "axis"},
        "xAxis": {**axis, "nameTextStyle": {"color": _TEXT}, **x},
        "yAxis": {**axis, "type": "value"},
        "series": list(series),
    }


class LineChart:
    """Lines over x in a box of their own, which stays while they change; nothing until there are some."""

    def __init__(self) -> None:
        self.chart = ui.echart({}).classes("w-full h-56 at-chart")
        self.chart.set_visibility(False)

    def show(
        self,
        title: str,
        x_name: str,
        x: Sequence[float],
        lines: Mapping[str, Sequence[float]],
        marks: Mapping[str, float] = {},
    ) -> None:
        """Lines over one x, by their names; marks: places on x by theirs."""
        points = {name: list(zip(x, values, strict=True)) for name, values in lines.items()}
        self.show_points(title, x_name, points, marks)

    def show_points(
        self,
        title: str,
        x_name: str,
        lines: Mapping[str, Sequence[tuple[float, float]]],
        marks: Mapping[str, float] = {},
    ) -> None:
        """Lines of points each, by their names."""
        series: list[dict[str, Any]] = [
            {"type": "line", "name": name, "data": list(map(list, points)), "showSymbol": len(points) < 3}
            for name, points in lines.items()
        ]
        if marks and series:
            data = [{"xAxis": at, "label": {"formatter": name}} for name, at in marks.items()]
            series[0]["markLine"] = {"symbol": "none", "data": data}
        many = len(lines) > 1
        self.chart.options.clear()
        x = {"type": "value", "min": 0, "max": "dataMax", "name": x_name, "nameLocation": "middle", "nameGap": 24}
        options = chart_of(title, x, series, many=many)
        options["yAxis"]["scale"] = True
        self.chart.options.update(options)
        self.chart.set_visibility(bool(series))
        self.chart.update()


def line_chart(
    title: str, x_name: str, x: Sequence[float], lines: Mapping[str, Sequence[float]], marks: Mapping[str, float] = {}
) -> None:
    """A chart that does not change."""
    LineChart().show(title, x_name, x, lines, marks)


async def saved_upload(event: events.UploadEventArguments, out: Path) -> Path:
    """A dropped file, written below OUT/uploads under its own name without odd characters."""
    name = re.sub(r"[^\w.\-]+", "-", Path(event.file.name).name).lstrip(".") or "image"
    folder = out / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    await event.file.save(folder / name)
    return folder / name
