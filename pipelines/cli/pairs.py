"""`rwsr pairs`: stores of photographs that were taken twice, as LR and as HR."""

from pathlib import Path

import click

from ...degrade.errors import UserError
from ...degrade.storage.location import Place
from .common import options, params


@click.group(short_help="Stores of real pairs: LR and HR that were photographed")
def pairs() -> None:
    """Real pairs: LR and HR that two cameras, or one at two focal lengths, took of one scene."""


@pairs.command("build", short_help="A store of crops of LR and HR files")
@click.option("--source", "folders", multiple=True, type=params.PLACE, help="Folder of pairs; may be repeated.")
@click.option("--hr", type=params.PLACE, default=None, help="Or: folder of HR, or BasicSR's LMDB of it, with --lr.")
@click.option("--lr", type=params.PLACE, default=None, help="Folder of LR, or LMDB; may be that of --hr.")
@click.option(
    "--meta-info", type=params.PLACE, default=None, help="File that lists the pairs, or the HR, as BasicSR's."
)
@click.option("--out", type=params.OUT, required=True, help="The store; its index is kept as OUT.index.parquet.")
@click.option(
    "--scale", type=click.IntRange(1, 8), default=None, help="HR size / LR size.  [default: what the files have]"
)
@click.option(
    "--name-scale", type=click.IntRange(1, 8), default=None, help="Which of _LR2, _LR3, _LR4.  [default: --scale]"
)
@click.option(
    "--split",
    type=click.Choice(["train", "test", "all"]),
    default="train",
    show_default=True,
    help="Of a data set whose folders have both.",
)
@click.option(
    "--align",
    type=click.Choice(["measure", "shift"]),
    default=None,
    help="Record how far LR lies beside HR, or bring them together by whole HR pixels.  [default: measure]",
)
@click.option("--samples", type=click.IntRange(min=1), default=None, help="Crops.  [default: 10000]")
@click.option(
    "--hr-size", type=int, default=None, help="Side of the HR crops in pixels.  [default: 96 LR pixels, at least 192]"
)
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave such pairs out; repeatable.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only pairs like it, as 'Canon_0*'; repeatable.")
@click.option("--rehash", is_flag=True, help="Read every file again, also where its size and time are as before.")
@options.image_limits
@options.seeded
@options.configured
@options.workers
@options.trackable
@options.as_json
def pairs_build(
    folders: tuple[Place, ...],
    hr: Place | None,
    lr: Place | None,
    meta_info: Place | None,
    out: Place,
    scale: int | None,
    name_scale: int | None,
    split: str,
    align: str | None,
    samples: int | None,
    hr_size: int | None,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    rehash: bool,
    max_pixels: int | None,
    follow_links: bool,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    workers: int,
    dask: options.Dask,
    track: bool,
    json_: bool,
) -> None:
    """Build a store of real pairs: crops of HR and LR at one place, their shift measured and recorded.

    --source finds the folders of RealSR, DRealSR, DPED, City100, DIV2K, Flickr2K, NTIRE 2020 and AIM 2019, folders that
    are called hr and lr (gt and lq, target and input), and one folder whose names say which is which (_HR and _LR4,
    001H and 001L, _x1 and _x4). Killed, the same command goes on; done, it changes nothing.

    \b
    Example:
      rwsr pairs build --source RealSR --scale 4 --out pairs.zarr --samples 2000
    """
    from ...degrade.config import compose, composed_values, merged
    from ...degrade.images.listing import IndexConfig
    from ...degrade.storage.shards.writer import is_free
    from ..stages.pairs import Pairs

    is_free(out)
    values = composed_values(config, sets)
    changes = {"num_samples": samples, "hr_size_px": hr_size, "seed": seed}
    values = merged(values, {name: value for name, value in changes.items() if value is not None})
    if align is not None:
        values = merged(values, {"recipe": {"align": align}})
    if (hr is None) != (lr is None):
        raise UserError("--hr and --lr belong together; name both")
    stage = Pairs(
        source=folders,
        hr=hr,
        lr=lr,
        meta_info=meta_info,
        split=None if split == "all" else split,  # pyright: ignore[reportArgumentType]
        scale=scale,
        name_scale=name_scale,
        include=include,
        exclude=exclude,
        config=values,
        images=compose(
            IndexConfig(min_side_px=1), max_pixels=max_pixels, follow_links=follow_links or None, rehash=rehash
        ),
    )
    made = options.done(stage, out, workers=workers, dask=dask, track=track)
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)


@pairs.command("make", short_help="HR and LR by a learned downscaling")
@click.argument("folders", nargs=-1, required=True, type=params.PLACE, metavar="FOLDER...")
@click.option("--by", "run", type=params.LOCAL, required=True, help="A run of `rwsr train downscaling`.")
@click.option("--out", type=params.LOCAL, required=True, help="Folder of both: OUT/HR and OUT/LR.")
@click.option(
    "--clean-up",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    help="HR is the image so many times smaller, which takes its own noise out; 2 for photographs of the camera.",
)
@options.choosing("hr")
@options.image_limits
@options.workers
@options.as_json
def pairs_make(
    folders: tuple[Place, ...],
    run: Path,
    out: Path,
    clean_up: int,
    chosen: options.Chosen,
    max_pixels: int | None,
    follow_links: bool,
    workers: int,
    dask: options.Dask,
    json_: bool,
) -> None:
    """Write LR that a learned downscaling (FSSR, DASR) makes of the images of folders, and their HR beside.

    Killed, the same command goes on.

    \b
    Example:
      rwsr pairs make DIV2K --by camera --out pairs
      rwsr pairs build --hr pairs/HR --lr pairs/LR --out pairs.zarr
    """
    from ..stages.pairs import MakePairs

    images = options.index_config(chosen, max_pixels, follow_links, min_side=1)
    made = options.done(MakePairs(source=folders, by=run, clean_up=clean_up, images=images), out, workers=workers,
                        dask=dask, track=False)  # fmt: skip
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)
