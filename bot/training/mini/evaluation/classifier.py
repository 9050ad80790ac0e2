"""The judge: a small convolutional network that names every label of a portrait, by the artist or a model.

It learns from the artist's drawings, roughened as an autoencoder roughens them, and is tested on drawings with other seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from bot.errors import FolderError
from bot.training.arrays import to_tensor
from bot.training.checkpoint import load_state
from bot.training.loop import Schedule, Training, averaged_weights
from bot.training.mini.artist.portrait import CHOICES, Portrait
from bot.training.mini.dataset import Bucket, Pixels, batches, open_bucket, portrait_at
from bot.training.mini.text_encoders import FLAGS, WORDS, label_numbers

Labels = npt.NDArray[np.int64]  # (n, attributes)
Features = npt.NDArray[np.float64]  # (n, width)

ATTRIBUTES: tuple[str, ...] = (*WORDS, *FLAGS)
HIDDEN = -100  # a label that the picture does not show; cross_entropy's own mark
CHUNK = 32
CELL = 2  # pixels a side
SHIFT = 4  # pixels at most, each way
NOISE, GAIN, OFFSET = 0.06, 0.05, 0.05  # of -1..1; a colour moves by 13 of 255 at most, the next one of a palette is 44 off


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A square of the picture: its upper left corner and extent as shares of a side; `pool` pixels a side become one."""

    top: float
    left: float
    extent: float
    pool: int = 1


