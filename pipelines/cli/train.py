"""`rwsr train`: from a store, or LR photographs, to a model."""

from pathlib import Path
from typing import Any

import click

from ...degrade.storage.location import Place
from .common import options, params
from .common.baselines import commands


@click.group(short_help="Train a model, or adapt one to a camera")
def train() -> None:
    """Train a model on a store. On CUDA where there is one, else on the CPU.

    Killed, the same command goes on from its last checkpoint; Ctrl-C saves first. With more --steps it prolongs a
    finished training, and --branch lets it go on under another rate. RUN@20000 and RUN@last name checkpoints, for
    restore, eval, export, report and --start-from. Several GPUs: torchrun --nproc-per-node 4 -m rwsr train ...
    """


def _fine_tunings() -> list[str]:
    from ...train.methods.hr_aware import FINE_TUNING

    return list(FINE_TUNING)


def _every_preset() -> list[str]:
    from ...train.methods import METHODS

    return [name for each in METHODS for name in each.presets] + _fine_tunings() + _zero_shot_presets()


def train_by(
    *,
    stores: tuple[Place, ...],
    weights: tuple[float, ...],
    folders: tuple[Place, ...],
    recipe: Path | None,
    on_device: bool,
    out: Path,
    chosen: options.Chosen,
    preset: str,
    bank: Place | None = None,
    far_model: Path | None = None,
    photographs: tuple[Place, ...] = (),
    downscaling: Path | None = None,
    extractor: Path | None = None,
    start_from: Path | None,
    start_partly: bool,
    start_discriminator: Path | None,
    val_store: Place | None,
    val_hr: Place | None,
    val_lr: Place | None,
    steps: int | None,
    branch: bool,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    track: bool,
    json_: bool,
) -> None:
    from ...train.compose import compose_training
    from ..stages.train import Train

    if (not stores) == (not folders) or (recipe is not None and not folders):
        raise click.UsageError("name either a --store, or --source (and its --recipe)")
    if on_device and not folders:
        raise click.UsageError("--on-device is of --source; a --store is rendered already")
    composed = compose_training(preset, config=config, sets=sets, steps=steps, seed=seed)
    stage = Train.of(
        preset,
        composed,
        data=stores,
        weights=weights,
        source=folders,
        recipe=recipe,
        on_device=on_device,
        images=options.index_config(chosen),
        start_from=start_from,
        start_partly=start_partly,
        start_discriminator=start_discriminator,
        val=val_store,
        val_hr=val_hr,
        val_lr=val_lr,
        noise=bank,
        far_model=far_model,
        photographs=photographs,
        downscaling=downscaling,
        extractor=extractor,
        branch=branch,
    )
    made = options.done(stage, out, track=track)
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)


@train.command("mm-realsr", short_help="MM-RealSR, Real-ESRGAN, ESRGAN")
@options.of_a_training(
    "mm-realsr",
    "mm-realsr-code",
    "MM-RealSR by the published training files, by the paper, or in minutes on a CPU; -gan is the second stage, from a "
    "run of the first. Those of real-esrgan and esrgan are without modulation and for stores of pairs.",
)
def train_mm_realsr(**told: Any) -> None:
    """Train MM-RealSR (generator, condition network and UDEM), or its generator alone as Real-ESRGAN or ESRGAN do.

    The first stage is by pixel, ranking and anchor losses; the second, with perceptual and GAN losses, goes on from a
    run of the first (--start-from).

    \b
    Example:
      rwsr train mm-realsr --store groups.zarr --out run --preset mm-realsr-small
    """
    train_by(**told)


_bank = click.option(
    "--bank", type=params.PLACE, default=None, help="Noise bank of which each LR gets new noise in each step."
)


