"""How long a call of the model takes, by how many pictures it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

WORTH = 1.05  # larger calls must bring this much more pictures a second: below, members only wait for one another


@dataclass(frozen=True, slots=True)
class BatchCurve:
    """Measured seconds of a guided step for so many pictures in one call, in the profile's default size.

    `points` are pairs of pictures and seconds; the pictures begin with 1 and ascend, the seconds never fall. Raises ValueError
    for anything else.
    """

    points: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        if not self.points or self.points[0][0] != 1:
            raise ValueError("a curve begins with one picture")
        if not all(math.isfinite(seconds) and seconds > 0 for _, seconds in self.points):
            raise ValueError("seconds are above 0")
        if not all(one[0] < other[0] and one[1] <= other[1] for one, other in pairwise(self.points)):
            raise ValueError("a larger call holds more pictures and is never quicker")

    def seconds(self, pictures: float) -> float:
        """Returns how long a call takes. A picture of another size counts as its area over the default size's.

        Straight between the points, and from the first ones down to what an empty call would take; beyond the last in
        proportion: what was not measured is not taken to be cheaper.
        """
        (_, first), (most, longest) = self.points[0], self.points[-1]
        if pictures >= most:
            return longest * pictures / most
        if len(self.points) == 1:
            return first * pictures
        (low, quick), (high, slow) = self._around(pictures)
        line = quick + (slow - quick) * (pictures - low) / (high - low)
        return max(line, first * pictures) if pictures < 1 else line

    def best_batch(self, most: int | None = None) -> int:
        """Returns how many pictures a call should hold (at most `most`): the fewest that are nearly as quick as any, a
        picture."""
        points = [point for point in self.points if most is None or point[0] <= max(1, most)]
        best = max(pictures / seconds for pictures, seconds in points)
        return next(pictures for pictures, seconds in points if pictures / seconds * WORTH >= best)

    def _around(self, pictures: float) -> tuple[tuple[int, float], tuple[int, float]]:
        pairs = list(pairwise(self.points))
        return next(pair for pair in pairs if pictures <= pair[1][0])
