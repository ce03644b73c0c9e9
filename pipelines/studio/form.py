"""A form of a config: each key by what it is, and what is wrong with a value beside it."""

from collections.abc import Awaitable, Callable
from typing import Any

import yaml
from nicegui import ui
from pydantic import BaseModel

from ...degrade.config import compose_values, merged
from ...degrade.errors import UserError
from .fields import Field, Group, fields_of, nested

Changed = Callable[[BaseModel], Awaitable[None] | None]


class Form:
    """A config that is changed key by key; `changed` is told each that is valid, and what is not stays in the form with
    its reason.
    """

    def __init__(self, config: BaseModel, changed: Changed, leave_out: tuple[str, ...] = ()) -> None:
        self.config, self._changed, self._leave_out = config, changed, leave_out
        self._wrong: dict[tuple[str, ...], Any] = {}  # what is shown, and not taken
        self.box = ui.column().classes("w-full gap-1")
        self.wrong = ui.label().classes("text-negative text-sm at-wrong")
        self._draw()

    def show(self, config: BaseModel) -> None:
        """Another config."""
        self.config = config
        self._draw()

    def _draw(self) -> None:
        self.box.clear()
        self._wrong.clear()
        self.wrong.set_text("")
        with self.box:
            for part in fields_of(self.config, self._leave_out):
                self._part(part)

    def _part(self, part: Field | Group) -> None:
        if isinstance(part, Field):
            self._field(part)
            return
        opened = len(part.path) == 1
        box = ui.expansion(part.name, caption=part.about[:90], value=opened)
        with box.classes(f"w-full at-group-{part.name.replace('_', '-')}").props("dense dense-toggle"):
            with ui.column().classes("w-full gap-1 pl-3"):
                for each in part.parts:
                    self._part(each)

    def _field(self, field: Field) -> None:
        mark = f"at-key-{field.dotted.replace('.', '-').replace('_', '-')}"
        if field.kind == "switch":
            made: Any = ui.switch(field.name, value=field.value, on_change=lambda e: self._set(field, e.value))
        elif field.kind == "choice":
            made = ui.select(list(field.choices), value=field.value, label=field.name,
                             on_change=lambda e: self._set(field, e.value))  # fmt: skip
        elif field.kind == "number":
            made = _number(field, field.value, field.name, lambda value: self._set(field, value))
        elif field.kind == "range":
            with ui.row().classes(f"w-full no-wrap gap-2 {mark}") as made:
                ends = list(field.value)
                for i, word in enumerate(("least", "most")):
                    _number(
                        field, ends[i], f"{field.name}, {word}", lambda value, i=i: self._end(field, ends, i, value)
                    )
        else:
            made = ui.input(field.name, value=_text(field.value)).on("change", lambda e: self._typed(field, e.args))
        made.classes(f"w-full {mark}")
        if field.kind not in ("switch", "range"):
            made.props("dense")
        if field.about:
            made.tooltip(field.about)

    def _end(self, field: Field, ends: list[Any], i: int, value: Any) -> Awaitable[None] | None:
        ends[i] = value
        return self._set(field, list(ends))

    def _typed(self, field: Field, text: Any) -> Awaitable[None] | None:
        try:
            return self._set(field, yaml.safe_load(str(text)))
        except yaml.YAMLError:
            self.wrong.set_text(f"{field.dotted}: write it as YAML, as [1, 2] or {{a: 1}}")
            return None

    def _set(self, field: Field, value: Any) -> Awaitable[None] | None:
        """Take a value, and with it those that were wrong before; what is still wrong stays told."""
        self._wrong[field.path] = value
        reason = ""
        for paths in ([*self._wrong], [field.path]):
            try:
                found = self.config
                values: dict[str, Any] = {}
                for path in paths:
                    values = merged(values, nested(path, self._wrong[path]))
                self.config = compose_values(found, values)
            except UserError as error:
                reason = reason or " ".join(str(error).split())
                continue
            for path in paths:
                del self._wrong[path]
            self.wrong.set_text(reason if self._wrong else "")
            return self._changed(self.config)
        self.wrong.set_text(reason)
        return None


def _number(field: Field, value: float, label: str, does: Callable[[Any], Awaitable[None] | None]) -> ui.number:
    step = 1 if field.whole else 0.05 if field.most == 1 else 0.1
    box = ui.number(label, value=value, step=step, min=field.least, max=field.most)

    def changed(event: Any) -> Awaitable[None] | None:
        if event.value is None:
            return None
        return does(int(event.value) if field.whole else float(event.value))

    box.on_value_change(changed)
    return box.classes("grow").props("dense debounce=300")


def _text(value: Any) -> str:
    text = yaml.safe_dump(_plain(value), default_flow_style=True, width=10_000).strip()
    return text.removesuffix("\n...").removesuffix("...").strip()


def _plain(value: Any) -> Any:
    """Models and tuples as YAML has them."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return value
