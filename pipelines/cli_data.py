"""`rwsr sources`, `noisebank`, `degrade` and `store`: everything up to a finished data set."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from . import cli_options as options
from .console import printable, say

if TYPE_CHECKING:
    from ..degrade.groups import GroupsConfig
    from .executors import Executor
    from .sources import SourceRow

_PRESETS = ("mm-realsr",)
Dask = Literal["local"] | None


def _executor(workers: int, dask: Dask) -> "Executor":
    from .executors import Executor

    return Executor(workers, dask)


def _name_left_out(rows: "Sequence[SourceRow]") -> None:
    from .sources import left_out

    for row in left_out(rows):
        say(f"left out: {row.status}: {printable(row.file)}: {row.reason}")


def _exit(rows: "Sequence[SourceRow]") -> None:
    """Say by the exit code whether every image was used."""
    from .sources import left_out

    if left_out(rows):
        sys.exit(options.LEFT_OUT_EXIT_CODE)


def _counts(rows: "Sequence[SourceRow]") -> dict[str, int]:
    from collections import Counter

    return dict(Counter(row.status for row in rows))


# --------------------------------------------------------------------------------------------------- sources


@click.group()
def sources() -> None:
    """Look at image folders before anything is built from them."""


@sources.command("index")
@click.argument("folders", nargs=-1, required=True, type=options.FOLDER, metavar="DIR...")
@click.option("--out", type=options.FILE, required=True, help="The index: a Parquet table.")
@click.option("--min-side", type=click.IntRange(min=1), default=None, help="Least side in pixels.  [default: 64]")
@click.option("--max-pixels", type=click.IntRange(min=1), default=None, help="Most pixels.  [default: 178956970]")
@options.workers
@options.as_json
def sources_index(
    folders: tuple[Path, ...],
    out: Path,
    min_side: int | None,
    max_pixels: int | None,
    workers: int,
    dask: Dask,
    json_: bool,
) -> None:
    """Read every image below DIR... and write one row each: content hash, size, mode, status, reason.

    PNG, JPEG, TIFF, WebP and BMP, found recursively. A file that cannot be used is a row with the reason.

    \b
    Example:
      rwsr sources index photos --out index.parquet
    """
    from . import sources as index_
    from .config import compose

    config = compose(index_.IndexConfig(), min_side_px=min_side, max_pixels=max_pixels)
    rows = index_.index(folders, out, config, _executor(workers, dask))
    _name_left_out(rows)
    options.tell({"index": out, "counts": _counts(rows)}, [index_.summary(rows), f"wrote {out}"], json_=json_)
    _exit(rows)


# ------------------------------------------------------------------------------------------------- noisebank


@click.group()
def noisebank() -> None:
    """Noise banks: patches of nothing but noise, cut where a data set is flattest (NGDC of RWSR-EDL)."""


def _bank_config(size: int | None, stride: int | None, **rest: Any) -> Any:
    from ..noisebank.bank import BankConfig
    from .config import compose

    grid = {name: value for name, value in (("size", size), ("stride", stride or size)) if value is not None}
    rule = {name: value for name in ("quantile", "max_clipped") if (value := rest.pop(name, None)) is not None}
    base = compose(BankConfig(), grid=grid or None, rule=rule or None)
    return compose(base, **rest)


@noisebank.command("scan")
@click.option("--target", "folders", multiple=True, required=True, type=options.FOLDER, help="Folder of images.")
@click.option("--out", type=options.FOLDER, required=True, help="Folder for the index and the tile table.")
@click.option("--size", type=int, default=None, help="Side of a tile in pixels.  [default: 256]")
@click.option("--stride", type=int, default=None, help="Pixels from tile to tile.  [default: as --size]")
@options.workers
@options.as_json
def noisebank_scan(
    folders: tuple[Path, ...],
    out: Path,
    size: int | None,
    stride: int | None,
    workers: int,
    dask: Dask,
    json_: bool,
) -> None:
    """Measure every tile of every image: luma mean and variance, share of clipped pixels.

    \b
    Example:
      rwsr noisebank scan --target photos --out photos.scan --size 64
    """
    from ..degrade.tables import read
    from . import build_bank, sources

    config = _bank_config(size, stride)
    found = build_bank.scan(folders, out, config.grid, sources.IndexConfig(), _executor(workers, dask))
    _name_left_out(found.rows)
    tiles = read(found.tiles, build_bank.TILES_KIND)[0].num_rows
    lines = [
        sources.summary(found.rows),
        f"measured {tiles} tiles of {config.grid.size} px",
        f"wrote {found.tiles}",
    ]
    options.tell(
        {"tiles": found.tiles, "index": found.index, "num_tiles": tiles, "counts": _counts(found.rows)},
        lines,
        json_=json_,
    )
    _exit(found.rows)


@noisebank.command("build")
@click.option("--target", "folders", multiple=True, required=True, type=options.FOLDER, help="Folder of images.")
@click.option("--out", type=options.FOLDER, required=True, help="The bank; its scan is kept beside, in OUT.scan.")
@click.option("--size", type=int, default=None, help="Side of a patch in pixels.  [default: 256]")
@click.option("--stride", type=int, default=None, help="Pixels from tile to tile.  [default: as --size]")
@click.option("--quantile", type=float, default=None, help="Share of tiles, by variance.  [default: 0.02]")
@click.option("--max-clipped", type=float, default=None, help="Most clipped pixels in a tile.  [default: 0.05]")
@options.configured
@options.workers
@options.as_json
def noisebank_build(
    folders: tuple[Path, ...],
    out: Path,
    size: int | None,
    stride: int | None,
    quantile: float | None,
    max_clipped: float | None,
    config: Path | None,
    sets: tuple[str, ...],
    workers: int,
    dask: Dask,
    json_: bool,
) -> None:
    """Scan the images, take the characteristic interval (CATI) of the flattest tiles, cut the tiles inside it.

    \b
    Example:
      rwsr noisebank build --target photos --out bank.zarr --size 64 --stride 32
    """
    from . import build_bank, sources

    bank_config = _bank_config(size, stride, quantile=quantile, max_clipped=max_clipped, config=config, sets=sets)
    executor = _executor(workers, dask)
    scan_folder = out.with_name(f"{out.name}.scan")
    found = build_bank.scan(folders, scan_folder, bank_config.grid, sources.IndexConfig(), executor)
    _name_left_out(found.rows)
    build_bank.check_sizes(found, bank_config.grid)
    bank = build_bank.build(out, found, bank_config, executor)
    lines = [sources.summary(found.rows), *_bank_lines(bank), f"wrote {out} and {scan_folder}"]
    options.tell(_bank_result(bank) | {"counts": _counts(found.rows)}, lines, json_=json_)
    _exit(found.rows)


def _bank_result(bank: Any) -> dict[str, Any]:
    return {"bank": bank.store.path, "num_patches": len(bank.patches), "cati": bank.cati.model_dump()}


def _bank_lines(bank: Any) -> list[str]:
    cati = bank.cati
    return [
        f"{cati.num_tiles} tiles, {cati.num_noiseless} without noise (constant or clipped)",
        f"CATI of the bottom {cati.quantile:.2%}: variance {cati.variance[0]:.3f} to {cati.variance[1]:.3f}, "
        f"mean {cati.mean[0]:.1f} to {cati.mean[1]:.1f}",
        f"{len(bank.patches)} patches of {bank.store.layout.arrays[0].sample_shape[0]} px",
    ]


@noisebank.command("show")
@click.argument("bank_folder", type=options.FOLDER, metavar="BANK")
@click.option("--out", type=options.FILE, default=None, help="Draw a contact sheet of the patches as PNG.")
@options.as_json
def noisebank_show(bank_folder: Path, out: Path | None, json_: bool) -> None:
    """Say what a bank holds, and draw it.

    \b
    Example:
      rwsr noisebank show bank.zarr --out bank.png
    """
    from collections import Counter

    from ..noisebank.bank import NoiseBank

    bank = NoiseBank.open(bank_folder)
    per_source = Counter(bank.table["source"].to_pylist())
    lines = [*_bank_lines(bank), *(f"{count:6d} from {source}" for source, count in per_source.most_common())]
    if out is not None:
        from ..degrade.disk import write_atomic
        from ..degrade.image import encode_png
        from .sheets import bank_sheet

        write_atomic(out, encode_png(bank_sheet(bank)))
        lines.append(f"wrote {out}")
    options.tell(_bank_result(bank) | {"sources": per_source, "sheet": out}, lines, json_=json_)


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
        rows = sources.index(folders, index, sources.IndexConfig(), _executor(options.cores(), None))
    _name_left_out(rows)
    write_atomic(out, encode_png(preview_sheet(build_groups.plan(groups, rows))))
    options.tell({"sheet": out, "counts": _counts(rows)}, [f"wrote {out}"], json_=json_)
    _exit(rows)


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
    dask: Dask,
    json_: bool,
) -> None:
    """Build a store of groups. Killed, the same command goes on; done, it changes nothing.

    \b
    Example:
      rwsr degrade build --preset mm-realsr --source photos --out groups.zarr --samples 200 --hr-size 256
    """
    from ..degrade.shards import open_store
    from ..degrade.verify import digest
    from . import build_groups, sources

    groups = _groups_config(preset, config=config, sets=sets, num_samples=samples, hr_size_px=hr_size, seed=seed)
    executor = _executor(workers, dask)
    index_path = out.with_name(f"{out.name}.index.parquet")
    rows = sources.index(folders, index_path, sources.IndexConfig(), executor)
    _name_left_out(rows)
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
            "counts": _counts(rows),
            "smaller_than_crop": planned.num_too_small,
        },
        lines,
        json_=json_,
    )
    _exit(rows)


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
def store_verify(store_folder: Path, workers: int, dask: Dask, json_: bool) -> None:
    """Read every byte of a store and compare it with what was committed; exit 1 when anything differs.

    \b
    Example:
      rwsr store verify groups.zarr
    """
    from .stores import problems

    found = problems(store_folder, _executor(workers, dask))
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
