"""Contact sheets of what a build made or is about to make."""

from collections.abc import Sequence
from typing import Any

from ..build_store import Plan, preview
from ..errors import UserError
from ..images.contact_sheet import Cell, contact_sheet
from ..images.pixels import U8
from ..ops import CHAIN_OPS
from ..ops.render import apply
from ..ops.step import from_rows
from ..recipes.store_config import GROUPS
from ..storage.shards.reader import ShardReader
from ..storage.shards.store import Store
from .render_again import row_of

_GALLERY_COLUMNS = 6


def describe(steps: list[dict[str, Any]]) -> tuple[str, ...]:
    """The levels of a member, a line a step."""
    return tuple(step.text for step in from_rows(steps))


def _cells(row: dict[str, Any], members: Sequence[str], hr: U8, lr: U8) -> list[Cell]:
    """HR and its members, with every drawn parameter below, and what was measured."""
    cells = [Cell(hr, ("HR", row["source"], f"at {row['x']}, {row['y']}", *describe(row["hr"])))]
    if row.get("lr_source"):
        return [*cells, Cell(lr[0], ("LR", row["lr_source"], f"at {row['lr_x']}, {row['lr_y']}", *_beside(row)))]
    for name, image in zip(members, lr, strict=True):
        lines = [name.upper(), *describe(row[name])]
        if row["condition"]:
            lines.append("z " + ", ".join(f"{value:.2f}" for value in row["condition"]))
        if row["measured"]:
            found = row["measured"][name]
            lines.append(f"= detail {found['detail']:.1f}, noise {found['noise']:.1f}")
        cells.append(Cell(image, tuple(lines)))
    if row["disorder"]:
        cells[0] = Cell(hr, (*cells[0].lines, f"OUT OF ORDER: {', '.join(row['disorder'])}"))
    return cells


def _beside(row: dict[str, Any]) -> tuple[str, ...]:
    """How far LR of a real pair lies beside HR."""
    if row["shift_y"] is None:
        return ("shift: flat" if row["similarity"] is None else "shift: LR is not like HR",)
    return (f"shift {row['shift_x']:+.2f}, {row['shift_y']:+.2f} HR px", f"similarity {row['similarity']:.2f}")


def preview_sheet(planned: Plan) -> U8:
    """Every sample of a plan, rendered now."""
    members = planned.config.members
    cells = [_cells(row, members, rendered.hr, rendered.lr) for row, rendered in preview(planned)]
    title = "HR and the five LR members of each group" if planned.config.kind == GROUPS else "HR and LR of each pair"
    return contact_sheet(cells, cell_px=200, title=title)


def store_sheet(store: Store, samples: Sequence[int]) -> U8:
    """Some samples of a finished store, as they are stored."""
    rows = [row_of(store, sample) for sample in samples]
    hr, lr = (ShardReader(store, name).read(samples) for name in ("hr", "lr"))
    cells = [_cells(row, store.attributes["members"], hr[i], lr[i]) for i, row in enumerate(rows)]
    return contact_sheet(cells, cell_px=200)


def gallery_sheet(image: U8) -> tuple[U8, list[str]]:
    """Every step on an image [H, W, 3], by its own examples; and why some cannot be shown here."""
    cells = [Cell(image, ("as it is",))]
    missing: list[str] = []
    for kind in CHAIN_OPS:
        for numbers in kind.examples:
            step = kind.model_validate(numbers)
            try:
                cells.append(Cell(apply(image, (step,)), (step.op, step.text)))
            except UserError as error:
                missing.append(f"{step.op}: {error}")
    rows = [cells[i : i + _GALLERY_COLUMNS] for i in range(0, len(cells), _GALLERY_COLUMNS)]
    return contact_sheet(rows, cell_px=192, title="The steps that degradations are made of"), list(
        dict.fromkeys(missing)
    )
