"""For how long a group of pictures keeps the model."""

from __future__ import annotations

import pytest

from bot.inference.engine.group_rotation import LONGEST, SHORTEST, GroupRotation


def test_a_group_keeps_the_model_for_a_slice_and_then_whoevers_turn_it_is_has_it() -> None:
    order: GroupRotation[str] = GroupRotation()
    groups = ["square", "tall"]

    assert order.choose("square", groups, 0.0) == "square"
    assert order.choose("tall", groups, SHORTEST - 0.1) == "square"
    assert order.choose("tall", groups, SHORTEST) == "tall"
    assert order.choose("square", groups, SHORTEST + 0.1) == "tall"


def test_a_group_without_pictures_has_no_slice_left() -> None:
    order: GroupRotation[str] = GroupRotation()
    order.choose("square", ["square"], 0.0)

    assert order.choose("tall", ["tall"], 0.1) == "tall"


def test_a_group_may_keep_the_model_for_as_long_as_it_is_its_turn() -> None:
    order: GroupRotation[str] = GroupRotation()

    assert {order.choose("square", ["square", "tall"], float(now)) for now in range(60)} == {"square"}
    assert order.choose("tall", ["square", "tall"], 60.0) == "tall"


@pytest.mark.parametrize(("switch", "kept"), [(0.01, SHORTEST), (0.3, 1.2), (5.0, LONGEST)])
def test_a_slice_is_four_times_as_long_as_the_switch_before_it_within_bounds(switch: float, kept: float) -> None:
    order: GroupRotation[str] = GroupRotation()
    order.choose("pastel", ["pastel", "bare"], 100.0)
    order.switched(switch)

    assert order.choose("bare", ["pastel", "bare"], 100.0 + switch + kept - 0.01) == "pastel"
    assert order.choose("bare", ["pastel", "bare"], 100.0 + switch + kept + 0.01) == "bare"


def test_a_slice_is_interrupted_once_and_a_long_stay_once_in_the_time_of_a_slice() -> None:
    order: GroupRotation[str] = GroupRotation()
    groups = ["square", "tall"]
    order.choose("square", groups, 0.0)
    assert order.may_pause(0.1)
    order.paused(0.3, 0.4)

    assert not order.may_pause(0.5)
    assert order.may_pause(0.4 + SHORTEST)
    assert order.choose("tall", groups, 0.3 + SHORTEST - 0.01) == "square"  # the slice goes on where it was
    assert order.choose("tall", groups, 0.3 + SHORTEST) == "tall"
    assert order.may_pause(0.3 + SHORTEST)
