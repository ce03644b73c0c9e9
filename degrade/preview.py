"""Contact sheets of what a build made or is about to make."""

from collections.abc import Sequence
from typing import Any

from .build_store import Plan, preview
from .images.contact_sheet import Cell, contact_sheet
from .images.pixels import U8
from .samples import GROUPS
from .storage.shards.reader import ShardReader
from .storage.shards.writer import Store


def _describe_step(step: dict[str, Any]) -> str:
    match step["op"]:
        case "blur" if step["kernel"]["kind"] == "sinc":
            return f"sinc {step['kernel']['cutoff']:.2f} rad/px"
        case "blur":
            kernel = step["kernel"]
            widths = {f"{kernel[name]:.2f}": None for name in ("sigma_x", "sigma_y")}
            return f"blur {', '.join(widths)} px"
        case "resize":
            return f"{step['mode']} to {step['width']} px"
        case "gaussian" | "speckle":
            name = "noise" if step["op"] == "gaussian" else "speckle"
            kind = " grey" if step["grey"] else " mixed" if step["mixing"] else ""
            return f"{name} {step['sigma_255']:.1f}{kind}"
        case "poisson":
            level = f"x{step['scale']:.2f}" if step["peak"] is None else f"peak {step['peak']:.0f}"
            return f"photon {level}{' grey' if step['grey'] else ''}"
        case "bank":
            return f"bank patch {step['patch']} at {step['x']}, {step['y']}"
        case "usm":
            return f"sharpened {step['weight']:.1f}"
        case codec:
            return f"{'JPEG' if codec == 'jpeg' else 'WebP'} {step['quality']}"


def describe(steps: list[dict[str, Any]]) -> tuple[str, ...]:
    """The levels of a member, a line a step."""
    return tuple(_describe_step(step) for step in steps)


def _cells(row: dict[str, Any], members: Sequence[str], hr: U8, lr: U8) -> list[Cell]:
    """HR and its members, with every drawn parameter below, and what was measured."""
    cells = [Cell(hr, ("HR", row["source"], f"at {row['x']}, {row['y']}", *describe(row["hr"])))]
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


def preview_sheet(planned: Plan) -> U8:
    """Every sample of a plan, rendered now."""
    members = planned.config.members
    cells = [_cells(row, members, rendered.hr, rendered.lr) for row, rendered in preview(planned)]
    title = "HR and the five LR members of each group" if planned.config.kind == GROUPS else "HR and LR of each pair"
    return contact_sheet(cells, cell_px=200, title=title)


def store_sheet(store: Store, samples: Sequence[int]) -> U8:
    """Some samples of a finished store, as they are stored."""
    rows = store.manifest().take(list(samples)).to_pylist()
    hr, lr = (ShardReader(store, name).read(samples) for name in ("hr", "lr"))
    cells = [_cells(row, store.attributes["members"], hr[i], lr[i]) for i, row in enumerate(rows)]
    return contact_sheet(cells, cell_px=200)
