"""Arithmetic of an evaluation: rates by attribute, chance, confusions, the distance between two sets of features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.training.mini.evaluation.classifier import ATTRIBUTES, HIDDEN, Features, Labels, values
from bot.training.mini.text_encoders import FLAGS

HEADLINE = (
    "hair_color", "hair_style", "eye_color", "outfit", "headwear", "glasses", "expression", "background", "gender",
)  # fmt: skip
MAY_BE_ABSENT = frozenset({"headwear", *FLAGS})  # their number 0 is "nothing", which no tag names


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a requested label was seen; `chance`: how often a drawing of some other tag set would pass for it."""

    asked: int
    right: int
    chance: float

    @property
    def share(self) -> float:
        """Returns the share; 0 when nothing was asked."""
        return self.right / self.asked if self.asked else 0.0


Rates = Mapping[str, Rate]  # by attribute


def rates(expected: Labels, seen: Labels, *, named_only: bool) -> Rates:
    """Returns rates of labels (n, attributes). With `named_only` a picture without hat, glasses, ... counts only if one was
    asked for; otherwise showing one unasked is wrong. HIDDEN labels never count.
    """
    found: dict[str, Rate] = {}
    for i, name in enumerate(ATTRIBUTES):
        truth = expected[:, i]
        counts = truth != HIDDEN
        shares = np.bincount(truth[counts], minlength=len(values(name))) / max(1, int(counts.sum()))
        if named_only and name in MAY_BE_ABSENT:
            counts &= truth != 0
        asked = int(counts.sum())
        chance = float(shares[truth[counts]].mean()) if asked else 0.0
        found[name] = Rate(asked=asked, right=int((truth == seen[:, i])[counts].sum()), chance=chance)
    return found


def mean_share(found: Rates) -> float:
    """Returns the mean over the nine attributes that count, equally weighted; those that nobody asked for are left out."""
    shares = [found[name].share for name in HEADLINE if found[name].asked]
    return sum(shares) / max(1, len(shares))


def mean_chance(found: Rates) -> float:
    chances = [found[name].chance for name in HEADLINE if found[name].asked]
    return sum(chances) / max(1, len(chances))


def confusions(expected: Labels, seen: Labels, most: int = 10) -> list[str]:
    """Returns the most frequent mistakes, "attribute: expected seen as other, times"."""
    wrong = np.argwhere((expected != seen) & (expected != HIDDEN))
    pairs = Counter((int(i), int(expected[row, i]), int(seen[row, i])) for row, i in wrong)
    names = [(ATTRIBUTES[i], values(ATTRIBUTES[i])[truth], values(ATTRIBUTES[i])[other]) for i, truth, other in pairs]
    common = sorted(zip(pairs.values(), names, strict=True), reverse=True)[:most]
    return [f"{name}: {truth} seen as {other}, {count}" for count, (name, truth, other) in common]


def frechet_distance(one: Features, two: Features) -> float:
    """Returns the distance of the normal distributions with the sets' means and covariances (Heusel et al. 2017, "GANs Trained
    by a Two Time-Scale Update Rule"); sets are (n, width), n more than 1. Trust it only if n > width, for a full rank.
    """
    shift = one.mean(axis=0) - two.mean(axis=0)
    first, second = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = _square_root(first)
    cross = _square_root(root @ second @ root)
    return max(0.0, float(shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(cross)))


def _square_root(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the root of a symmetric matrix without negative eigenvalues, apart from rounding."""
    eigenvalues, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(eigenvalues.clip(min=0))) @ vectors.T
