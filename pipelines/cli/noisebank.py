"""`rwsr noisebank`: from folders to patches of nothing but noise, and what to know before choosing them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ...degrade.progress import say
from ...degrade.storage.location import Place
from .common import options, params

if TYPE_CHECKING:
    from ...noisebank.bank import BankConfig

F = TypeVar("F", bound=Callable[..., Any])

_RULES = {
    "cati": ("quantile", "min_mean", "max_clipped", "strata", "paper_exact"),
    "threshold": ("max_var", "min_mean"),
    "box": ("max_clipped",),
}


@click.group(short_help="Noise banks: patches of nothing but noise")
def noisebank() -> None:
    """Noise banks: patches of nothing but noise, cut where a data set is flattest (NGDC of RWSR-EDL)."""


def _sets(*, required: bool) -> Callable[[F], F]:
    """--target and --auxiliary."""

    def decorate(function: F) -> F:
        function = click.option(
            "--auxiliary",
            multiple=True,
            type=params.PLACE,
            help="Folder of an auxiliary set, filtered by the target's rule; may be repeated.",
        )(function)
        return click.option(
            "--target",
            multiple=True,
            required=required,
            type=params.PLACE,
            help="Folder of the target set; repeated, they are one set.",
        )(function)

    return decorate


# ------------------------------------------------------------------------------------------------------ scan


@noisebank.command("scan", short_help="Mean and variance of every tile of every image")
@_sets(required=True)
@click.option("--out", type=params.OUT, required=True, help="Folder for the indexes and the tile tables.")
@click.option("--size", "sizes", type=int, multiple=True, help="Side of a tile in pixels.  [default: 256, 128, 64]")
@click.option("--stride", type=int, default=None, help="Pixels from tile to tile, at the first size.  [default: size]")
@options.choosing("lr")
@options.image_limits
@options.workers
@options.as_json
def noisebank_scan(
    target: tuple[Place, ...],
    auxiliary: tuple[Place, ...],
    out: Place,
    sizes: tuple[int, ...],
    stride: int | None,
    chosen: options.Chosen,
    max_pixels: int | None,
    follow_links: bool,
    workers: int,
    dask: options.Dask,
    json_: bool,
) -> None:
    """Measure every tile of every image once: mean and variance of luma and channels, share of clipped pixels.

    Any number of sizes costs one decode. `yield` and `build --scan` then work from these tables.

    \b
    Example:
      rwsr noisebank scan --target photos --out photos.scan --size 64
    """
    from ...degrade.config import compose
    from ...noisebank.set_scan import ScanConfig
    from ...noisebank.tiles import TileGrid
    from ..stages import images

    sizes = sizes or (256, 128, 64)
    first = compose(TileGrid(), size=sizes[0], stride=sizes[0] if stride is None else stride)
    grids = [compose(first, size=size, stride=max(1, first.stride * size // first.size)) for size in sizes]
    stage = images.Scan(
        target=target,
        auxiliary=auxiliary,
        grids=ScanConfig(grids=tuple(dict.fromkeys(grids))),
        images=options.index_config(chosen, max_pixels, follow_links),
    )
    made = options.done(stage, out, workers=workers, dask=dask, track=False)
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)


# ----------------------------------------------------------------------------------------------------- yield


@noisebank.command("yield", short_help="How many patches each rule would take")
@click.argument("scan_folder", type=params.PLACE, metavar="SCAN")
@click.option(
    "--quantile", "quantiles", type=params.NUMBER, multiple=True, help="May be repeated.  [default: 0.5 % to 10 %]"
)
@click.option("--min-mean", "min_means", type=params.NUMBER, multiple=True, help="May be repeated.  [default: 0, 50]")
@click.option("--max-var", "max_vars", type=params.NUMBER, multiple=True, help="May be repeated.  [default: 20]")
@click.option("--size", "sizes", type=int, multiple=True, help="May be repeated.  [default: all that were scanned]")
@click.option("--strata", type=int, default=1, show_default=True, help="Bands of brightness for the quantiles.")
@options.as_json
def noisebank_yield(
    scan_folder: Place,
    quantiles: tuple[float, ...],
    min_means: tuple[float, ...],
    max_vars: tuple[float, ...],
    sizes: tuple[int, ...],
    strata: int,
    json_: bool,
) -> None:
    """Say how many patches each rule would take, at each tile size, from the statistics alone.

    SCAN is what `noisebank scan` wrote, or the BANK.scan that `noisebank build` keeps.

    \b
    Example:
      rwsr noisebank yield photos.scan
    """
    from ...degrade.errors import UserError
    from ...noisebank.describe import yield_lines, yield_values
    from ...noisebank.set_scan import open_scan
    from ...noisebank.yields import rules_of, yields

    scans = open_scan(scan_folder)
    known = {grid.size: grid for grid in scans[0].grids()}
    if missing := set(sizes) - known.keys():
        have = ", ".join(map(str, known))
        raise UserError(f"{scan_folder} has no tiles of {min(missing)} px, only of {have}; scan again with that --size")
    rules = rules_of(quantiles, min_means, max_vars, strata)
    tables = {size: {one.name: one.read_tiles(known[size]) for one in scans} for size in sizes or known}
    found = [each for size, tiles in tables.items() for each in yields(tiles, rules, size=size)]
    values = {"scan": scan_folder, "yields": [yield_values(each) for each in found]}
    options.tell(values, yield_lines(found), json_=json_)


# ----------------------------------------------------------------------------------------------------- build


def _bank_config(
    rule: str | None,
    choices: dict[str, Any],
    *,
    size: int | None,
    stride: int | None,
    fallback_sizes: tuple[int, ...],
    config: Path | None,
    sets: tuple[str, ...],
) -> "BankConfig":
    """The config from file, --set and options; an option of the other rule is named, and not used."""
    from ...degrade.config import compose
    from ...noisebank.bank import BankConfig
    from ...noisebank.cati import ThresholdRule

    base = BankConfig(rule=ThresholdRule()) if rule == "threshold" else BankConfig()
    base = compose(base, config=config, sets=sets, rule={"kind": rule} if rule else None)
    given = {name: value for name, value in choices.items() if value is not None}
    for name in [name for name in given if name not in _RULES[base.rule.kind]]:
        say(f"--{name.replace('_', '-')} {given.pop(name)} is not used by --rule {base.rule.kind}")
    grid = {
        name: value
        for name, value in (("size", size), ("stride", size if stride is None else stride))
        if value is not None
    }
    return compose(base, rule=given or None, grid=grid or None, fallback_sizes=fallback_sizes or None)


@noisebank.command("build", short_help="A bank of the patches that hold nothing but noise")
@_sets(required=False)
@click.option("--scan", "scan_folder", type=params.PLACE, default=None, help="A finished scan, instead of --target.")
@click.option("--out", type=params.OUT, required=True, help="The bank; a scan made for it is kept as OUT.scan.")
@click.option("--size", type=int, default=None, help="Side of a patch in pixels.  [default: 256]")
@click.option("--stride", type=int, default=None, help="Pixels from tile to tile.  [default: as --size]")
@click.option(
    "--fallback-size", "fallback_sizes", type=int, multiple=True, help="Tried where --size yields nothing; repeatable."
)
@click.option("--rule", type=click.Choice(["cati", "threshold"]), default=None, help="[default: cati]")
@click.option(
    "--quantile", type=params.NUMBER, default=None, help="cati: share of tiles, by variance.  [default: 0.02]"
)
@click.option(
    "--max-clipped", type=params.NUMBER, default=None, help="cati: most clipped pixels in a tile.  [default: 0.05]"
)
@click.option(
    "--strata", type=int, default=None, help="cati: an interval for each of N brightness bands.  [default: 1]"
)
@click.option("--paper-exact", is_flag=True, default=None, help="cati: constant and clipped tiles count too.")
@click.option("--max-var", type=params.NUMBER, default=None, help="threshold: luma variance below this.  [default: 20]")
@click.option("--min-mean", type=params.NUMBER, default=None, help="Luma mean above this.  [default: 0]")
@options.choosing("lr")
@options.image_limits
@options.configured
@options.workers
@options.trackable
@options.as_json
def noisebank_build(
    target: tuple[Place, ...],
    auxiliary: tuple[Place, ...],
    scan_folder: Place | None,
    out: Place,
    size: int | None,
    stride: int | None,
    fallback_sizes: tuple[int, ...],
    rule: str | None,
    quantile: float | None,
    max_clipped: float | None,
    strata: int | None,
    paper_exact: bool | None,
    max_var: float | None,
    min_mean: float | None,
    chosen: options.Chosen,
    max_pixels: int | None,
    follow_links: bool,
    config: Path | None,
    sets: tuple[str, ...],
    workers: int,
    dask: options.Dask,
    track: bool,
    json_: bool,
) -> None:
    """Scan the sets, take the characteristic interval (CATI) of the target's flattest tiles, cut the tiles inside it.

    Auxiliary sets give the tiles inside the target's interval; OUT.distilled.parquet lists their images that have any.

    \b
    Example:
      rwsr noisebank build --target photos --out bank.zarr --size 64 --stride 32
    """
    from ...degrade.storage.shards.writer import is_free
    from ..stages import images

    if (scan_folder is None) == (not target) or (scan_folder is not None and auxiliary):
        raise click.UsageError("name either the folders (--target, --auxiliary) or a finished --scan")
    choices = {
        "quantile": quantile,
        "max_clipped": max_clipped,
        "strata": strata,
        "paper_exact": paper_exact,
        "max_var": max_var,
        "min_mean": min_mean,
    }
    bank_config = _bank_config(
        rule, choices, size=size, stride=stride, fallback_sizes=fallback_sizes, config=config, sets=sets
    )
    is_free(out)
    stage = images.Bank(
        target=target,
        auxiliary=auxiliary,
        scan=str(scan_folder) if scan_folder else None,
        config=bank_config,
        images=options.index_config(chosen, max_pixels, follow_links),
    )
    made = options.done(stage, out, workers=workers, dask=dask, track=track)
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)


# ------------------------------------------------------------------------------------------------------ show


@noisebank.command("show", short_help="What a bank holds, also as pictures")
@click.argument("bank_folder", type=params.PLACE, metavar="BANK")
@click.option("--out", type=params.OUT, default=None, help="Folder to draw four pictures into.")
@click.option("--scan", "scan_folder", type=params.PLACE, default=None, help="Its scan.  [default: BANK.scan]")
@options.as_json
def noisebank_show(bank_folder: Place, out: Place | None, scan_folder: Place | None, json_: bool) -> None:
    """Say what a bank holds, and draw it.

    The pictures: a contact sheet of patches; all tiles by mean and variance, with the rule; the noise's power spectrum
    and channel covariance, against squares from anywhere in the sets.

    \b
    Example:
      rwsr noisebank show bank.zarr --out bank-pictures
    """
    from collections import Counter

    from ...noisebank.bank import NoiseBank
    from ...noisebank.describe import bank_lines, bank_values

    bank = NoiseBank.open(bank_folder)
    per_source = Counter(bank.table["source"].to_pylist())
    lines = [*bank_lines(bank), *(f"{count:6d} from {source}" for source, count in per_source.most_common())]
    pictures: list[Place] = []
    if out is not None:
        from ...eval import bank_page
        from ...noisebank.set_scan import open_scan

        scans = open_scan(scan_folder or bank_folder.with_name(f"{bank_folder.name}.scan"))
        pictures = bank_page.draw(bank, scans, out)
        lines += [f"wrote {picture}" for picture in pictures]
    options.tell(bank_values(bank) | {"sources": per_source, "pictures": pictures}, lines, json_=json_)
