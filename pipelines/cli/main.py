"""The `rwsr` command. It imports torch, dask, numpy and friends only inside the command that needs them."""

import os
import sys
import time
import warnings
from collections.abc import Sequence

import click

from .degrade import degrade
from .eval import evaluate, report, weights
from .flow import flow
from .model import demo, export, restore
from .noisebank import noisebank
from .pairs import pairs
from .paper import paper
from .store import sources, store
from .studio import studio
from .train import train

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
@click.version_option(package_name="rwsr")
def root() -> None:
    """Training data, training and measurement for real-world super-resolution.

    \b
    image folders --> noise bank
         |                |
         +--> store of degraded groups --> train --> restore --> eval --> report

    \b
    Start here:
      rwsr demo DEMO

    Exit codes: 0 done, 1 an error that the last line explains, 2 wrong usage, 3 done, but some images
    were left out (each is named).
    """
    from ...degrade.progress import process_number
    from ..console import tell_the_person

    if not process_number():
        tell_the_person()


for command in (
    sources,
    noisebank,
    degrade,
    pairs,
    store,
    train,
    restore,
    export,
    evaluate,
    report,
    paper,
    weights,
    flow,
    studio,
    demo,
):
    root.add_command(command)


_GOES_ON = (  # whose work is committed piece by piece
    *(
        "sources index",
        "noisebank scan",
        "noisebank build",
        "degrade build",
        "pairs build",
        "pairs make",
        "store export",
    ),
    *("train", "paper", "flow run", "demo"),
)


_AFTER_THE_FIRST_S = 3


def _after_a_stop(words: Sequence[str]) -> str:
    """What the same command will do after Ctrl-C."""
    said = " ".join(word for word in words if not word.startswith("-"))
    if any(said == known or said.startswith(f"{known} ") for known in _GOES_ON):
        return "what is written is whole, and the same command goes on from there"
    return "what is written is whole; the same command begins again, and writes over its own"


def main() -> None:
    """The entry point: errors that a user can correct are one line, without a traceback.

    What decoders say of bad files on their own is kept quiet: each such file gets a line of ours, with its name.
    """
    from ...degrade.errors import UserError
    from ...degrade.progress import process_number
    from ..console import tell_warnings

    number = process_number()
    if not number:
        tell_warnings()
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    try:
        sys.exit(root.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"\nstopped: {_after_a_stop(sys.argv[1:])}", err=True)
        sys.exit(1)
    except UserError as error:
        if number:
            time.sleep(_AFTER_THE_FIRST_S)  # what befalls all is said by the first, whose end ends the others
        click.echo(f"process {number}: error: {error}" if number else f"error: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # whoever read it has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        click.echo(f"error: {error.strerror or error}: {error.filename or 'while reading or writing'}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