@train.command("sr", short_help="Any architecture, on pairs")
@options.of_a_training("sr", "psnr", "By pixels alone, or with perceptual, LDL and GAN losses.")
@_bank
def train_sr(**told: Any) -> None:
    """Train any architecture on a store of pairs: ours, and with `pip install 'rwsr[models]'` spandrel's.

    --set network.arch=span (or swinir, hat, realplksr, compact ...) chooses it, --set network.options.NAME=VALUE a
    keyword of its class. Losses: pixels (l1, l2, charbonnier), MS-SSIM, LPIPS, DISTS, VGG features, focal frequency,
    LDL, GAN; --set losses.ms_ssim=0.2 adds one.

    \b
    Example:
      rwsr train sr --store pairs.zarr --out run --preset psnr --set network.arch=span
    """
    train_by(**told)


@train.command("cugan", short_help="CUGAN and its baselines")
@options.of_a_training(
    "cugan",
    "cunet",
    "CUnet is trained by MSE; CUGAN, with perceptual and GAN losses, from a run of it. Unet and UGAN are the paper's "
    "baselines, which have no condition and are trained on one degradation (recipe.fixed_level).",
)
def train_cugan(**told: Any) -> None:
    """Train CUGAN (Cai et al. 2021): restoration at scale 1, conditioned on how blurred and how noisy an image is.

    Not bilibili's Real-CUGAN, which enlarges drawings. It learns from a store of `rwsr degrade build --preset cugan`,
    which knows the blur and noise of each pair.

    \b
    Example:
      rwsr train cugan --store pairs.zarr --out run --preset cunet-small
    """
    train_by(**told)


_far_model = click.option(
    "--far-model", type=params.LOCAL, default=None, help="An SR model whose features FAR holds its own against."
)


@train.command("hr-aware-pretrain", short_help="The LR reconstruction network of HR-aware")
@options.of_a_training(
    "hr-aware-pretrain",
    "hr-aware-pretrain",
    "HR-aware's network, or LWay's (no controller, no FAR); small ones take minutes on a CPU.",
)
@_far_model
@click.option(
    "--extractor",
    type=params.LOCAL,
    default=None,
    help="A run of `rwsr train sr --preset lway-extractor`, for the -frozen presets of LWay.",
)
def train_hr_aware_pretrain(**told: Any) -> None:
    """Train the LR reconstruction network that `rwsr train hr-aware` fine-tunes SR models through.

    It learns from pairs of `rwsr degrade build --preset real-esrgan-nousm` how LR comes of HR, whatever the
    degradation; one network serves every camera and, unless FAR looks through one, every SR model of its scale. FAR
    looks through CLIP RN50 (rwsr weights says where to put it), or what network.far.net names: vgg19, squeezenet, or
    sr (with network.far.stride=1) for --far-model.

    \b
    Example:
      rwsr train hr-aware-pretrain --store pairs.zarr --out reconstruction --preset hr-aware-pretrain-small
    """
    train_by(**told)


EDL_TOLD = (
    "The paper's network and losses; the published code's for NTIRE 2020 or AIM 2019; minutes on a CPU; or "
    "Impressionism, which has one branch."
)


@train.command("rwsr-edl", short_help="RWSR-EDL, Impressionism")
@options.of_a_training("rwsr-edl", "rwsr-edl", EDL_TOLD)
@click.option("--bank", type=params.PLACE, default=None, help="Noise bank: each LR gets new noise of it in each step.")
def train_rwsr_edl(**told: Any) -> None:
    """Train RWSR-EDL (Li et al. 2021): two branches that a mask parts, one for the eye and one for the pixels.

    It learns from pairs of `rwsr degrade build --preset rwsr-edl`: with the noise that they hold, or of pairs without
    (recipe.strength=0) and a --bank with noise that is drawn anew in each step, as published. --start-from takes a run
    of it, or a PSNR model of `rwsr train mm-realsr --preset esrgan-psnr`.

    \b
    Example:
      rwsr train rwsr-edl --store pairs.zarr --bank bank.zarr --out run --preset rwsr-edl-small
    """
    train_by(**told)


