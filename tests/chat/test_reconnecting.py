"""When the gateway is tried again, on a clock that the test moves."""

import random

import pytest

from bot.chat.reconnecting import LONGEST_PAUSE, QUIET, Backoff, IdentifyBudget

HOUR, DAY = 3600.0, 86_400.0


class Watch:
    """A monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("seed", range(50))
def test_after_an_hour_without_gateway_the_next_try_is_at_most_a_minute_away(seed):
    watch = Watch()
    backoff = Backoff(clock=watch, uniform=random.Random(seed).uniform)
    back_at = watch.now + HOUR
    while watch.now < back_at:
        watch.now += backoff.delay()

    assert watch.now - back_at <= 60


def test_pauses_grow_to_a_minute_and_stay_there():
    longest = Backoff(clock=Watch(), uniform=lambda _, most: most)

    assert [longest.delay() for _ in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]


def test_after_a_quiet_time_pauses_are_short_again():
    watch = Watch()
    backoff = Backoff(clock=watch, uniform=lambda _, most: most)
    for _ in range(9):
        watch.now += backoff.delay()
    assert backoff.delay() == LONGEST_PAUSE

    watch.now += QUIET + 1

    assert backoff.delay() == 2


def test_a_gateway_that_throws_the_bot_out_at_once_gets_under_500_identifies_in_any_day():
    watch = Watch()
    budget = IdentifyBudget(clock=watch)
    sent = []
    while watch.now < 1000 + 4 * DAY:
        watch.now += budget.wait()
        budget.take()
        sent.append(watch.now)
        watch.now += 5  # discord.py's own pause between two

    busiest = max(sum(at <= other < at + DAY for other in sent) for at in sent)
    assert 300 < busiest < 500


def test_a_day_of_rest_gives_the_identifies_back():
    watch = Watch()
    budget = IdentifyBudget(clock=watch)
    while budget.wait() == 0:
        budget.take()
    assert budget.wait() > 0

    watch.now += DAY

    assert budget.wait() == 0
