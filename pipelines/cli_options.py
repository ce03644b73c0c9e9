"""The options that mean the same in every command, and how a command prints what it did."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.Path(path_type=Path)
FILE = click.Path(path_type=Path)
LEFT_OUT_EXIT_CODE = 3


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def workers(function: F) -> F:
    """--workers and --dask."""
    function = click.option(
        "--dask",
        type=click.Choice(["local"]),
        default=None,
        help="Run on Dask processes of this machine instead of threads.",
    )(function)
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=cores,
        show_default="all cores",
        help="Threads, or Dask processes. The result is the same for any number.",
    )(function)


def configured(function: F) -> F:
    """--config and --set."""
    function = click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY.PATH=VALUE",
        help="Change one config key; may be repeated, and wins over --config.",
    )(function)
    return click.option("--config", type=FILE, default=None, help="YAML or TOML file of config keys.")(function)


def seeded(function: F) -> F:
    """--seed."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=None, help="Seed of every random draw.  [default: 0]"
    )(function)


def as_json(function: F) -> F:
    """--json."""
    return click.option("--json", "json_", is_flag=True, help="Print the result as JSON on stdout.")(function)


def tell(result: dict[str, Any], lines: list[str], *, json_: bool) -> None:
    """The result: as JSON, or as lines for a person."""
    click.echo(json.dumps(result, indent=1, default=str) if json_ else "\n".join(lines))
