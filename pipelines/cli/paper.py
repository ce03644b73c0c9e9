"""`rwsr paper`: every table and figure of the four papers, by name."""

from pathlib import Path
from typing import Any

import click

from .common import options, params

_PAPERS = {
    "cugan": "CUGAN (Cai et al. 2021)",
    "mm-realsr": "MM-RealSR (Mou et al. 2022)",
    "rwsr-edl": "RWSR-EDL (Li et al. 2021)",
    "hr-aware": "HR-aware (Zhang and Yao 2024)",
}


@click.group(short_help="Every table and figure of the four papers")
def paper() -> None:
    """Make a table or a figure of a paper by its name: its data, trainings, measurement, and a page with the printed
    figures beside.

    `rwsr paper list` says of each what it takes, and how long.

    \b
    Example:
      rwsr paper cugan table2 --small --photos DIV2K --test CBSD68 --out table2
    """


@paper.command("list", short_help="What there is, and what each takes")
@click.argument("paper", required=False, type=click.Choice(list(_PAPERS)), metavar="[PAPER]")
@options.as_json
def paper_list(paper: str | None, json_: bool) -> None:
    """Print every table and figure, or those of one PAPER: what it shows, what of yours it takes, which published files
    it lacks here, and how long its trainings are at the paper's size.

    \b
    Example:
      rwsr paper list cugan
    """
    from ..papers.items import ITEMS
    from ..papers.items.listing import state_of

    states = [state_of(each) for each in ITEMS if paper in (None, each.paper)]
    lines: list[str] = []
    for name, title in _PAPERS.items():
        of_paper = [each for each in states if each.item.paper == name]
        lines += [title, *(line for each in of_paper for line in each.lines), ""] if of_paper else []
    options.tell({"items": [each.values for each in states]}, lines[:-1], json_=json_)


def _names(name: str) -> list[str]:
    from ..papers.items import ITEMS

    return [each.name for each in ITEMS if each.paper == name]


_INPUTS = {  # what some papers take and others not, by its name in an order
    "photos": click.option(
        "--photos", multiple=True, type=params.PLACE, help="Folder of clean photographs to train on; repeatable."
    ),
    "target": click.option(
        "--target", multiple=True, type=params.PLACE, help="Folder of the camera's photographs; repeatable."
    ),
    "auxiliary": click.option(
        "--auxiliary", multiple=True, type=params.PLACE, help="Folder of other cameras' photographs; repeatable."
    ),
    "test": click.option("--test", type=params.PLACE, default=None, help="Folder to measure on: HR, or photographs."),
    "test_lr": click.option("--test-lr", type=params.PLACE, default=None, help="Folder of its LR."),
    "simulate_camera": click.option(
        "--simulate-camera",
        type=click.Choice(["soft", "noisy"]),
        default=None,
        help="Instead of --test-lr: the LR is made by a camera with soft optics, or with a noisy sensor.",
    ),
    "model": click.option(
        "--model", "models", multiple=True, metavar="[NAME=]PATH", help="A run, or a published file; repeatable."
    ),
    "far_model": click.option(
        "--far-model", type=params.LOCAL, default=None, help="The SR model that FAR looks through."
    ),
    "row": click.option("--row", "rows", multiple=True, metavar="NAME", help="Only this row of a table; repeatable."),
    "seeds": click.option(
        "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings of each row."
    ),
}
_PAIRS = ("test", "test_lr", "simulate_camera", "model")
TAKES = {  # a test looks whether the items say the same
    "cugan": ("photos", "test", "model"),
    "mm-realsr": ("photos", *_PAIRS),
    "rwsr-edl": ("photos", "target", "auxiliary", *_PAIRS, "row", "seeds"),
    "hr-aware": ("photos", *_PAIRS, "far_model", "row", "seeds"),
}
_OPTIONS = (
    click.option("--out", type=params.LOCAL, required=True, help="Folder of all that is made."),
    click.option("--small", is_flag=True, help="Minutes or hours on a CPU, instead of the paper's numbers."),
    click.option("--steps", type=click.IntRange(min=1), default=None, help="Of every training.  [default: its own]"),
    click.option("--samples", type=click.IntRange(min=1), default=None, help="Of every store.  [default: its own]"),
    click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings at once."),
    click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="[PART:]KEY=VALUE",
        help="A key of all trainings, of one (cunet:loop.steps=9) or of the stores (pairs:hr_size_px=96); repeatable.",
    ),
    click.option("--metric", "metrics", multiple=True, metavar="NAME", help="As of `rwsr eval`; repeatable."),
    options.as_json,
)


def _command(name: str, title: str) -> click.Command:
    def run(item: str, out: Path, json_: bool, models: tuple[str, ...], **told: Any) -> None:
        _make(name, item, out, json_, models, **told)

    run.__doc__ = f"""Make ITEM, a table or a figure of {title}, as table1 or fig6, into a folder.

    Killed, the same command goes on where it was. What an item takes says `rwsr paper list {name}`.

    \b
    Example:
      rwsr paper {name} {_EXAMPLES[name]}
    """
    command: Any = run
    for option in reversed((*(_INPUTS[each] for each in TAKES[name]), *_OPTIONS)):
        command = option(command)
    choice = params.LazyChoice(lambda: _names(name))
    command = click.argument("item", type=choice, metavar="ITEM")(command)
    return click.command(name, short_help=title)(command)


_EXAMPLES = {
    "cugan": "table2 --small --photos DIV2K --test CBSD68 --out table2",
    "mm-realsr": "fig6 --small --photos DF2K --test CID22 --out fig6",
    "rwsr-edl": "table9 --small --target MINE --auxiliary DIV2K --test VALID --simulate-camera noisy --out table9",
    "hr-aware": "table1 --small --photos DIV2K --model run --test VALID --simulate-camera soft --out table1",
}


def _make(name: str, item: str, out: Path, json_: bool, models: tuple[str, ...], **told: Any) -> None:
    """told: what else an order says, by the names of its options."""
    from ..evaluate import named_models
    from ..papers.items import item_of
    from ..papers.items.base import Order, carry_out

    if told.get("test_lr") is not None and told.get("simulate_camera") is not None:
        raise click.UsageError("name --test-lr, or --simulate-camera to have it made, not both")
    chosen = item_of(name, item)
    made = carry_out(chosen, Order(out=out, models=named_models(models), **told))
    options.tell({"page": made.page, "item": chosen.called, "runs": made.runs}, made.lines, json_=json_)


for _name, _title in _PAPERS.items():
    paper.add_command(_command(_name, _title))
