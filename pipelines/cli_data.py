"""`rwsr sources`, `degrade` and `store`: from image folders to a finished data set."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import cli_options as options

if TYPE_CHECKING:
    from ..degrade.groups import GroupsConfig

_PRESETS = ("mm-realsr",)
LAYOUTS = ("div2k", "flickr2k", "ntire2020", "aim2019", "realsr", "dped", "camerasr")


# --------------------------------------------------------------------------------------------------- sources


@click.group()
def sources() -> None:
    """Look at image folders before anything is built from them."""


@sources.command("index")
@click.argument("folders", nargs=-1, required=True, type=options.FOLDER, metavar="DIR...")
@click.option("--out", type=options.FILE, required=True, help="The index: a Parquet table.")
@click.option("--min-side", type=click.IntRange(min=1), default=None, help="Least side in pixels.  [default: 64]")
@options.image_limits
@click.option("--layout", type=click.Choice(LAYOUTS), default=None, help="Insist on a data set's folders and counts.")
@options.workers
@options.as_json
def sources_index(
    folders: tuple[Path, ...],
    out: Path,
    min_side: int | None,
    max_pixels: int | None,
    follow_links: bool,
    layout: str | None,
    workers: int,
    dask: options.Dask,
    json_: bool,
) -> None:
    """Read every image below DIR... and write one row each: content hash, size, mode, status, reason.

    PNG, JPEG, TIFF, WebP and BMP, found recursively. A file that cannot be used is a row with the reason. Folders of
    well-known data sets are recognised by their names, and their images counted.

    \b
    Example:
      rwsr sources index photos --out index.parquet
    """
    from . import layouts
    from . import sources as index_

    config = options.index_config(max_pixels, follow_links, min_side)
    if layout is not None:
        layouts.check(layout, index_.listed(folders, config))
    rows = index_.index(folders, out, config, options.executor(workers, dask))
    options.name_left_out(rows)
    found = layouts.recognise(rows)
    lines = [*(each.line for each in found), index_.summary(rows), f"wrote {out}"]
    result = {"index": out, "counts": options.counts(rows), "layouts": [each.as_dict() for each in found]}
    options.tell(result, lines, json_=json_)
    options.exit_by(rows)


# --------------------------------------------------------------------------------------------------- degrade


@click.group()
def degrade() -> None:
    """Degraded groups: HR crops with LR members whose order in blur and noise is known (MM-RealSR)."""


def _groups_config(preset: str, **changes: Any) -> "GroupsConfig":
    from .config import compose
    from .presets import PRESETS

    return compose(PRESETS[preset](), **changes)


_preset = click.option("--preset", type=click.Choice(_PRESETS), required=True, help="Recipe to start from.")


@degrade.command("presets")
@options.as_json
def degrade_presets(json_: bool) -> None:
    """List the recipes that --preset knows.

    \b
    Example:
      rwsr degrade presets
    """
    from .presets import PRESETS

    about = {name: (make.__doc__ or "").splitlines()[0] for name, make in PRESETS.items()}
    options.tell(about, [f"{name}: {text}" for name, text in about.items()], json_=json_)


@degrade.command("show")
@click.argument("preset", type=click.Choice(_PRESETS))
@options.configured
@options.as_json
def degrade_show(preset: str, config: Path | None, sets: tuple[str, ...], json_: bool) -> None:
    """Print a recipe in full, as a file that --config reads.

    \b
    Example:
      rwsr degrade show mm-realsr > recipe.yaml
    """
    from .config import to_yaml

    found = _groups_config(preset, config=config, sets=sets)
    options.tell(found.model_dump(mode="json"), [to_yaml(found).rstrip()], json_=json_)


@degrade.command("preview")
@_preset
@click.option("--source", "folders", multiple=True, required=True, type=options.FOLDER, help="Folder of images.")
@click.option("--out", type=options.FILE, required=True, help="The contact sheet, a PNG.")
@click.option("--samples", type=click.IntRange(1, 50), default=4, show_default=True, help="Groups to draw.")
@click.option("--hr-size", type=int, default=None, help="Side of the HR crops in pixels.  [default: the preset's]")
@options.seeded
@options.configured
@options.as_json
def degrade_preview(
    preset: str,
    folders: tuple[Path, ...],
    out: Path,
    samples: int,
    hr_size: int | None,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    json_: bool,
) -> None:
    """Draw a few groups with their parameters, before anything is built.

    These are the first groups of a store with that many samples.

    \b
    Example:
      rwsr degrade preview --preset mm-realsr --source photos --hr-size 256 --out preview.png
    """
    import tempfile

    from ..degrade.disk import write_atomic
    from ..degrade.image import encode_png
    from . import build_groups, sources
    from .sheets import preview_sheet

    groups = _groups_config(preset, config=config, sets=sets, num_samples=samples, hr_size_px=hr_size, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index.parquet"
        rows = sources.index(folders, index, sources.IndexConfig(), options.executor(options.cores(), None))
    options.name_left_out(rows)
    write_atomic(out, encode_png(preview_sheet(build_groups.plan(groups, rows))))
    options.tell({"sheet": out, "counts": options.counts(rows)}, [f"wrote {out}"], json_=json_)
    options.exit_by(rows)


@degrade.command("build")
@_preset
@click.option("--source", "folders", multiple=True, required=True, type=options.FOLDER, help="Folder of images.")
@click.option("--out", type=options.FOLDER, required=True, help="The store; its index is kept as OUT.index.parquet.")
@click.option("--samples", type=click.IntRange(min=1), default=None, help="Groups.  [default: 1000]")
@click.option("--hr-size", type=int, default=None, help="Side of the HR crops in pixels.  [default: the preset's]")
@options.seeded
@options.configured
@options.workers
@options.as_json
def degrade_build(
    preset: str,
    folders: tuple[Path, ...],
    out: Path,
    samples: int | None,
    hr_size: int | None,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    workers: int,
    dask: options.Dask,
    json_: bool,
) -> None:
    """Build a store of groups. Killed, the same command goes on; done, it changes nothing.

    \b
    Example:
      rwsr degrade build --preset mm-realsr --source photos --out groups.zarr --samples 200 --hr-size 256
    """
    from ..degrade.shards import is_free, open_store
    from ..degrade.verify import digest
    from . import build_groups, sources

    is_free(out)
    groups = _groups_config(preset, config=config, sets=sets, num_samples=samples, hr_size_px=hr_size, seed=seed)
    executor = options.executor(workers, dask)
    index_path = out.with_name(f"{out.name}.index.parquet")
    rows = sources.index(folders, index_path, sources.IndexConfig(), executor)
    options.name_left_out(rows)
    planned = build_groups.plan(groups, rows)
    store_, rendered = build_groups.build(out, planned, executor)
    found = digest(open_store(store_.path, build_groups.KIND))
    lines = [sources.summary(rows)]
    if planned.num_too_small:
        lines.append(f"{planned.num_too_small} of them are smaller than an HR crop of {groups.hr_size_px} px")
    done = f"rendered {rendered} groups" if rendered else "all groups were there already"
    lines += [f"{done}; {out} holds {groups.num_samples}, digest {found[:16]}"]
    options.tell(
        {
            "store": out,
            "rendered": rendered,
            "num_samples": groups.num_samples,
            "digest": found,
            "counts": options.counts(rows),
            "smaller_than_crop": planned.num_too_small,
        },
        lines,
        json_=json_,
    )
    options.exit_by(rows)


# ----------------------------------------------------------------------------------------------------- store


@click.group()
def store() -> None:
    """Look into a store, check every byte of it, render a sample of it again."""


_store_argument = click.argument("store_folder", type=options.FOLDER, metavar="STORE")


@store.command("info")
@_store_argument
@options.as_json
def store_info(store_folder: Path, json_: bool) -> None:
    """Say what a store of groups or a noise bank is and where it comes from.

    \b
    Example:
      rwsr store info groups.zarr
    """
    from .stores import info

    result = info(store_folder)
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines = [
        f"{result['store']}: {result['kind']}, format {result['format']}",
        *(f"  {name}: {shape} uint8" for name, shape in result["arrays"].items()),
        f"  {result['num_shards']} shards of {result['samples_per_shard']} samples, {result['missing']} missing",
        f"  digest {result['digest']}" if not result["missing"] else "  unfinished: run the command that built it",
        f"  made by {versions}",
    ]
    options.tell(result, lines, json_=json_)


@store.command("verify")
@_store_argument
@options.workers
@options.as_json
def store_verify(store_folder: Path, workers: int, dask: options.Dask, json_: bool) -> None:
    """Read every byte of a store and compare it with what was committed; exit 1 when anything differs.

    \b
    Example:
      rwsr store verify groups.zarr
    """
    from .stores import problems

    found = problems(store_folder, options.executor(workers, dask))
    lines = found or [f"{store_folder} is whole: every byte is what was committed"]
    options.tell({"store": store_folder, "problems": found}, lines, json_=json_)
    if found:
        sys.exit(1)


@store.command("render")
@_store_argument
@click.argument("sample", type=int, metavar="N")
@click.option("--source", "folders", multiple=True, type=options.FOLDER, help="Where the sources lie now.")
@click.option("--out", type=options.FOLDER, default=None, help="Write HR and every LR member as PNG files here.")
@options.as_json
def store_render(store_folder: Path, sample: int, folders: tuple[Path, ...], out: Path | None, json_: bool) -> None:
    """Render sample N of a store of groups again, and say whether it equals what is stored (exit 1: it does not).

    \b
    Example:
      rwsr store render groups.zarr 17 --out sample-17
    """
    from ..degrade.disk import write_atomic
    from ..degrade.image import encode_png
    from ..degrade.shards import open_store
    from . import build_groups

    opened = open_store(store_folder, build_groups.KIND)
    rendered, same = build_groups.render_again(opened, sample, folders)
    written: list[Path] = []
    if out is not None:
        images = {"hr": rendered.hr} | dict(zip(opened.attributes["members"], rendered.lr, strict=True))
        for name, pixels in images.items():
            written.append(out / f"{sample:06d}_{name}.png")
            write_atomic(written[-1], encode_png(pixels))
    lines = [f"sample {sample} {'equals' if same else 'DIFFERS from'} what {store_folder} holds"]
    options.tell(
        {"sample": sample, "equal": same, "files": written},
        [*lines, *(f"wrote {path}" for path in written)],
        json_=json_,
    )
    if not same:
        sys.exit(1)
