"""`rwsr restore`, `export` and `demo`: what becomes of a model."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ...degrade.progress import printable, say
from .common import options, params


class _Scores(click.ParamType[tuple[float | None, ...]]):
    """A score from 0 to 1, several of them, or evenly spaced ones; where there is a UDEM, `auto` is its own."""

    name = "score"

    def __init__(self, *, auto: bool) -> None:
        self._auto = auto

    def convert(
        self, value: str | tuple[float | None, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float | None, ...]:
        if not isinstance(value, str):
            return value
        if value.count(":") == 2:
            first, last, count = value.split(":")
            if not count.isdigit() or not 2 <= int(count) <= 1000:
                self.fail(f"{value!r} is no FIRST:LAST:COUNT of 2 to 1000 scores", param, ctx)
            ends = [self._one(each, value, param, ctx) for each in (first, last)]
            if None in ends:
                self.fail(f"{value!r} does not go from one number to another", param, ctx)
            a, b = (float(each or 0) for each in ends)
            steps = int(count) - 1
            return tuple(round(a + (b - a) * i / steps, 6) for i in range(steps + 1))
        return tuple(self._one(each, value, param, ctx) for each in value.split(","))

    def _one(self, text: str, whole: str, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if text.strip() == "auto" and self._auto:
            return None
        try:
            score = float(text)
        except ValueError:
            score = -1.0
        if not 0 <= score <= 1:
            of = "" if text == whole else f" of {whole!r}"
            wanted = "is neither a number from 0 to 1 nor `auto`" if self._auto else "is no number from 0 to 1"
            self.fail(f"{text!r}{of} {wanted}", param, ctx)
        return score


def _some(scores: tuple[float | None, ...]) -> float | None:
    """A score that was named, if any."""
    return next((score for score in scores if score is not None), None)


_score = _Scores(auto=True)
_level = _Scores(auto=False)
_MANY = "Several (0,0.5,1 or 0:1:11) restore under each, with a strip and a film."


@click.command(short_help="Images restored by any model")
@click.argument("images", nargs=-1, required=True, type=params.LOCAL, metavar="IMAGE...")
@click.option(
    "--model",
    "models",
    multiple=True,
    type=params.LOCAL,
    required=True,
    help="A run, RUN@STEP, or a checkpoint (.safetensors, .pth, ncnn); several are put side by side.",
)
@click.option(
    "--out", type=params.LOCAL, required=True, help="Folder for the restored PNG files; of one image its .png."
)
@click.option(
    "--blur",
    type=_score,
    default="auto",
    show_default=True,
    metavar="SCORES",
    help=f"Blur score 0..1; auto is the UDEM's. {_MANY}",
)
@click.option(
    "--noise",
    type=_score,
    default="auto",
    show_default=True,
    metavar="SCORES",
    help="Noise score 0..1; auto is the UDEM's. As --blur.",
)
@click.option(
    "--condition",
    nargs=2,
    type=_level,
    default=None,
    metavar="BLUR NOISE",
    help="For a run of CUGAN: what is in the images, blur of sigma 4 and noise of 50 gray levels being 1. As --blur.",
)
@click.option(
    "--alpha",
    type=_level,
    default=None,
    metavar="SCORES",
    help="With two --model of one network: those between them, 0 being the first. As --blur.",
)
@click.option(
    "--tile",
    type=click.IntRange(min=0),
    default=None,
    help="LR pixels that the model sees at once, 32 or more; 0 is the whole image. Less takes less memory.  [default: "
    "512 on CUDA, or what its memory holds; else 256]",
)
@click.option("--half", is_flag=True, help="Layers in fp16, on CUDA alone: faster there, and less exact.")
@options.as_json
def restore(
    images: tuple[Path, ...],
    models: tuple[Path, ...],
    out: Path,
    blur: tuple[float | None, ...],
    noise: tuple[float | None, ...],
    condition: tuple[tuple[float, ...], tuple[float, ...]] | None,
    alpha: tuple[float, ...] | None,
    tile: int | None,
    half: bool,
    json_: bool,
) -> None:
    """Enlarge (or at scale 1 restore) images, and all images in folders, with a model. 16 bits and alpha are kept.

    Models are runs of `rwsr train`, the published files of IMDN, RLFN and Real-ESRGAN's compact models (.pth, or ncnn's
    .param and .bin), and with `pip install 'rwsr[models]'` all that spandrel knows. A run takes how strongly to
    restore: a higher score mends more. An image that cannot be read or written is named and left out. Several --model
    write a folder each, and a page that has their middles side by side.

    \b
    Example:
      rwsr restore photos/cat.png --model run --out restored --noise 0.8
      rwsr restore photos/cat.png --model run --out turned --noise 0:1:11
    """
    from ..restore import restore_files, told_model
    from ..side_by_side import places_of, write_side_by_side
    from ..sweep import restore_sweep, sweep_of

    if alpha is not None and len(models) != 2:
        raise click.UsageError("--alpha is of the networks between two models; name two --model")
    sweep = sweep_of(*(condition or (blur, noise)), alpha)
    told: dict[str, Any] = {
        "blur": _some(blur),
        "noise": _some(noise),
        "condition": None if condition is None else (condition[0][0], condition[1][0]),
    }
    places = [(model, out) for model in models] if alpha is not None else places_of(models, out, images)
    opened = [(told_model(model, **told), folder) for model, folder in places]
    other = None if alpha is None else opened.pop()[0]
    done, left_out, pictures = [], [], []
    for restorer, folder in opened:
        if sweep is not None:
            made, lost, drawn = restore_sweep(images, restorer, other, folder, sweep, tile_px=tile, half=half)
            pictures += drawn
        else:
            made, lost = restore_files(images, restorer, folder, tile_px=tile, half=half, **told)
        done, left_out = [*done, *made], [*left_out, *lost]
    for each in dict.fromkeys(left_out):
        say(f"left out: {printable(each.path)}: {each.reason}")
    lines = [
        f"wrote {each.path}"
        + ("" if each.path.stem == each.source.stem else f", of {printable(each.source)}")
        + ("" if each.blur is None else f" (blur {each.blur:.2f}, noise {each.noise:.2f})")
        for each in done
    ]
    lines += [f"wrote {path}" for path in pictures]
    if len(opened) > 1 and done and sweep is None:
        lines.append(f"wrote {write_side_by_side(done, out)}")
    values = {"restored": [asdict(each) for each in done], "left_out": [asdict(each) for each in left_out]}
    values |= {"pictures": pictures} if sweep else {}
    options.tell(values, lines, json_=json_)
    if left_out:
        sys.exit(options.LEFT_OUT_EXIT_CODE)


@click.command(short_help="The model of a run for other programs")
@click.argument("run", type=params.LOCAL, metavar="RUN")
@click.option("--out", type=params.LOCAL, required=True, help="A .pth or an .onnx file.")
@options.as_json
def export(run: Path, out: Path, json_: bool) -> None:
    """Write the model of a run, or of a published file, for other programs.

    .pth: the averaged weights by their published names, under `params_ema` and `params`, as BasicSR, Real-ESRGAN,
    spandrel and chaiNNer read them; CUGAN's as its own code does. A line says where spandrel does not know a network.
    .onnx: `lr` of any size and, for a run that can be told how strongly to restore, `scores` (blur, noise; of CUGAN its
    condition) to `sr`.

    \b
    Example:
      rwsr export run --out model.pth
    """
    from ...train.export import to_onnx, to_pth

    writers = {".pth": to_pth, ".onnx": to_onnx}
    if out.suffix not in writers:
        raise click.UsageError(f"--out {out} is neither a .pth nor an .onnx file")
    notes = writers[out.suffix](run, out)
    for note in notes:
        say(note)
    options.tell({"out": out, "notes": notes}, [f"wrote {out}"], json_=json_)


@click.command(short_help="The whole way on photographs of scikit-image")
@click.argument("out", type=params.LOCAL, metavar="OUT")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=None,
    help="Training steps; fewer is faster and worse.  [default: 2000]",
)
@options.workers
@options.as_json
def demo(out: Path, steps: int | None, workers: int, dask: options.Dask, json_: bool) -> None:
    """Go the whole way on photographs that come with scikit-image: sources to HTML report, in minutes.

    Nothing is downloaded. Run again, it continues where it was, or says that all is done.

    \b
    Example:
      rwsr demo DEMO
    """
    from ..demo.demo import run_demo
    from ..stages.base import Work

    made = run_demo(out, Work(workers=workers, dask=dask), steps=steps)
    lines = ["made:", *(f"  {path}" for path in made), f"open {made[0]} in a browser"]
    options.tell({"made": made}, lines, json_=json_)
