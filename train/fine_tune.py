"""Fine-tuning of an SR model on folders of LR images, as one call: what is named is opened, checked and trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..degrade.errors import UserError
from ..degrade.images import sources
from ..degrade.images.rows import SourceRow
from ..degrade.progress import say
from ..degrade.storage.location import place
from ..degrade.storage.object_store import ObjectPath
from ..degrade.storage.provenance import sha256, sha256_of
from ..eval.images.restoring import Device
from ..eval.images.sets import ImageSet, check_fits
from ..eval.metrics import NAMES, metric
from ..eval.metrics.weights import NIQE, find
from .data.batches import LrBatches
from .data.imagined import imagined_lr
from .data.lr_images import LrImages, large_enough
from .engine.distributed import local_device
from .engine.memory import cost_of, without_numbers
from .engine.run import Validate, train_on
from .engine.training import Choice
from .files.open import Restorer, open_restorer
from .losses.far_encoders import Established
from .methods import hr_aware as stages
from .methods.hr_aware import FineTuneConfig
from .methods.hr_aware_validation import FAR, WITHOUT_HR, without_hr
from .networks.lr_reconstruction import LrReconstruction, encoder_for, open_reconstruction
from .runs.model_file import read_model
from .runs.moments import model_file
from .train import told
from .validation import shown, validation


@dataclass(frozen=True)
class Inputs:
    """model: the SR model. rows: of the LR images. reconstruction: the pretrained network; self-training has none.
    far_model: the SR model that its FAR looks through."""

    model: Path
    rows: tuple[SourceRow, ...]
    reconstruction: Path | None = None
    far_model: Path | None = None


# ------------------------------------------------------------------------------------------------ measurement


def _both(first: Validate | None, second: Validate | None) -> Validate | None:
    found = [each for each in (first, second) if each is not None]
    if not found:
        return None
    return lambda net, ranks: {name: values for each in found for name, values in each(net, ranks).items()}


def choice_of(config: FineTuneConfig, *, has_hr: bool, has_far: bool) -> Choice | None:
    """What the selection asks for; raises UserError where it cannot be measured."""
    selection = config.selection
    if selection is None:
        return None
    if selection.by != FAR and selection.by not in NAMES:
        raise UserError(f"selection.by = {selection.by} is no figure; known here: far, {', '.join(NAMES)}")
    if selection.by not in WITHOUT_HR and not has_hr:
        raise UserError(f"selection.by = {selection.by} needs HR; name --val-hr (and --val-lr), or choose far or niqe")
    if selection.by == FAR and not has_far:
        raise UserError("selection.by = far measures FAR, which is left out here; choose niqe")
    if selection.by == "niqe":
        find(NIQE)
    better = "lower" if selection.by == FAR else metric(selection.by).better
    return Choice(selection.by, better, selection.patience)


# ---------------------------------------------------------------------------------------------------- the run


def _reconstruction(
    config: FineTuneConfig, inputs: Inputs, device: Device
) -> tuple[LrReconstruction, Established | None] | None:
    """The reconstruction network and, where FAR is on, its established encoder; none for self-training.

    Raises:
        UserError: it is missing, or not what the config wants.
    """
    if config.far is None and inputs.far_model is not None:
        raise UserError("--far-model is for FAR, which is left out here; drop it")
    if config.objective == "self-training":
        if inputs.reconstruction is not None:
            raise UserError("self-training has no reconstruction network; drop --reconstruction")
        return None
    if inputs.reconstruction is None:
        raise UserError("name the --reconstruction network; `rwsr train hr-aware-pretrain` makes one")
    net, model = open_reconstruction(inputs.reconstruction, device)
    if config.far is None:
        if net.far is not None or net.config.controller is not None:
            say(f"note: {inputs.reconstruction} is not LWay's: FAR is left out, a controller it may have is not")
        return net, None
    if net.far is None or net.config.far is None:
        raise UserError(f"{inputs.reconstruction} has no FAR; set far=null, or choose a preset of lway")
    trained_with = model.config.get("inputs", {}).get("far_model")
    return net, encoder_for(inputs.reconstruction, net.config.far, trained_with, inputs.far_model, device)


def _identity(inputs: Inputs, rows: Sequence[SourceRow], restorer: Restorer, chosen_by: ImageSet | None) -> str:
    """Of all that the model comes from; chosen_by: the held-out images, where they choose it."""
    parts = [restorer.checkpoint, sources.sources_sha256(rows), "" if chosen_by is None else chosen_by.sha256]
    if inputs.reconstruction is not None:
        parts.append(sha256(model_file(inputs.reconstruction).read_bytes()))
    return sha256_of(parts)


def fine_tune_run(
    out: Path,
    inputs: Inputs,
    config: FineTuneConfig,
    *,
    val: Callable[[int], ImageSet | None] | None = None,
    branch: bool = False,
) -> str | None:
    """Fine-tune into the folder `out`; what was done, or none where it was done before.

    val: the held-out images for a scale, to measure on meanwhile.

    Raises:
        UserError: what is named does not fit; or it was asked to stop, and is saved.
    """
    device = local_device()
    restorer = open_restorer(inputs.model, device)
    restoring = stages.Restoring(restorer.net, restorer.scale)
    rows = large_enough(inputs.rows, config.loop.lr_patch_px)
    images = LrImages(rows)
    found = _reconstruction(config, inputs, device)
    net, encoder = (None, None) if found is None else found
    held_out = None if val is None else val(restorer.scale)
    if held_out is not None:
        check_fits(held_out)
    choice = choice_of(
        config, has_hr=held_out is not None and held_out.has_hr, has_far=net is not None and encoder is not None
    )
    wanted = () if choice is None or choice.by in WITHOUT_HR else (choice.by,)
    measured = None if held_out is None else validation(held_out, restorer.scale, device, wanted)
    show = None if held_out is None else shown(held_out, device)
    wants_figures = choice is not None or held_out is not None
    by_itself = without_hr(images, restorer.scale, net, encoder, device) if wants_figures else None
    with told(config.loop.steps) as tell:
        done = train_on(
            out,
            _identity(inputs, rows, restorer, held_out if wanted else None),
            config,
            config.loop,
            lambda: replace(
                stages.fine_tuning(config, restoring, net, encoder),
                validate=_both(measured, by_itself),
                show=show,
                choice=choice,
            ),
            lambda ranks: LrBatches(
                images,
                batch_size=config.loop.batch_size,
                lr_patch_px=config.loop.lr_patch_px,
                use_rot90=config.loop.use_rot90,
                seed=config.loop.seed,
                ranks=ranks,
            ),
            device,
            tell,
            branch=branch,
            cost=lambda: cost_of(
                lambda: stages.fine_tuning(
                    config,
                    stages.Restoring(without_numbers(restorer.net), restorer.scale),
                    None if net is None else without_numbers(net),
                    None if encoder is None else without_numbers(encoder),
                ),
                imagined_lr(config.loop.batch_size, config.loop.lr_patch_px),
                config.loop,
            ),
            spawn=any(isinstance(place(row.root), ObjectPath) for row in rows),
            inputs={"restorer": restorer.config},
        )
    if not done:
        return None
    kept = "" if choice is None else f"; kept step {read_model(model_file(out)).step}, the best by {choice.by}"
    return f"fine-tuned on {len(rows)} LR images{kept}"