@train.command("hr-aware", short_help="Any SR model adapted to LR photographs alone")
@click.option("--model", type=params.LOCAL, required=True, help="The SR model: a run, or a checkpoint.")
@click.option(
    "--lr-images",
    multiple=True,
    required=True,
    type=params.PLACE,
    help="Folder of LR images of one camera; repeatable.",
)
@options.choosing("lr")
@click.option(
    "--reconstruction", type=params.LOCAL, default=None, help="A run of `rwsr train hr-aware-pretrain`, of its scale."
)
@_far_model
@click.option("--out", type=params.LOCAL, required=True, help="Folder of the run.")
@click.option(
    "--preset",
    type=params.LazyChoice(_fine_tunings),
    default="hr-aware",
    show_default=True,
    help="HR-aware, LWay, or plain self-training, which has no --reconstruction; small ones see through SqueezeNet.",
)
@click.option("--val-store", type=params.PLACE, default=None, help="Store of held-out pairs to measure on meanwhile.")
@click.option("--val-hr", type=params.PLACE, default=None, help="Or: folder of held-out HR, with --val-lr.")
@click.option("--val-lr", type=params.PLACE, default=None, help="Folder of its LR.")
@click.option("--steps", type=click.IntRange(min=1), default=None, help="Training steps.  [default: the preset's]")
@options.branching
@options.seeded
@options.configured
@options.trackable
@options.as_json
def train_hr_aware(
    model: Path,
    lr_images: tuple[Place, ...],
    chosen: options.Chosen,
    reconstruction: Path | None,
    far_model: Path | None,
    out: Path,
    preset: str,
    val_store: Place | None,
    val_hr: Place | None,
    val_lr: Place | None,
    steps: int | None,
    branch: bool,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    track: bool,
    json_: bool,
) -> None:
    """Fine-tune any SR model on LR photographs alone, to the camera that they are of (HR-aware, LWay).

    The model is a run of ours, a published file of a network that is known here, or anything that spandrel loads. It
    ends after a fixed number of steps; --set selection.by=far (or niqe) keeps the best by a figure that needs no HR,
    and selection.patience ends early. With --val-hr a metric as lpips-alex can choose, as the paper does on a part of
    its test data.

    \b
    Example:
      rwsr train hr-aware --model run --lr-images photos --reconstruction reconstruction --out adapted
    """
    from ...train.compose import compose_fine_tuning
    from ..stages.train import FineTune

    if (val_hr is None) != (val_lr is None) or (val_store is not None and val_hr is not None):
        raise click.UsageError("to measure meanwhile, name a --val-store, or both of --val-hr and --val-lr")
    composed = compose_fine_tuning(preset, config=config, sets=sets, steps=steps, seed=seed)
    stage = FineTune.of(
        preset,
        composed,
        model=model,
        lr_images=lr_images,
        reconstruction=reconstruction,
        images=options.index_config(chosen, min_side=1),
        far_model=far_model,
        val=val_store,
        val_hr=val_hr,
        val_lr=val_lr,
        branch=branch,
    )
    made = options.done(stage, out, track=track)
    options.tell(made.values, made.lines, json_=json_)
    options.exit_by(made.rows)


@train.command("show", short_help="A preset in full, for --config")
@click.argument("preset", type=params.LazyChoice(_every_preset), metavar="PRESET")
@options.configured
@options.as_json
def train_show(preset: str, config: Path | None, sets: tuple[str, ...], json_: bool) -> None:
    """Print a training's preset in full, as a file that --config reads; PRESET is one that a `train` command knows.

    \b
    Example:
      rwsr train show hr-aware-pretrain-small > pretrain.yaml
    """
    from ...degrade.config import compose_values, composed_values, to_yaml
    from ...train.compose import compose_fine_tuning, compose_training
    from ...train.zero_shot.presets import PRESETS as ZERO_SHOT

    if preset in _zero_shot_presets():
        found = compose_values(ZERO_SHOT[preset], composed_values(config, sets))
    else:
        compose = compose_fine_tuning if preset in _fine_tunings() else compose_training
        found = compose(preset, config=config, sets=sets)
    options.tell(found.model_dump(mode="json"), [to_yaml(found).rstrip()], json_=json_)


