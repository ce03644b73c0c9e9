"""`rwsr degrade`: recipes, a look at what they do, and stores of groups and pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...degrade.errors import ImageError, UserError
from ...degrade.storage.location import Place, write
from .common import options, params

if TYPE_CHECKING:
    from ...degrade.recipes.store_config import StoreConfig


def _presets() -> list[str]:
    from ...degrade.recipes import PRESETS

    return list(PRESETS)


_PRESETS = params.LazyChoice(_presets)


@click.group(short_help="Stores of degraded images: groups and pairs")
def degrade() -> None:
    """Degraded images: LR/HR pairs, and groups whose order in blur and noise is known (MM-RealSR)."""


def _store_config(preset: str | None, *, config: Path | None, sets: tuple[str, ...], **changes: Any) -> "StoreConfig":
    """The preset, by its option or by `preset:` in the file, changed; a file that is whole needs none."""
    from ...degrade.config import compose_values, composed_values, merged, validated
    from ...degrade.recipes.store_config import StoreConfig, store_preset

    values = composed_values(config, sets)
    values = merged(values, {name: value for name, value in changes.items() if value is not None})
    named = values.pop("preset", preset)
    if preset is not None and named != preset:
        raise UserError(f"{config} is of preset {named}, and --preset is {preset}; drop one of them")
    recipe = values.get("recipe")
    kind = recipe.get("kind") if isinstance(recipe, dict) else None
    if named is None:
        if kind is None:
            raise click.UsageError("name a --preset, or a --config that says `preset: NAME` or is a whole one")
        return validated(StoreConfig, values, str(config))
    base = store_preset(named)
    if kind is not None and kind != base.recipe.kind:
        raise UserError(f"recipe.kind = {kind}, but preset {named} is {base.recipe.kind}; drop one of them")
    return compose_values(base, values)


_preset = click.option("--preset", type=_PRESETS, default=None, help="Recipe to start from.  [default: the --config's]")
_source = click.option(
    "--source", "folders", multiple=True, required=True, type=params.PLACE, help="Folder of images; may be repeated."
)
_clean = click.option(
    "--clean",
    multiple=True,
    type=params.PLACE,
    help="Folder of clean images, of which rwsr-edl takes HR as it is; may be repeated.",
)
_distilled = click.option(
    "--distilled", multiple=True, type=params.PLACE, help="Distilled list of a noise bank: its images are sources too."
)
_with_bank = click.option("--bank", type=params.PLACE, default=None, help="Noise bank, for rwsr-edl.")
_hr_size = click.option(
    "--hr-size", type=int, default=None, help="Side of the HR crops in pixels.  [default: the preset's]"
)


@degrade.command("presets", short_help="The presets, one a line")
@options.as_json
def degrade_presets(json_: bool) -> None:
    """List the recipes that --preset knows.

    \b
    Example:
      rwsr degrade presets
    """
    from ...degrade.recipes import PRESETS

    about = {name: preset.about for name, preset in PRESETS.items()}
    options.tell(about, [f"{name}: {text}" for name, text in about.items()], json_=json_)


@degrade.command("show", short_help="A preset in full, for --config")
@click.argument("preset", type=_PRESETS, metavar="PRESET")
@options.configured
@options.as_json
def degrade_show(preset: str, config: Path | None, sets: tuple[str, ...], json_: bool) -> None:
    """Print a recipe in full, as a file that --config reads.

    \b
    Example:
      rwsr degrade show mm-realsr > recipe.yaml
    """
    from ...degrade.config import to_yaml

    found = _store_config(preset, config=config, sets=sets)
    options.tell(found.model_dump(mode="json"), [to_yaml(found).rstrip()], json_=json_)


@degrade.command("preview", short_help="A few samples as a picture, with their parameters")
@_preset
@_source
@options.choosing("hr")
@_clean
@_distilled
@_with_bank
@options.out_file(".png", "The contact sheet, a PNG.")
@click.option("--samples", type=click.IntRange(1, 50), default=4, show_default=True, help="Samples to draw.")
@_hr_size
@options.seeded
@options.configured
@options.as_json
def degrade_preview(
    preset: str | None,
    folders: tuple[Place, ...],
    chosen: options.Chosen,
    clean: tuple[Place, ...],
    distilled: tuple[Place, ...],
    bank: Place | None,
    out: Place,
    samples: int,
    hr_size: int | None,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    json_: bool,
) -> None:
    """Draw a few samples with their parameters, before anything is built.

    These are the first samples of a store with that many of them.

    \b
    Example:
      rwsr degrade preview --preset mm-realsr --source photos --hr-size 256 --out preview.png
    """
    import tempfile

    from ...degrade.images.pixels import encode_png
    from ...degrade.quality.preview import preview_sheet
    from ..stages.base import Given, Work, counts
    from ..stages.store import Store

    wanted = _store_config(preset, config=config, sets=sets, num_samples=samples, hr_size_px=hr_size, seed=seed)
    stage = Store.of(wanted, **_inputs(folders, chosen, clean, distilled, bank))
    with tempfile.TemporaryDirectory() as folder:
        planned, rows = stage.plan(Path(folder) / "preview", Given({}), Work())
    write(out, encode_png(preview_sheet(planned)))
    options.tell({"sheet": out, "counts": counts(rows)}, [f"wrote {out}"], json_=json_)
    options.exit_by(rows)


@degrade.command("gallery", short_help="Every step of a degradation as a picture")
@click.option("--image", type=params.PLACE, default=None, help="The image.  [default: a photograph of scikit-image]")
@options.out_file(".png", "The contact sheet, a PNG.")
@options.as_json
def degrade_gallery(image: Place | None, out: Place, json_: bool) -> None:
    """Draw every step that a recipe may have, at mild and strong levels, with its name as chains write it.

    \b
    Example:
      rwsr degrade gallery --out gallery.png
    """
    from importlib.resources import files

    import numpy as np

    from ...degrade.images.decode import decode
    from ...degrade.images.pixels import encode_png
    from ...degrade.images.read import read_bytes
    from ...degrade.progress import say
    from ...degrade.quality.preview import gallery_sheet

    try:
        data = read_bytes(image) if image is not None else (files("skimage") / "data" / "astronaut.png").read_bytes()
        pixels = decode(data, max_pixels=None).pixels
    except ImageError as error:
        raise UserError(f"--image {image} {error.reason}; name another") from None
    y, x = ((side - min(side, _GALLERY_PX)) // (4 if image is None else 2) for side in pixels.shape[:2])
    piece = np.ascontiguousarray(pixels[y : y + _GALLERY_PX, x : x + _GALLERY_PX])
    sheet, missing = gallery_sheet(piece)
    for line in missing:
        say(f"left out: {line}")
    write(out, encode_png(sheet))
    options.tell({"sheet": out, "left_out": missing}, [f"wrote {out}"], json_=json_)


_GALLERY_PX = 192


def _inputs(
    folders: tuple[Place, ...],
    chosen: options.Chosen,
    clean: tuple[Place, ...],
    distilled: tuple[Place, ...],
    bank: Place | None,
) -> dict[str, Any]:
    return {
        "source": folders,
        "clean": clean,
        "distilled": distilled,
        "bank": bank,
        "images": options.index_config(chosen),
    }


@degrade.command("build", short_help="A store of groups or pairs")
@_preset
@_source
@options.choosing("hr")
@_clean
@_distilled
@_with_bank
@click.option("--out", type=params.OUT, required=True, help="The store; its index is kept as OUT.index.parquet.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=None, help="Groups or pairs.  [default: the preset's, 10000]"
)
@_hr_size
@options.seeded
@options.configured
@options.workers
@options.trackable
@options.as_json
def degrade_build(
    preset: str | None,
    folders: tuple[Place, ...],
    chosen: options.Chosen,
    clean: tuple[Place, ...],
    distilled: tuple[Place, ...],
    bank: Place | None,
    out: Place,
    samples: int | None,
    hr_size: int | None,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    workers: int,
    dask: options.Dask,
    track: bool,
    json_: bool,
) -> None:
    """Build a store of groups or pairs. Killed, the same command goes on; done, it changes nothing.

    \b
    Example:
      rwsr degrade build --preset mm-realsr --source photos --out groups.zarr --samples 200 --hr-size 256
    """
    from ...degrade.storage.shards.writer import is_free
    from ..stages.store import Store

    is_free(out)
    wanted = _store_config(preset, config=config, sets=sets, num_samples=samples, hr_size_px=hr_size, seed=seed)
    stage = Store.of(wanted, **_inputs(folders, chosen, clean, distilled, bank))
    made = options.done(stage, out, workers=workers, dask=dask, track=track)
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)


@degrade.command("import", short_help="A config of another trainer's options file")
@click.argument("options_file", type=params.LOCAL, metavar="FILE")
@click.option("--out", type=params.LOCAL, default=None, help="Write the config here.  [default: print it]")
@options.as_json
def degrade_import(options_file: Path, out: Path | None, json_: bool) -> None:
    """Make a config of a BasicSR, Real-ESRGAN, MM-RealSR, neosr or traiNNer options file (YAML or TOML).

    Keys of a degradation that change nothing are named on stderr, and loudly those that would change the result and
    have no counterpart here. Give the config to build with --config.

    \b
    Example:
      rwsr degrade import train_realesrgan_x4plus.yml --out recipe.yaml
    """
    from ...degrade.config import to_yaml
    from ...degrade.progress import printable, say
    from ...degrade.recipes.importing.import_basicsr import import_options
    from ...degrade.storage.local import write_atomic

    found = import_options(options_file)
    for name, reason in found.without_meaning.items():
        say(f"left out: {printable(name)}: {reason}")
    for name, reason in found.changes.items():
        say(f"note: {printable(name)}: {reason}")
    text = to_yaml(found.config)
    preset = found.preset
    lines = [text.rstrip()]
    if out is not None:
        write_atomic(out, text.encode())
        lines = [f"wrote {out}; use it with: rwsr degrade build --config {out}"]
    options.tell(
        {
            "preset": preset,
            "config": found.config.model_dump(mode="json"),
            "left_out": found.without_meaning,
            "changes": found.changes,
        },
        lines,
        json_=json_,
    )
