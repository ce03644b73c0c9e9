"""`rwsr sources` and `rwsr store`: what lies in image folders, and what in finished stores."""

import sys
from pathlib import Path
from typing import Any

import click

from ...degrade.storage.location import Place
from .common import options, params

LAYOUTS = ("div2k", "flickr2k", "ntire2020", "aim2019", "realsr", "dped", "camerasr")


@click.group(short_help="A look at image folders before anything is built")
def sources() -> None:
    """Look at image folders before anything is built from them."""


@sources.command("index", short_help="A row for each image: hash, size, mode, status")
@click.argument("folders", nargs=-1, required=True, type=params.PLACE, metavar="DIR...")
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
    from ..stages import images

    config = options.index_config(chosen, max_pixels, follow_links, min_side)
    if layout is not None:
        known_datasets.check(layout, index_.listed(folders, config))
    stage = images.Index(folders=folders, images=config)
    made = options.done(stage, out, workers=workers, dask=dask, track=track)
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)


@click.group(short_help="What a store is, and whether it is whole")
def store() -> None:
    """Look into a store, check every byte of it, render a sample of it again."""


_store_argument = click.argument("store_folder", type=params.PLACE, metavar="STORE")


def _about_samples(result: dict[str, Any]) -> list[str]:
    """Of a store of groups or pairs: what it was drawn from."""
    recipe = result["config"].get("recipe")
    if recipe is None:
        return []
    attributes = result["attributes"]
    return [
        f"  recipe {recipe['kind']}, seed {result['config']['seed']}, scale {attributes['scale']}, "
        f"members {', '.join(attributes['members'])}"
    ]


@store.command("info", short_help="What a store or a bank is, and its digest")
@_store_argument
@options.as_json
def store_info(store_folder: Place, json_: bool) -> None:
    """Say what a store of groups, a store of pairs or a noise bank is, and where it comes from.

    \b
    Example:
      rwsr store info groups.zarr
    """
    from ...degrade.storage.shards.inspect import info

    result = info(store_folder)
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines = [
        f"{result['store']}: {result['kind']}, format {result['format']}",
        *(f"  {name}: {shape} uint8" for name, shape in result["arrays"].items()),
        *_about_samples(result),
        f"  {result['num_shards']} shards of {result['samples_per_shard']} samples, {result['missing']} missing",
        f"  digest {result['digest']}" if not result["missing"] else "  unfinished: run the command that built it",
        f"  made by {versions}",
    ]
    options.tell(result, lines, json_=json_)


@store.command("verify", short_help="Every byte compared with what was written")
@_store_argument
@options.workers
@options.as_json
def store_verify(store_folder: Place, workers: int, dask: options.Dask, json_: bool) -> None:
    """Read every byte of a store and compare it with what was committed; exit 1 when anything differs.

    \b
    Example:
      rwsr store verify groups.zarr
    """
    from ...degrade.storage.shards.inspect import problems

    found = problems(store_folder, options.runner(workers, dask))
    lines = found or [f"{store_folder} is whole: every byte is what was committed"]
    options.tell({"store": store_folder, "problems": found}, lines, json_=json_)
    if found:
        sys.exit(1)


@store.command("render", short_help="One sample made again, and compared")
@_store_argument
@click.argument("sample", type=int, metavar="N")
@click.option("--source", "folders", multiple=True, type=params.PLACE, help="Where the sources lie now.")
@click.option("--bank", type=params.PLACE, default=None, help="Where the noise bank lies now.")
@click.option("--out", type=params.OUT, default=None, help="Write HR and every LR member as PNG files here.")
@options.as_json
def store_render(
    store_folder: Place, sample: int, folders: tuple[Place, ...], bank: Place | None, out: Place | None, json_: bool
) -> None:
    """Render sample N of a store again, and say whether it equals what is stored (exit 1: it does not).

    \b
    Example:
      rwsr store render groups.zarr 17 --out sample-17
    """
    from ...degrade import build_store
    from ...degrade.images.pixels import encode_png
    from ...degrade.quality.render_again import render_again
    from ...degrade.storage.location import write
    from ...noisebank.bank import NoiseBank

    opened = build_store.open_samples(store_folder)
    rendered, same = render_again(opened, sample, folders, bank, open_bank=NoiseBank.open)
    written: list[Place] = []
    if out is not None:
        images = {"hr": rendered.hr} | dict(zip(opened.attributes["members"], rendered.lr, strict=True))
        for name, pixels in images.items():
            written.append(out / f"{sample:06d}_{name}.png")
            write(written[-1], encode_png(pixels))
    lines = [f"sample {sample} {'equals' if same else 'DIFFERS from'} what {store_folder} holds"]
    options.tell(
        {"sample": sample, "equal": same, "files": written},
        [*lines, *(f"wrote {path}" for path in written)],
        json_=json_,
    )
    if not same:
        sys.exit(1)


@store.command("export", short_help="The samples as folders of PNG")
@_store_argument
@click.option("--out", type=params.LOCAL, required=True, help="A new folder for the PNG files.")
@options.workers
@options.as_json
def store_export(store_folder: Place, out: Path, workers: int, dask: options.Dask, json_: bool) -> None:
    """Write the pairs or groups as folders of PNG, which BasicSR, neosr and traiNNer read.

    OUT/hr and OUT/lr (of groups a folder for each member) hold files of equal names; OUT/meta_info.txt lists them.
    Groups that were flagged as disordered are left out. Killed, the same command goes on.

    \b
    Example:
      rwsr store export groups.zarr --out groups-png
    """
    from ...degrade import build_store
    from ...degrade.export_store import export

    opened = build_store.open_samples(store_folder)
    count, written = export(opened, out, options.runner(workers, dask))
    folders = ["hr", *opened.attributes["members"]]
    options.tell(
        {"out": out, "samples": count, "written": written, "folders": folders},
        [f"{out} holds {count} samples in {', '.join(folders)}; {written} were written now"],
        json_=json_,
    )


@store.command("report", short_help="The quality of a store as a page of plots")
@_store_argument
@options.out_file(".html", "The page, an HTML file; a .parquet is written beside.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=200, show_default=True, help="Samples to measure, evenly spread."
)
@options.workers
@options.as_json
def store_report(store_folder: Place, out: Place, samples: int, workers: int, dask: options.Dask, json_: bool) -> None:
    """Draw the quality of a store: what was drawn, what the images measure, order, registration, what was left out.

    \b
    Example:
      rwsr store report groups.zarr --out quality.html
    """
    from ...degrade import build_store
    from ...eval.store_page import write_quality

    written = write_quality(build_store.open_samples(store_folder), out, samples, options.runner(workers, dask))
    options.tell({"written": written}, [f"wrote {path}" for path in written], json_=json_)
