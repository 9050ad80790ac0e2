"""How long calls take, and how many pictures they should hold."""

from __future__ import annotations

import math

import pytest

from bot.domain.batch_curve import BatchCurve

H200 = BatchCurve(((1, 0.045), (2, 0.072), (4, 0.126), (8, 0.234), (16, 0.45)))  # 18 + 27 n ms
A4000 = BatchCurve(((1, 0.31), (2, 0.61), (4, 1.21)))


@pytest.mark.parametrize(
    ("pictures", "seconds"), [(1, 0.045), (3, 0.099), (8, 0.234), (12, 0.342), (20, 0.5625), (0.5, 0.0315)]
)
def test_a_curve_is_straight_between_its_points_and_no_cheaper_beyond_them(pictures: float, seconds: float) -> None:
    assert H200.seconds(pictures) == pytest.approx(seconds)


def test_small_pictures_are_never_quicker_than_in_proportion() -> None:
    assert BatchCurve(((1, 1.0), (2, 3.0))).seconds(0.25) == pytest.approx(0.25)


def test_one_point_alone_says_that_nothing_is_gained_by_sharing() -> None:
    curve = BatchCurve(((1, 60.0),))

    assert (curve.seconds(3), curve.best_batch()) == (180.0, 1)


@pytest.mark.parametrize(
    ("curve", "batch"),
    [
        (H200, 8),
        (A4000, 1),  # one picture fills it
        (BatchCurve(((1, 0.04), (2, 0.05), (4, 0.07), (8, 0.11), (16, 0.19))), 16),
        (BatchCurve(((1, 0.04), (2, 0.05))), 2),
        (BatchCurve(((1, 1.0), (2, 1.98), (4, 2.5))), 4),  # a single doubling that does not pay hides none that does
    ],
)
def test_a_call_holds_as_many_pictures_as_pay(curve: BatchCurve, batch: int) -> None:
    assert curve.best_batch() == batch


def test_a_limit_of_the_operators_is_kept() -> None:
    assert [H200.best_batch(most) for most in (0, 1, 4, 5)] == [1, 1, 4, 4]


@pytest.mark.parametrize(
    "points", [(), ((2, 1.0),), ((1, 0.0),), ((1, math.nan),), ((1, 1.0), (2, 0.9)), ((1, 1.0), (1, 1.0)), ((1, math.inf),)]
)
def test_what_is_no_curve_is_refused(points: tuple[tuple[int, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"curve|seconds|call"):
        BatchCurve(points)