VIEWS = (
    View(top=0, left=0, extent=1, pool=2),
    View(top=0.34, left=0.25, extent=0.5),  # brows, eyes, mouth and chin
    View(top=0.5, left=0.25, extent=0.5),  # collar and chest
    View(top=0.55, left=0.375, extent=0.25),  # the mouth: 20 pixels whose curve is a smile or a frown
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierShape:
    """Sides of a picture in pixels, channels at each resolution, finest first, width of the features."""

    side: int = 256
    channels: tuple[int, ...] = (32, 48, 80, 112, 144)
    features: int = 128

    @property
    def size(self) -> tuple[int, int]:
        return self.side, self.side

    def width(self, view: View) -> int:
        """Returns the width of a branch's output for a view."""
        places = round(self.side * view.extent) // (view.pool * CELL * 2 ** (len(self.channels) - 1))
        return self.channels[-1] * places**2


def values(attribute: str) -> tuple[str, ...]:
    """Returns an attribute's possible values, in the order of their numbers."""
    return CHOICES.get(attribute, ("no", "yes"))


def visible_labels(portraits: Sequence[Portrait]) -> Labels:
    """Returns label numbers, HIDDEN where the drawing does not show the label.

    Closed eyes have no colour. Armor is steel; its colour is a thin trim that the chin and the frame mostly cover.
    """
    labels: Labels = label_numbers(portraits).numpy()
    for row, portrait in zip(labels, portraits, strict=True):
        if portrait.expression == "closed eyes":
            row[ATTRIBUTES.index("eye_color")] = HIDDEN
        if portrait.outfit == "armor":
            row[ATTRIBUTES.index("outfit_color")] = HIDDEN
    return labels


def branch(shape: ClassifierShape) -> nn.Module:
    """Returns layers that make cells of pixels channels, then halve the positions twice; the place of details stays known."""
    layers: list[nn.Module] = [nn.PixelUnshuffle(CELL)]
    before = 3 * CELL**2
    for i, channels in enumerate(shape.channels):
        layers += _convolution(before, channels, stride=2 if i else 1)
        layers += _convolution(channels, channels) if i else []
        before = channels
    found: Any = nn.Sequential(*layers, nn.Flatten())
    return found.to(memory_format=torch.channels_last)  # faster on a CPU


def _convolution(before: int, after: int, *, stride: int = 1) -> list[nn.Module]:
    """Returns a convolution that normalises batches, not groups: small things, like a mouth, are learnt in half the time."""
    return [nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.SiLU()]


class Classifier(nn.Module):
    """Looks at the whole picture from afar and at the face from close by; one layer contains all heads."""

    def __init__(self, shape: ClassifierShape, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.shape = shape
        self.branches = nn.ModuleList(branch(shape) for _ in VIEWS)
        self.penultimate = nn.Linear(sum(shape.width(view) for view in VIEWS), shape.features)
        self.counts = [len(values(name)) for name in ATTRIBUTES]
        self.head = nn.Linear(shape.features, sum(self.counts))

    def features(self, pictures: Tensor) -> Tensor:
        """Returns the features (n, features) of pictures (n, 3, side, side) in -1..1."""
        with torch.autocast(pictures.device.type, dtype=torch.bfloat16):
            parts = [look(self._cut(pictures, view)) for look, view in zip(self.branches, VIEWS, strict=True)]
        return functional.silu(self.penultimate(torch.cat(parts, dim=1).float()))

    def _cut(self, pictures: Tensor, view: View) -> Tensor:
        top, left, extent = (round(share * self.shape.side) for share in (view.top, view.left, view.extent))
        square = pictures[:, :, top : top + extent, left : left + extent]
        return functional.avg_pool2d(square, view.pool) if view.pool > 1 else square

    def logits(self, features: Tensor) -> list[Tensor]:
        """Returns one (n, values) for each attribute."""
        return [*self.head(features).split(self.counts, dim=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The classifier's answer on pictures: the most likely labels, and the features that they are derived from."""

    labels: Labels
    features: Features


@torch.inference_mode()
def judge(classifier: Classifier, pictures: Pixels) -> Verdict:
    """Judge pictures of any size; they are scaled to the classifier's."""
    found: list[tuple[Tensor, Tensor]] = []
    for at in range(0, len(pictures), CHUNK):
        picture = fit(to_tensor(pictures[at : at + CHUNK]), classifier.shape.size)
        features = classifier.features(picture)
        labels = torch.stack([logits.argmax(dim=1) for logits in classifier.logits(features)], dim=1)
        found.append((labels, features))
    labels, features = torch.cat([labels for labels, _ in found]), torch.cat([features for _, features in found])
    return Verdict(labels=labels.numpy(), features=features.double().numpy())


def fit(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns pictures scaled to a height and width; those that already have them are unchanged."""
    if pictures.shape[-2:] == size:
        return pictures
    return functional.interpolate(pictures, size=size, mode="bilinear", antialias=True)


def roughened(pictures: Pixels) -> Tensor:
    """Returns drawings as a generator's decoder might return them: shifted, blurred, resampled, noisy, a little off in colour.

    (n, 3, height, width) in -1..1; in bytes and bfloat16, which take a third of float32's time. All randomness comes from
    torch's generator. The colours move less than half the way to the next colour of a palette.
    """
    n, height, width, _ = pictures.shape
    margin = np.pad(pictures, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
    corners = torch.randint(0, 2 * SHIFT + 1, (n, 2)).numpy()
    moved = np.stack([part[y : y + height, x : x + width] for part, (y, x) in zip(margin, corners, strict=True)])
    sharp = torch.from_numpy(moved).permute(0, 3, 1, 2)
    coarse = functional.interpolate(sharp, scale_factor=1 - 0.6 * torch.rand(()).item(), mode="bilinear", antialias=True)
    soft = functional.interpolate(coarse, size=(height, width), mode="bilinear")
    share = torch.rand(n, 1, 1, 1) * torch.randint(0, 2, (n, 1, 1, 1))  # half of the pictures stay sharp
    gain = 1 + GAIN * (2 * torch.rand(n, 3, 1, 1) - 1)
    offset = OFFSET * (2 * torch.rand(n, 3, 1, 1) - 1) - gain
    noise = torch.randn(moved.shape, dtype=torch.bfloat16).permute(0, 3, 1, 2)
    noise.mul_((NOISE * torch.rand(n, 1, 1, 1)).bfloat16())
    found = sharp.bfloat16().lerp_(soft.bfloat16(), share.bfloat16())
    return found.mul_((gain / 127.5).bfloat16()).add_(offset.bfloat16()).add_(noise).clamp_(-1, 1)


class ClassifierTask:
    """Computes the cross-entropy of every visible label, the mean over attributes."""

    def __init__(
        self, classifier: Classifier, pictures: Pixels, portrait: Callable[[int], Portrait], *, batch_size: int, seed: int
    ) -> None:
        self.module: nn.Module = classifier
        self.batch_size = batch_size
        self._classifier = classifier
        self._pictures = pictures
        self._labels = torch.from_numpy(visible_labels([portrait(i) for i in range(len(pictures))]))
        self._seed = seed

    def loss(self, step: int) -> Tensor:
        indices = np.sort(next(batches(len(self._pictures), self.batch_size, self._seed, step)))
        picture = roughened(self._pictures[indices])
        truth = self._labels[torch.from_numpy(indices)]
        logits = self._classifier.logits(self._classifier.features(picture))
        return torch.stack([_seen(part, truth[:, i]) for i, part in enumerate(logits)]).mean()


def _seen(logits: Tensor, truth: Tensor) -> Tensor:
    """Returns the mean cross-entropy over visible labels; 0 when a batch shows none."""
    total = functional.cross_entropy(logits, truth, ignore_index=HIDDEN, reduction="sum")
    return total / (truth != HIDDEN).sum().clamp(min=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A classifier's training: on which drawn pictures (`seed` is theirs), and for how long."""

    bucket: Bucket
    seed: int
    batch_size: int
    schedule: Schedule
    shape: ClassifierShape = ClassifierShape()


def trained_classifier(plan: Plan, pictures: Path, folder: Path, *, threads: int = 1) -> Classifier:
    """Returns the classifier whose state is in `folder`, trained on the drawings in `pictures` if it is not finished.

    Raises FolderError when it must be trained and not all pictures are drawn, or when one of another shape is there.
    """
    classifier, path = Classifier(plan.shape, plan.schedule.seed), folder / "classifier.pt"
    state = load_state(path)
    if state is not None and not _fits(classifier, state["module"]):
        raise FolderError(f"{folder} holds a classifier of another shape. Delete it, and a new one is trained in ten minutes.")
    if state is None or state["step"] < plan.schedule.steps:
        done = pictures / f"{plan.bucket.name}.done"
        if not done.exists() or int(done.read_text()) < plan.bucket.count:
            raise FolderError(
                f"{pictures} lacks pictures. First run `python -m bot.training.mini.recipe draw` with this --state."
            )
        drawn, portrait = open_bucket(pictures, plan.bucket), partial(portrait_at, plan.seed, plan.bucket)
        task = ClassifierTask(classifier, drawn, portrait, batch_size=plan.batch_size, seed=plan.schedule.seed)
        Training(task, plan.schedule, folder, "classifier").run(threads=threads)
    classifier.load_state_dict(averaged_weights(path))
    return classifier.eval()


def _fits(module: nn.Module, weights: dict[str, Tensor]) -> bool:
    return {name: value.shape for name, value in weights.items()} == {n: v.shape for n, v in module.state_dict().items()}
