"""The page of the studio: its head, its tabs, and how it looks by day, by night and in a narrow window."""

from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING

from nicegui import ui

from .compare import STYLE
from .work import quickly, told

if TYPE_CHECKING:
    from .server import Studio

_STYLE = """
.nicegui-content { padding: 12px; gap: 12px; max-width: 1800px; margin: 0 auto; width: 100%; }
.rwsr-views { display: grid; gap: 12px; width: 100%;
              grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); }
.rwsr-two { display: grid; gap: 12px; width: 100%; grid-template-columns: minmax(220px, 280px) minmax(0, 1fr); }
.rwsr-wide { grid-template-columns: minmax(260px, 360px) minmax(0, 1fr); }
.rwsr-members { display: grid; gap: 10px; grid-template-columns: repeat(auto-fill, minmax(min(128px, 45%), 1fr)); }
.rwsr-piece { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; border-radius: 3px; }
.rwsr-command { font-family: ui-monospace, monospace; font-size: 12px; white-space: pre-wrap; word-break: break-all; }
.q-uploader__list { display: none; }
.q-tab-panels { background: transparent; }
@media (max-width: 760px) {
  .rwsr-two { grid-template-columns: minmax(0, 1fr); }
  .rwsr-name { display: none; }
  .q-header .q-tab { padding: 0 9px; min-width: 0; }
  .q-header .q-tab__label { font-size: 0; }
}
"""
_SCRIPT = """
<script>
// A plot of a tab that is left is told its new size, which is none; Plotly says so as an error that nobody can mend.
window.addEventListener("unhandledrejection", event => {
  if (String(event.reason && event.reason.message || event.reason).startsWith("Resize must be passed a displayed"))
    event.preventDefault();
});
</script>
"""
_TABS = {  # the icon of each, and its module, which is imported once it is looked at
    "Modulate": ("tune", "modulate"),
    "Recipes": ("blender", "recipes"),
    "Noise banks": ("grain", "banks"),
    "Stores": ("view_module", "stores"),
    "Trainings": ("timeline", "runs"),
}


def draw(studio: "Studio") -> None:
    """The whole page, for one visitor."""
    ui.add_css(STYLE + _STYLE)
    ui.add_head_html(_SCRIPT)
    ui.colors(primary="#3563a8")
    dark = ui.dark_mode(value=None)
    with ui.header().classes("items-center q-py-none"):
        ui.label("rwsr studio").classes("text-lg font-medium rwsr-name")
        with ui.tabs().props("dense shrink inline-label").classes("min-w-0") as tabs:
            named = {name: ui.tab(name, icon=icon) for name, (icon, _) in _TABS.items()}
        ui.space()
        ui.button(icon="contrast", on_click=lambda: _turn(dark)).props("flat round dense color=white").tooltip(
            "light, dark, or as the system has it"
        ).classes("at-theme")
    with ui.tab_panels(tabs, value=next(iter(named.values())), animated=False, keep_alive=True).classes("w-full"):
        for name, tab in named.items():
            with ui.tab_panel(tab).classes("p-0") as panel:
                _later(studio, _TABS[name][1], panel)


def _later(studio: "Studio", module: str, panel: ui.tab_panel) -> None:
    """Draw a tab once its module, and all that it needs, is imported; until then a spinner turns."""
    spinner = ui.spinner(size="lg").classes("m-8")

    async def build() -> None:
        try:
            tab = await quickly(lambda: _imported(module))
        except Exception as error:
            spinner.delete()
            with panel:
                ui.label(told(error)).classes("text-negative m-4")
            return
        spinner.delete()
        with panel:
            tab.draw(studio)

    ui.timer(0.01, build, once=True)


_IMPORTING = Lock()


def _imported(module: str) -> ModuleType:
    """A tab's module; one at a time, as modules that are imported by two threads may see each other half-made."""
    with _IMPORTING:
        return import_module(f"{__package__}.tabs.{module}")


def _turn(dark: ui.dark_mode) -> None:
    dark.value = {None: True, True: False, False: None}[dark.value]