@train.command("interpolate", short_help="A model between two runs of one network")
@click.argument("a", type=params.LOCAL, metavar="A")
@click.argument("b", type=params.LOCAL, metavar="B")
@click.option("--alpha", type=params.FloatRange(0, 1), required=True, help="0 is A, 1 is B.")
@click.option("--out", type=params.LOCAL, required=True, help="Folder of the new run.")
@options.as_json
def train_interpolate(a: Path, b: Path, alpha: float, out: Path, json_: bool) -> None:
    """Make a model between two runs of one network, of which one was trained from the other.

    Between a GAN's model and the one by MSE it was trained from, alpha goes from detail to fidelity (CUGAN, section
    3.4, whose alpha has the GAN as A).

    \b
    Example:
      rwsr train interpolate gan mse --alpha 0.5 --out between
    """
    from ...train.interpolate import interpolate

    file = interpolate(a, b, alpha, out)
    options.tell({"model": file}, [f"wrote {file}"], json_=json_)


@train.command("enlarge", short_help="A run of scale 1 behind bicubic enlarging")
@click.argument("run", type=params.LOCAL, metavar="RUN")
@click.option("--scale", type=click.IntRange(2, 16), default=4, show_default=True, help="How many times.")
@click.option("--out", type=params.LOCAL, required=True, help="Folder of the new run.")
@options.as_json
def train_enlarge(run: Path, scale: int, out: Path, json_: bool) -> None:
    """Make a run of scale 1 one that enlarges: LR is enlarged bicubically, then restored.

    So CUGAN restores small images (section 4.4), and so it stands in MM-RealSR's table 1, as far as is known.

    \b
    Example:
      rwsr train enlarge run --scale 4 --out run-x4
    """
    from ...train.enlarge import enlarge

    file = enlarge(run, scale, out)
    options.tell({"model": file}, [f"wrote {file}"], json_=json_)


def _zero_shot_presets() -> list[str]:
    from ...train.zero_shot.presets import PRESETS

    return list(PRESETS)


@train.command("zssr", short_help="ZSSR, KernelGAN: learned of each image anew")
@click.option("--out", type=params.LOCAL, required=True, help="Folder of the run.")
@click.option(
    "--preset",
    type=params.LazyChoice(_zero_shot_presets),
    default="zssr",
    show_default=True,
    help="ZSSR by its published code, for real photographs, or with a kernel that KernelGAN estimates of each image; "
    "small ones take a minute an image on a CPU, the others a quarter of an hour.",
)
@click.option("--scale", type=click.IntRange(2, 4), default=2, show_default=True, help="How many times it enlarges.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A key of the preset; may be repeated.")
@options.as_json
def train_zssr(out: Path, preset: str, scale: int, sets: tuple[str, ...], json_: bool) -> None:
    """Make a run of ZSSR (Shocher et al. 2018), alone or with KernelGAN (Bell-Kligler et al. 2019).

    There is nothing to train yet: it learns of each image when `rwsr restore` or `rwsr eval` restores it, from that
    image alone, and comes to the same bytes each time.

    \b
    Example:
      rwsr train zssr --preset kernelgan-zssr-small --out zero-shot
      rwsr restore photo.png --model zero-shot --out restored
    """
    from ...train.zero_shot.presets import zero_shot

    file = zero_shot(preset, out, scale=scale, sets=sets)
    line = f"wrote {file}; it learns of each image when that is restored, nothing was trained now"
    options.tell({"model": file}, [line], json_=json_)


