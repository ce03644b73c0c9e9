"""The networks of a training with their optimisers and averages, and one step of them; the best of their averages."""

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ...degrade.errors import UserError
from ...eval.report.table import GRADIENT, VALIDATION
from ..networks.base import compile_parts
from ..runs.model_file import Weights
from .distributed import Ranks
from .gradients import Gradients
from .optimizers import make_optimizer, to_average
from .recomputed import recompute
from .schedule import factor_at
from .training import Batch, Choice, LoopConfig, Shared, Training

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Best:
    """The best average so far, by the figure of a choice; nothing where there is none."""

    def __init__(self, choice: Choice | None) -> None:
        self._choice = choice
        self.step, self.weights = 0, Weights()
        self._value, self._worse = 0.0, 0

    def state(self) -> dict[str, Any]:
        return {"step": self.step, "value": self._value, "worse": self._worse, "weights": self.weights}

    def load(self, state: Mapping[str, Any]) -> None:
        self.step, self.weights = state["step"], state["weights"]
        self._value, self._worse = state["value"], state["worse"]

    def consider(self, step: int, figures: Mapping[str, float], averaged: Weights) -> None:
        """Keep an average that is better than all before it; raises UserError where the figure is no number."""
        if self._choice is None or not figures:
            return
        value = figures[f"{VALIDATION}{self._choice.by}"]
        if not math.isfinite(value):
            raise UserError(
                f"{self._choice.by} has no value for any of the images (too small or flat), so it cannot choose; set "
                "another selection.by"
            )
        gain = value - self._value if self._choice.better == "higher" else self._value - value
        if gain > 0 or not self.step:
            self.step, self._value, self._worse = step, value, 0
            self.weights = {name: each.detach().cpu().clone() for name, each in averaged.items()}
        else:
            self._worse += 1

    @property
    def has_patience(self) -> bool:
        """Whether the training can end early."""
        return self._choice is not None and self._choice.patience is not None

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        patience = None if self._choice is None else self._choice.patience
        return patience is not None and self._worse >= patience


def _move(net: nn.Module, device: torch.device) -> None:
    """What is there already is left alone: torch cannot move a network without numbers."""
    if any(value.device != device for value in (*net.parameters(), *net.buffers())):
        net.to(device)


class Trained:
    """The networks of a method with all that a step of them changes."""

    def __init__(self, method: Training[Any], config: LoopConfig, device: torch.device) -> None:
        self.nets = dict(method.networks)
        self.first = next(iter(self.nets))
        self._config, self._device = config, device
        for net in method.fixed:
            _move(net, device)
        for net in self.nets.values():
            _move(net, device)
            net.train()
            if config.channels_last:
                net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.checkpointing:
            recompute(self.nets[self.first])
        if config.compile:
            for net in (*self.nets.values(), *method.fixed):
                compile_parts(net)
        unknown = config.learning_rates.keys() - self.nets.keys()
        if unknown:
            raise UserError(f"loop.learning_rates names {min(unknown)}; this training has {', '.join(self.nets)}")
        self._rates = {name: config.learning_rates.get(name, config.learning_rate) for name in self.nets}
        self.optimizers = {
            name: make_optimizer(
                config.optimizer, [p for p in net.parameters() if p.requires_grad], self._rates[name], config.betas
            )
            for name, net in self.nets.items()
        }
        self._gradients: dict[str, Gradients] = {}
        self._average = method.average
        if self._average is not None:
            _move(self._average, device)
            self._average.eval().requires_grad_(False)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.ema: Weights = {name: value.detach().clone() for name, value in self.nets[self.first].state_dict().items()}

    def step(
        self, number: int, batch: Batch, losses: Callable[..., dict[str, Tensor]], ranks: Ranks
    ) -> tuple[Shared, Shared]:
        """One step of each network; gives back the terms, each the mean over the micro-batches, and the norm of each
        network's gradient before it is clipped.
        """
        config = self._config
        factor = factor_at(config.schedule, number, steps=config.steps, warmup_steps=config.warmup_steps)
        if self._average is not None:
            self._average.load_state_dict(self.ema)
        parts = batch.parts(config.accum_steps)
        shared: list[Shared] = [{} for _ in parts]
        terms: Shared = {}
        norms: Shared = {}
        for name in self.nets:
            for other_name, other in self.nets.items():
                if other_name != name:
                    other.requires_grad_(False)
            trained = self.optimizers[name].param_groups[0]["params"]
            for value in trained:
                value.requires_grad_(True)
            self.optimizers[name].zero_grad(set_to_none=True)
            averaging = self._averaging(name, ranks)
            for number_of_part, (part, kept) in enumerate(zip(parts, shared, strict=True), 1):
                with torch.autocast(self._device.type, _TYPES[config.precision], enabled=config.precision != "fp32"):
                    found = losses(name, part, kept)
                if not found:
                    raise UserError(f"no loss of the {name} has a weight; give one under losses")
                whole = torch.stack([value.float() for value in found.values()]).sum() / len(parts)
                with averaging.averaged() if number_of_part == len(parts) else nullcontext():
                    self.scaler.scale(whole).backward()
                for term, value in found.items():
                    terms[term] = terms.get(term, 0) + value.detach() / len(parts)  # type: ignore[operator]
            self.scaler.unscale_(self.optimizers[name])
            gradients = [value.grad for value in trained if value.grad is not None]
            norms[f"{GRADIENT}{name}"] = norm = nn.utils.get_total_norm(gradients)
            if config.clip is not None:
                nn.utils.clip_grads_with_norm_(trained, config.clip, norm)
            self.optimizers[name].param_groups[0]["lr"] = self._rates[name] * factor
            self.scaler.step(self.optimizers[name])
        self.scaler.update()
        with torch.no_grad(), self._at_its_average():
            current = self.nets[self.first].state_dict()
            floats = [name for name, value in self.ema.items() if value.is_floating_point()]
            averaged, now = [self.ema[name] for name in floats], [current[name] for name in floats]
            torch._foreach_lerp_(averaged, now, 1 - config.ema_decay)  # pyright: ignore
        return terms, norms

    def _averaging(self, name: str, ranks: Ranks) -> Gradients:
        if name not in self._gradients:
            self._gradients[name] = Gradients(self.optimizers[name].param_groups[0]["params"], ranks)
        return self._gradients[name]

    @contextmanager
    def _at_its_average(self) -> Generator[None]:
        """The first network with its optimiser's own average, where that has one."""
        optimizer = self.optimizers[self.first]
        to_average(optimizer, averaged=True)
        try:
            yield
        finally:
            to_average(optimizer, averaged=False)

    def state(self) -> dict[str, Any]:
        """All of it but the networks' weights."""
        cuda = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        return {
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "scaler": self.scaler.state_dict(),
            "cpu_generator": torch.get_rng_state(),
            "cuda_generator": cuda,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        for name, each in self.optimizers.items():
            each.load_state_dict(state["optimizers"][name])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["cpu_generator"])
        if self._device.type == "cuda" and state["cuda_generator"] is not None:
            torch.cuda.set_rng_state(state["cuda_generator"], self._device)
