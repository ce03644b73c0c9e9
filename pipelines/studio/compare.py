"""Two images on top of each other with a line between them; what is zoomed in one is zoomed in all of a page."""

from nicegui.element import Element

STYLE = """
.rwsr-compare { position: relative; width: 100%; max-width: 64vh; align-self: center; overflow: hidden; cursor: grab;
                touch-action: none; background: #8883; border-radius: 4px; user-select: none; }
.rwsr-compare:focus-visible { outline: 2px solid var(--q-primary); outline-offset: 2px; }
.rwsr-picture { position: absolute; inset: 0; overflow: hidden; }
.rwsr-picture img { position: absolute; width: 100%; height: 100%; transform-origin: 0 0; }
.rwsr-picture img.hard { image-rendering: pixelated; }
.rwsr-line { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #fff;
             box-shadow: 0 0 3px #000; pointer-events: none; }
.rwsr-label { position: absolute; top: 6px; padding: 1px 7px; border-radius: 9px; font-size: 12px; color: #fff;
              background: #000a; pointer-events: none; }
.rwsr-label.left { left: 6px; } .rwsr-label.right { right: 6px; }
.rwsr-split { position: absolute; left: 0; bottom: 4px; width: 100%; margin: 0; opacity: .75; cursor: ew-resize; }
"""


class Compare(Element, component="compare.js"):
    """Before and after. ratio: width over height of the frame."""

    def __init__(self, before_label: str, after_label: str) -> None:
        super().__init__()
        self._props.update({"before-label": before_label, "after-label": after_label})

    def show(self, before: str | None, after: str | None, ratio: float) -> None:
        """The addresses of both pictures, which are of one place."""
        self._props["before"], self._props["after"] = before, after
        self.style(f"aspect-ratio: {ratio:.4f}")
        self.update()

    def label(self, before: str, after: str) -> None:
        """What both are called."""
        self._props["before-label"], self._props["after-label"] = before, after
        self.update()
