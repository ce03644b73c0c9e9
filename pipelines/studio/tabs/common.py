"""What tabs share: a line of what went wrong, a bar of long work, a file that was dropped."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from nicegui import events, ui

from ..work import CancelledError, Work, told

T = TypeVar("T")


class Slider(ui.slider):
    """A slider that the hand moves at once, whatever the server still does."""

    LOOPBACK = False


def fail(text: str) -> None:
    """One line of what went wrong, or of what is lacking."""
    ui.notify(text, type="negative", multi_line=True, position="bottom", close_button=True, timeout=15_000)


async def bar(work: Work, does: Callable[[Work], Awaitable[T]]) -> T | None:
    """Do some work with a bar and a button that cancels it; None where it failed, which is told, or was cancelled."""
    with ui.row().classes("w-full no-wrap items-center gap-2").classes("at-work") as row:
        text = ui.label(work.title).classes("text-sm")
        shown = ui.linear_progress(value=0, show_value=False).props("instant-feedback").classes("grow")
        ui.button("Cancel", on_click=work.cancel).props("flat dense size=sm").classes("at-cancel")

    def follow() -> None:
        share = work.share
        shown.props(add="indeterminate" if share is None else "", remove="" if share is None else "indeterminate")
        shown.value = share or 0.0
        counts = f" {work.done}/{work.total}" if work.total else ""
        text.set_text(f"{'cancelling: ' if work.cancelled else ''}{work.title}{counts}")

    timer = ui.timer(0.2, follow)
    try:
        return await does(work)
    except CancelledError:
        ui.notify(f"cancelled: {work.title}", type="warning")
    except Exception as error:  # whatever befell the work, the page lives on
        fail(told(error))
    finally:
        timer.cancel()
        row.delete()
    return None


async def saved_upload(event: events.UploadEventArguments, out: Path) -> Path:
    """A dropped file, written below OUT/uploads under its own name without odd characters."""
    name = re.sub(r"[^\w.\-]+", "-", Path(event.file.name).name).lstrip(".") or "image"
    folder = out / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    await event.file.save(folder / name)
    return folder / name
