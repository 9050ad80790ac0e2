"""From a picture classifier's own labels to ratings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.domain.safety import Rating

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingScale:
    """What a classifier's labels mean, all of them, and how sure it has to be.

    A picture gets the furthest rating for which the shares of all labels that far or further sum up to the rating's threshold
    (DEFAULT_THRESHOLD where none is given; lower is stricter), else GENERAL. A label that is beyond several ratings counts for
    each, so that a classifier of two labels can tell "for sure" from "perhaps". Raises ValueError for a scale that can withhold
    nothing.
    """

    labels: Mapping[str, Rating]
    thresholds: Mapping[Rating, float] = field(default_factory=dict[Rating, float])

    def __post_init__(self) -> None:
        if not any(rating.is_beyond(Rating.GENERAL) for rating in self.labels.values()):
            raise ValueError("at least one label must be rated beyond general, or nothing would ever be withheld")
        if Rating.GENERAL in self.thresholds or not all(0 < threshold <= 1 for threshold in self.thresholds.values()):
            raise ValueError("thresholds lie above 0 and up to 1, and belong to sensitive, questionable and explicit")

    def rate(self, shares: Mapping[str, float]) -> Rating:
        """Of one picture, whose `shares` are the labels' probabilities. Raises ValueError for anything else."""
        if shares.keys() != self.labels.keys():
            raise ValueError(f"the classifier answered with the labels {sorted(shares)}, not {sorted(self.labels)}")
        if not all(math.isfinite(share) and share >= 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 0.01:
            raise ValueError("the classifier answered with numbers that are no probabilities")
        return max((rating for rating in Rating if self._reaches(rating, shares)), key=tuple(Rating).index)

    def _reaches(self, rating: Rating, shares: Mapping[str, float]) -> bool:
        if rating is Rating.GENERAL:
            return True
        share = sum(share for label, share in shares.items() if not rating.is_beyond(self.labels[label]))
        return share >= self.thresholds.get(rating, DEFAULT_THRESHOLD)
