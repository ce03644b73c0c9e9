"""`rwsr studio`: a page on this machine to turn, look and decide."""

from pathlib import Path

import click

from ...degrade.errors import UserError
from ...degrade.storage.location import Place
from .common import params
from .common.params import named_paths


@click.command(short_help="A page to turn models, recipes, banks and stores")
@click.argument("images", nargs=-1, type=params.LOCAL, metavar="[IMAGE]...")
@click.option("--model", "models", multiple=True, metavar="[NAME=]PATH", help="A run, or a published file; repeatable.")
@click.option("--bank", "banks", multiple=True, type=params.PLACE, help="A noise bank, or a scan; repeatable.")
@click.option("--store", "stores", multiple=True, type=params.PLACE, help="A store; repeatable.")
@click.option("--run", "runs", multiple=True, type=params.LOCAL, help="A run of `rwsr train`; repeatable.")
@click.option(
    "--out", type=params.LOCAL, default="studio", show_default=True, help="Folder of what is made and dropped on it."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve at; 0.0.0.0 is every one.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="[default: a free one]")
@click.option("--no-open", is_flag=True, help="Leave the browser as it is.")
def studio(
    images: tuple[Path, ...],
    models: tuple[str, ...],
    banks: tuple[Place, ...],
    stores: tuple[Place, ...],
    runs: tuple[Path, ...],
    out: Path,
    host: str,
    port: int,
    no_open: bool,
) -> None:
    """Open a page in the browser: models, recipes, noise banks, stores and trainings, turned while one looks.

    Images under models and settings beside each other; recipes key by key beside samples of them; a noise bank's box
    dragged over all tiles; stores sample by sample; trainings as they run.

    It is served to this machine alone, and asks nothing of any other. Needs pip install 'rwsr[studio]'.

    \b
    Example:
      rwsr studio photo.png --model run --model realesr=RealESRGAN_General_x4_v3.param
    """
    try:
        from nicegui import __version__ as _  # noqa: F401

        from ..studio.server import LOOPBACK, Studio, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "nicegui":
            raise
        raise UserError("the studio needs NiceGUI: pip install 'rwsr[studio]'") from None
    named = named_paths(models, taken=("bicubic",))
    for path in (*images, *named.values(), *runs, *stores, *banks):
        if not path.exists() and "@" not in path.name:
            raise UserError(f"{path} does not exist; name another")
    told = Studio(out, named, images, stores, banks, runs, at_home=host in LOOPBACK)
    serve(told, host=host, port=port, show=not no_open)