@train.command("kernels", short_help="KernelGAN's kernels of photographs, for Impressionism")
@click.argument("folders", nargs=-1, required=True, type=params.PLACE, metavar="FOLDER...")
@click.option("--out", type=params.LOCAL, required=True, help="Folder of the kernels.")
@click.option("--small", is_flag=True, help="A minute an image on a CPU, instead of the published numbers.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A key of KernelGAN; may be repeated.")
@options.choosing("lr")
@options.image_limits
@options.workers
@options.as_json
def train_kernels(
    folders: tuple[Place, ...],
    out: Path,
    small: bool,
    sets: tuple[str, ...],
    chosen: options.Chosen,
    max_pixels: int | None,
    follow_links: bool,
    workers: int,
    dask: options.Dask,
    json_: bool,
) -> None:
    """Estimate, by KernelGAN, the kernel that made each photograph of folders small, as Impressionism makes LR with
    (Ji et al. 2020, second track). Killed, the same command goes on.

    \b
    Example:
      rwsr train kernels photographs --out kernels --small
      rwsr degrade build --config kernels/kernels.yaml --source photographs --out pairs.zarr
      rwsr train rwsr-edl --preset impressionism-dped --store pairs.zarr --bank bank.zarr --start-from psnr --out run
    """
    from ...degrade.images import sources
    from ...train.zero_shot.kernel_pool import CONFIG, SHEET, estimate_kernels
    from ...train.zero_shot.presets import kernelgan_of

    out.mkdir(parents=True, exist_ok=True)
    images = options.index_config(chosen, max_pixels, follow_links, min_side=1)
    rows = sources.index(folders, out / "index.parquet", images, options.runner(workers, dask))
    sources.name_left_out(rows)
    count = estimate_kernels(rows, out, kernelgan_of(small=small, sets=sets))
    lines = [f"kernels: {count}, in {out / CONFIG}, a --config; {out / SHEET} shows them"]
    options.tell({"config": out / CONFIG, "sheet": out / SHEET, "kernels": count}, lines, json_=json_)
    options.exit_by(rows)


def _srtta_presets() -> list[str]:
    from ...train.zero_shot.presets import SRTTA

    return list(SRTTA)


@train.command("srtta", short_help="SRTTA: a model adapts to what befell each image")
@click.option("--model", type=params.LOCAL, required=True, help="A run or a file of an EDSR or an ESRGAN.")
@click.option(
    "--classifier",
    type=params.LOCAL,
    default=None,
    help="A run of `rwsr train corruption-classifier`.  [default: --set kinds=[noise] says it of all images]",
)
@click.option(
    "--clean", multiple=True, type=params.LOCAL, help="LR images that nothing befell (Set5's); file or folder."
)
@click.option("--out", type=params.LOCAL, required=True, help="Folder of the run.")
@click.option(
    "--preset",
    type=params.LazyChoice(_srtta_presets),
    default="srtta",
    show_default=True,
    help="By the published script; or more and larger steps on fewer crops, for a small network.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key: steps, batch_size, crop_px, learning_rate, teacher, kept_share, kinds or seed; may be repeated.",
)
@options.as_json
def train_srtta(
    model: Path,
    classifier: Path | None,
    clean: tuple[Path, ...],
    out: Path,
    preset: str,
    sets: tuple[str, ...],
    json_: bool,
) -> None:
    """Make a run of SRTTA (Deng et al. 2023): a model that adapts to each image by degrading it once more.

    What is learned now is which of the model's numbers matter for --clean images, and stay. Of each image is learned
    when `rwsr restore` or `rwsr eval` restores it, and it comes to the same bytes each time.

    \b
    Example:
      rwsr train srtta --model edsr --classifier classifier --clean Set5_LR --out adapting
      rwsr restore photo.png --model adapting --out restored
    """
    from ...train.zero_shot.presets import srtta

    file = srtta(preset, out, model=model, classifier=classifier, clean=clean, sets=sets)
    options.tell({"model": file}, [f"wrote {file}; it adapts to each image when that is restored"], json_=json_)


for baseline in commands(train_by):
    train.add_command(baseline)
