"""The training loop that all networks share: seeded a step at a time, averaged, logged, resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from bot.training.checkpoint import LossLog, load_state, save_state

MAX_GRADIENT_NORM = 1.0
TRIAL_EVERY = 150
TRIAL_STEPS = 3
RESTORED = 1000  # steps that restored averages count for, so that the first new steps do not replace them


class Task(Protocol):
    """A training's subject: one module (of several parts perhaps) and its loss at a step.

    All randomness in `loss` comes from torch's generator, which the loop seeds before every step, or from `step` itself.
    """

    module: nn.Module
    batch_size: int

    def loss(self, step: int) -> Tensor: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Steps in all, the peak learning rate after `warmup` steps, the cosine's last fraction, and EMA's decay."""

    steps: int
    learning_rate: float
    warmup: int = 200
    last_fraction: float = 0.05
    ema_decay: float = 0.999
    seed: int = 0
    checkpoint_seconds: float = 120.0
    log_every: int = 20

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        floor = self.last_fraction
        return self.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


class ThreadChoice:
    """Picks how many threads a step gets: two that share busy cores are slower than one, and idle cores come and go."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: dict[int, float] = {}
        self._steps = 0

    def begin(self) -> float:
        """Begin a step: set torch's threads and return the time."""
        trial = self._steps % TRIAL_EVERY
        if trial < self._most * TRIAL_STEPS:
            torch.set_num_threads(1 + trial // TRIAL_STEPS)
        else:
            torch.set_num_threads(min(self._times, key=self._times.__getitem__))
        return time.monotonic()

    def end(self, began: float) -> None:
        """End a step; the fastest of a trial's steps counts, as the first one warms caches."""
        trial = self._steps % TRIAL_EVERY
        if trial < self._most * TRIAL_STEPS:
            threads, took = 1 + trial // TRIAL_STEPS, time.monotonic() - began
            best = self._times.get(threads, took) if trial % TRIAL_STEPS else took
            self._times[threads] = min(best, took)
        self._steps += 1


class OtherTrainingError(Exception):
    """The state on disk belongs to a training with another fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Options that only some trainings need.

    `fingerprint`: a state with another one is not continued. `scaled`: float16's small gradients are scaled up, and steps that
    overflow are skipped. `report` gets each line of the log: step, mean loss, samples a second.
    """

    fingerprint: str = ""
    scaled: bool = False
    report: Callable[[int, float, float], None] | None = None


class Training:
    """One task under way. `average` is the exponential moving average of its weights.

    Raises OtherTrainingError.
    """

    def __init__(self, task: Task, schedule: Schedule, folder: Path, name: str, extras: Extras | None = None) -> None:
        self.task = task
        self.schedule = schedule
        self.step = 0
        self._extras = extras or Extras()
        decay = schedule.ema_decay

        def blend(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
            n = int(count)
            torch._foreach_lerp_([*averaged], [*current], 1 - min(decay, (1 + n) / (10 + n)))  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]

        self.average = AveragedModel(task.module, multi_avg_fn=blend)
        self._optimizer = torch.optim.AdamW(
            [p for p in task.module.parameters() if p.requires_grad], lr=schedule.learning_rate, weight_decay=0.01, fused=True
        )
        device = next(task.module.parameters()).device
        self._scaler: Any = torch.GradScaler(device.type, enabled=self._extras.scaled)
        self._path = folder / f"{name}.pt"
        state = load_state(self._path)
        if state is not None:
            if state.get("fingerprint", "") != self._extras.fingerprint:
                raise OtherTrainingError(str(self._path))
            self.step = int(state["step"])
            task.module.load_state_dict(state["module"])
            self.average.load_state_dict(state["average"])
            if state["optimizer"] is not None:
                self._optimizer.load_state_dict(state["optimizer"])
            self._scaler.load_state_dict(state.get("scaler", {}))
        self._log = LossLog(folder / f"{name}.csv", self.step)

    def run(self, until: int | None = None, *, threads: int | None = 1, stop: Event | None = None) -> None:
        """Train to the schedule's last step, to `until`, or until `stop` is set, and save.

        On at most `threads` CPU threads; None leaves torch's number as it is, so that equal runs add up in an equal order.
        """
        choice = ThreadChoice(threads) if threads is not None else None
        end = self.schedule.steps if until is None else min(until, self.schedule.steps)
        total, count, began, saved = 0.0, 0, time.monotonic(), time.monotonic()
        while self.step < end and not (stop is not None and stop.is_set()):
            step_began = choice.begin() if choice is not None else 0.0
            total += self._advance()
            if choice is not None:
                choice.end(step_began)
            count += 1
            now = time.monotonic()
            if self.step % self.schedule.log_every == 0:
                self._tell(total / count, count * self.task.batch_size / (now - began))
                total, count, began = 0.0, 0, now
            if now - saved > self.schedule.checkpoint_seconds:
                self.save()
                saved = now
        self.save()

    def _tell(self, loss: float, rate: float) -> None:
        self._log.add(self.step, loss, rate)
        if self._extras.report is not None:
            self._extras.report(self.step, loss, rate)

    def _advance(self) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        torch.manual_seed(self.schedule.seed * 1_000_003 + self.step)
        loss = self.task.loss(self.step)
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self.task.module.parameters(), MAX_GRADIENT_NORM)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self.average.update_parameters(self.task.module)
        self.step += 1
        return loss.item()

    def save(self) -> None:
        save_state(
            self._path,
            {
                "step": self.step,
                "module": self.task.module.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict(),
                "fingerprint": self._extras.fingerprint,
            },
        )


def save_weights(path: Path, module: nn.Module) -> None:
    """Write a state at step 0 that starts from `module`: its weights are the average too, and the optimizer is empty."""
    weights = module.state_dict()
    average = {"n_averaged": torch.tensor(RESTORED), **{f"module.{name}": value for name, value in weights.items()}}
    save_state(path, {"step": 0, "module": weights, "average": average, "optimizer": None})


def averaged_weights(path: Path) -> dict[str, Tensor]:
    """Returns the moving average in a training's state file, as its module's state dict. Raises FileNotFoundError."""
    state = load_state(path)
    if state is None:
        raise FileNotFoundError(path)
    average: dict[str, Tensor] = state["average"]
    return {name.removeprefix("module."): value for name, value in average.items() if name != "n_averaged"}
