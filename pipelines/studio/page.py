"""The page of the studio: its head, its tabs, and how it looks by day, by night and in a narrow window."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from nicegui import ui

from .compare import STYLE
from .tabs import modulate

if TYPE_CHECKING:
    from .server import Studio

_STYLE = """
.nicegui-content { padding: 12px; gap: 12px; max-width: 1800px; margin: 0 auto; width: 100%; }
.rwsr-views { display: grid; gap: 12px; width: 100%;
              grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); }
.rwsr-two { display: grid; gap: 12px; width: 100%; grid-template-columns: minmax(220px, 280px) minmax(0, 1fr); }
.rwsr-command { font-family: ui-monospace, monospace; font-size: 12px; white-space: pre-wrap; word-break: break-all; }
.q-tab-panels { background: transparent; }
@media (max-width: 760px) { .rwsr-two { grid-template-columns: minmax(0, 1fr); } }
"""
_TABS: tuple[tuple[str, str, Callable[["Studio"], None]], ...] = (("Modulate", "tune", modulate.draw),)


def draw(studio: "Studio") -> None:
    """The whole page, for one visitor."""
    ui.add_css(STYLE + _STYLE)
    ui.colors(primary="#3563a8")
    dark = ui.dark_mode(value=None)
    with ui.header().classes("items-center q-py-none"):
        ui.label("rwsr studio").classes("text-lg font-medium")
        with ui.tabs().props("dense shrink inline-label") as tabs:
            named = [ui.tab(name, icon=icon) for name, icon, _ in _TABS]
        ui.space()
        ui.button(icon="contrast", on_click=lambda: _turn(dark)).props("flat round dense color=white").tooltip(
            "light, dark, or as the system has it"
        ).mark("theme")
    with ui.tab_panels(tabs, value=named[0], animated=False, keep_alive=True).classes("w-full"):
        for tab, (_, _, draw_tab) in zip(named, _TABS, strict=True):
            with ui.tab_panel(tab).classes("p-0"):
                draw_tab(studio)


def _turn(dark: ui.dark_mode) -> None:
    dark.value = {None: True, True: False, False: None}[dark.value]
