"""`rwsr sources`: what lies in image folders, before anything is built from them."""

import click

from ...degrade.storage.location import Place
from . import options as options

LAYOUTS = ("div2k", "flickr2k", "ntire2020", "aim2019", "realsr", "dped", "camerasr")


@click.group()
def sources() -> None:
    """Look at image folders before anything is built from them."""


@sources.command("index")
@click.argument("folders", nargs=-1, required=True, type=options.PLACE, metavar="DIR...")
@options.out_file(".parquet", "The index: a Parquet table.")
@click.option("--min-side", type=click.IntRange(min=1), default=None, help="Least side in pixels.  [default: 64]")
@options.choosing("both")
@options.image_limits
@click.option("--layout", type=click.Choice(LAYOUTS), default=None, help="Insist on a data set's folders and counts.")
@options.workers
@options.trackable
@options.as_json
def sources_index(
    folders: tuple[Place, ...],
    out: Place,
    min_side: int | None,
    chosen: options.Chosen,
    max_pixels: int | None,
    follow_links: bool,
    layout: str | None,
    workers: int,
    dask: options.Dask,
    track: bool,
    json_: bool,
) -> None:
    """Read every image below DIR... and write one row each: content hash, size, mode, status, reason.

    PNG, JPEG, TIFF, WebP and BMP, found recursively. A file that cannot be used is a row with the reason. Folders of
    well-known data sets are recognised by their names, and their images counted.

    \b
    Example:
      rwsr sources index photos --out index.parquet
    """
    from ...degrade.images import known_datasets
    from ...degrade.images import sources as index_
    from .. import stages

    config = options.index_config(chosen, max_pixels, follow_links, min_side)
    if layout is not None:
        known_datasets.check(layout, index_.listed(folders, config))
    job = stages.SourcesJob(
        folders=tuple(map(str, folders)), out=str(out), images=config, work=stages.Work(workers=workers, dask=dask)
    )
    made = options.tracked(stages.index, job, "index", track=track)
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)
