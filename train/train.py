"""Training by a method into a folder, as one call: measured on held-out images meanwhile, with a progress bar."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ..degrade.errors import UserError
from ..degrade.progress import progress, say
from ..degrade.storage.provenance import Json
from ..eval.images.sets import ImageSet
from .data.batches import GroupBatch, GroupSource
from .data.of_training import Data
from .data.on_the_fly import LiveGroups
from .engine import run
from .engine.distributed import leads_here, local_device
from .engine.loop import Interrupted
from .engine.run import OnStep
from .engine.training import Training
from .files.open import judge_weights, open_restorer, weights_in
from .methods.base import C, Given, Method, check_measured, check_photographs
from .networks.baselines.downscaling import check_downscaling
from .notes import notes_on
from .runs.moments import model_file
from .validation import shown, validation


def train_run(
    out: Path,
    data: Data,
    method: Method[C],
    config: C,
    *,
    start_from: Path | None = None,
    start_partly: bool = False,
    start_discriminator: Path | None = None,
    far_model: Path | None = None,
    downscaling: Path | None = None,
    extractor: Path | None = None,
    val: ImageSet | None = None,
    branch: bool = False,
) -> bool:
    """Train by a method into the folder `out`, measured on held-out images meanwhile; False when that was done before.

    start_from: a run, a checkpoint of one or a published file to start from; start_partly: what of it fits is enough.
    start_discriminator: the same of its discriminator. far_model: the SR model that FAR looks through, where its net is
    `sr`. downscaling: a run of `rwsr train downscaling`, for DASR. extractor: an SRResNet, for LWay.
    branch: where it is under way under another learning rate or schedule, it goes on under this one.

    Raises:
        UserError: the groups, the config or the earlier run do not fit; or it was asked to stop, and is saved.
    """
    device = local_device()
    validate = None if val is None else validation(val, data.groups.scale, device)
    show = None if val is None else shown(val, device)
    inputs: Json = {}
    if far_model is not None:
        if "far_model" not in method.inputs:
            raise UserError("--far-model is for FAR, which this training has not; drop it")
        inputs = {"far_model": open_restorer(far_model, device).checkpoint}
    check_measured(method, val is not None)
    if downscaling is not None and "downscaling" not in method.inputs:
        raise UserError("--downscaling is for DASR; drop it")
    if extractor is not None and "extractor" not in method.inputs:
        raise UserError("--extractor is for LWay's reconstruction network; drop it")
    check_photographs(config, data.photographs is not None)
    judge, judge_file = (None, None) if start_discriminator is None else judge_weights(start_discriminator)
    also = [] if judge_file is None else [judge_file]
    if downscaling is not None:
        check_downscaling(downscaling)
        also += [model_file(downscaling), judge_weights(downscaling)[1]]
    trunk, trunk_file = (None, None) if extractor is None else weights_in(extractor)
    also += [] if trunk_file is None else [trunk_file]
    if isinstance(data.groups, LiveGroups) and data.groups.on_device:
        inputs["rendered_by"] = "device"

    def build(groups: GroupSource, start: Mapping[str, Tensor] | None) -> Training[GroupBatch]:
        made = method.build(config, Given(groups, start, far_model, start_partly, judge, downscaling, trunk))
        for recipe in data.recipes:
            reason = method.why_not(config, recipe, True)  # noqa: FBT003
            if reason is not None:
                raise UserError(f"{groups.name} does not fit: the training {reason}")
        return made

    with told(config.loop.steps, notes_on(method, config, data)) as tell:
        return run.train(
            out,
            data.groups,
            data.identity,
            config,
            config.loop,
            build,
            device,
            tell,
            start_from=start_from,
            also=also,
            noise=data.noise,
            photographs=data.photographs,
            spawn=data.remote,
            validate=validate,
            show=show,
            inputs=inputs,
            branch=branch,
        )


@contextmanager
def told(steps: int, notes: Sequence[str] = ()) -> Generator[OnStep]:
    """A training's progress bar, with its terms, once the notes are said; raises UserError where the training was asked
    to stop.
    """
    unsaid = list(notes)
    with progress("train", steps) as advance:

        def tell(done: int, terms: dict[str, float]) -> None:
            while unsaid:
                say(unsaid.pop(0))
            advance(done, " ".join(f"{name} {value:.4f}" for name, value in terms.items()))

        try:
            yield tell
        except Interrupted as interrupted:
            if not leads_here():
                raise SystemExit(1) from None  # the leader says it
            raise UserError(
                f"stopped after {interrupted.step} of {steps} steps, which are saved; the same command goes on from "
                "there"
            ) from None
