from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.chat.actions import Press
from bot.chat.double_clicks import DoubleClicks

REROLL = Press(action="reroll", job_id="0" * 16)
SUBTLE = Press(action="subtle", job_id="0" * 16, image=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_press_within_three_seconds_of_the_first_is_the_same_wish():
    repeats = DoubleClicks()

    assert [repeats.is_repeated(1, REROLL, at(second)) for second in (0, 0.3, 2.9, 3.0, 5.9, 6.0)] == [
        False, True, True, False, True, False,
    ]  # fmt: skip


def test_events_that_change_places_on_their_way_are_the_same_wish_too():
    repeats = DoubleClicks()

    assert [repeats.is_repeated(1, REROLL, at(second)) for second in (0.5, 0.0)] == [False, True]


def test_another_member_another_button_and_another_picture_are_other_wishes():
    repeats = DoubleClicks()
    other = Press(action="subtle", job_id="0" * 16, image=2)

    assert not any(repeats.is_repeated(user, press, START) for user in (1, 2) for press in (REROLL, SUBTLE, other))


def test_what_was_refused_may_be_wished_again_at_once():
    repeats = DoubleClicks()
    repeats.is_repeated(1, REROLL, START)

    repeats.forget(1, REROLL)

    assert not repeats.is_repeated(1, REROLL, at(0.1))


def test_no_more_is_remembered_than_the_last_seconds():
    repeats = DoubleClicks()
    for number in range(1000):
        repeats.is_repeated(number, REROLL, at(number))

    assert len(repeats._wishes) <= 4
