"""What the loop is told: its config, and a method as networks and named losses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ...degrade.family import Frozen
from ...degrade.images.pixels import U8
from .distributed import Ranks
from .optimizers import Adam, Optimizer
from .schedule import Constant, Schedule

Shared = dict[str, Tensor]  # what one network's losses leave for the next one's, of one micro-batch


class LoopConfig(Frozen):
    """How a training runs, whatever the method."""

    steps: Annotated[int, Field(ge=1)] = 70_000
    """Training steps."""
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 6
    """Samples of a step, over all processes and micro-batches."""
    accum_steps: Annotated[int, Field(ge=1)] = 1
    """Micro-batches of a step."""
    lr_patch_px: Annotated[int, Field(ge=8, le=16384)] = 48
    """Side of the LR crop."""
    use_rot90: bool = False
    """Crops are not only mirrored but also rotated."""
    optimizer: Optimizer = Adam()
    """Of every network."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Once it is warm."""
    learning_rates: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Of single networks, by their names (generator, discriminator), where it is another."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Of Adam, AdamW and schedule-free."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises."""
    schedule: Schedule = Constant()
    """Of the learning rate."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of a gradient; none clips nothing."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay a step."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the networks' arithmetic; weights and losses stay fp32."""
    channels_last: bool = False
    """Memory format of the networks."""
    compile: bool = False
    """Networks through torch.compile."""
    checkpointing: bool = False
    """The first network's blocks are computed again in the backward pass instead of kept: less memory, a third more
    time."""
    tf32: bool = True
    """On CUDA: products of fp32 in TF32, whose mantissa has ten bits; what is measured meanwhile is not."""
    cudnn_benchmark: bool = True
    """On CUDA: of the ways to compute a conv the fastest is taken, by trying; which it is may differ between runs."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of every random draw."""
    log_every: Annotated[int, Field(ge=1)] = 100
    """Steps whose mean is a row of the log."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 1000
    """Steps after which all is saved."""
    keep_every: Annotated[int, Field(ge=1)] | None = None
    """Steps of which each checkpoint is kept for good, where others go but for the last two; none keeps none."""
    validate_every: Annotated[int, Field(ge=1)] = 5000
    """Steps after which the averaged weights are measured."""
    num_workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Processes that read batches (0: the training process)."""
    show_images: Annotated[int, Field(ge=0, le=16)] = 4
    """Held-out images of which a piece is kept at each validation, in RUN/images."""
    tensorboard: bool = False
    """Write its events too, below RUN/tensorboard."""
    wandb: bool = False
    """Report to Weights & Biases too, as its own environment variables say."""

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Self:
        if self.batch_size % self.accum_steps:
            raise ValueError(
                f"batch_size = {self.batch_size} is not a multiple of accum_steps = {self.accum_steps}; make it one"
            )
        return self


class Batch(Protocol):
    """Samples as tensors, the first axis the samples."""

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        ...

    def parts(self, count: int) -> list[Self]:
        """The same in that many equal parts."""
        ...


B = TypeVar("B", bound=Batch)


@runtime_checkable
class Renders(Protocol):
    """Batches that become what is trained on only on the device."""

    def put(self, batch: Any, device: torch.device) -> Any:
        """A batch of samples as tensors there."""
        ...


@dataclass(frozen=True)
class Choice:
    """The best average by a figure of the validation. patience: validations in a row that are no better end the
    training; none lets it go on to its last step.
    """

    by: str
    better: Literal["higher", "lower"]
    patience: int | None = None


@dataclass(frozen=True)
class Training(Generic[B]):
    """What is trained, and by which losses.

    networks: by name; in each step each takes a step of its own optimiser, in their order. The first is the one that is
    averaged (EMA), validated and exported. average: a copy of it that has the averaged weights in each step, for losses
    that look at what it makes. losses: (network, micro-batch, shared) -> named terms, already weighted; their sum is
    minimised, and those that hang on nothing trained are only logged. fixed: networks that losses look through and
    nothing trains. validate: figures of the averaged weights of each image of a process's part, or none. choice: which
    of the averages that were validated becomes the model; none is the last. show: what the averaged weights make of so
    many held-out images, [H, W, 3] by name; of no network what there is to compare with.
    """

    networks: Mapping[str, nn.Module]
    losses: Callable[[str, B, Shared], dict[str, Tensor]]
    fixed: Sequence[nn.Module] = ()
    average: nn.Module | None = None
    validate: Callable[[nn.Module, Ranks], Mapping[str, Sequence[float]]] | None = None
    show: "Callable[[nn.Module | None, int], dict[str, U8]] | None" = None
    choice: Choice | None = None
