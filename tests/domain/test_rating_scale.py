"""From a classifier's labels to ratings, and which of two ratings goes further."""

from __future__ import annotations

import math

import pytest

from bot.domain.rating_scale import RatingScale
from bot.domain.safety import Rating

FOUR = RatingScale(
    labels={
        "neutral": Rating.GENERAL,
        "low": Rating.SENSITIVE,
        "medium": Rating.QUESTIONABLE,
        "high": Rating.EXPLICIT,
    }
)
TWO = RatingScale(
    labels={"sfw": Rating.GENERAL, "nsfw": Rating.EXPLICIT},
    thresholds={Rating.SENSITIVE: 0.25, Rating.EXPLICIT: 0.75},
)


def four(*shares: float) -> dict[str, float]:
    return dict(zip(("neutral", "low", "medium", "high"), shares, strict=True))


def test_the_ratings_are_a_ladder() -> None:
    ratings = list(Rating)

    assert [[one.is_beyond(other) for other in ratings] for one in ratings] == [
        [False, False, False, False],
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
    ]


@pytest.mark.parametrize(
    ("shares", "rating"),
    [
        (four(0.9, 0.1, 0.0, 0.0), Rating.GENERAL),
        (four(0.4, 0.6, 0.0, 0.0), Rating.SENSITIVE),
        (four(0.4, 0.3, 0.2, 0.1), Rating.SENSITIVE),  # nobody's favourite, but together they are more likely than not
        (four(0.4, 0.0, 0.2, 0.4), Rating.QUESTIONABLE),
        (four(0.4, 0.1, 0.0, 0.5), Rating.EXPLICIT),
    ],
)
def test_labels_that_go_as_far_or_further_count_together(shares: dict[str, float], rating: Rating) -> None:
    assert FOUR.rate(shares) is rating


@pytest.mark.parametrize(
    ("nsfw", "rating"),
    [
        (0.24, Rating.GENERAL),
        (0.25, Rating.SENSITIVE),
        (0.5, Rating.QUESTIONABLE),
        (0.75, Rating.EXPLICIT),
        (1, Rating.EXPLICIT),
    ],
)
def test_two_labels_tell_doubt_from_certainty_by_thresholds(nsfw: float, rating: Rating) -> None:
    assert TWO.rate({"sfw": 1 - nsfw, "nsfw": nsfw}) is rating


@pytest.mark.parametrize(
    "shares",
    [
        {"sfw": 1.0},
        {"sfw": 0.5, "nsfw": 0.3, "other": 0.2},
        {"SFW": 0.5, "nsfw": 0.5},
        {"sfw": math.nan, "nsfw": math.nan},
        {"sfw": 1.0, "nsfw": math.nan},
        {"sfw": 1.2, "nsfw": -0.2},
        {"sfw": 0.1, "nsfw": 0.1},
    ],
)
def test_an_answer_that_is_no_share_for_each_label_is_no_rating(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="the classifier answered"):
        TWO.rate(shares)


def test_a_scale_that_can_withhold_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing would ever be withheld"):
        RatingScale(labels={"cat": Rating.GENERAL, "dog": Rating.GENERAL})


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.5, math.nan])
def test_a_threshold_is_a_share(threshold: float) -> None:
    with pytest.raises(ValueError, match="thresholds"):
        RatingScale(labels=TWO.labels, thresholds={Rating.EXPLICIT: threshold})
