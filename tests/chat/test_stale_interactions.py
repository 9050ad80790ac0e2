"""Which interactions nobody waits for any more, whatever this machine's clock says."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import pytest

from bot.chat.stale_interactions import StaleInteractions
from tests.fakes import START


class Wire:
    """Discord makes interactions; they take a while to us. `ahead` is by how much this machine's clock is wrong, in seconds."""

    def __init__(self, *, ahead: float = 0.0) -> None:
        self.ahead = ahead
        self._passed = 0.0
        self._drift = 0.0
        self._freshness = StaleInteractions(lambda: 5000.0 + self._passed * (1 + self._drift))

    def wait(self, seconds: float) -> None:
        self._passed += seconds

    def drift(self, rate: float) -> None:
        """Let our clocks run faster than Discord's."""
        self._drift = rate

    def is_dropped(self, took: float = 0.1) -> bool:
        made_at = self._time()
        self.wait(took)
        return self._freshness.is_stale(made_at, self._time() + timedelta(seconds=self.ahead))

    def _time(self) -> datetime:
        return START + timedelta(seconds=self._passed)


def test_an_interaction_older_than_discord_waits_is_stale() -> None:
    wire = Wire()
    assert not wire.is_dropped()

    assert not wire.is_dropped(took=2.5)
    assert wire.is_dropped(took=2.7)
    assert not wire.is_dropped()


@pytest.mark.parametrize("wrong", [10.0, -10.0, 40 * 365 * 86400.0, -5 * 365 * 86400.0])
def test_a_clock_that_is_stepped_drops_no_interaction_and_keeps_no_old_one(wrong: float) -> None:
    wire = Wire()
    for ahead in (0.0, wrong, 0.0):
        wire.ahead = ahead
        assert [wire.is_dropped() for _ in range(20)] == [False] * 20
        assert wire.is_dropped(took=3.0)


@pytest.mark.parametrize("wrong", [10.0, -10.0, 3600.0])
def test_a_bot_that_starts_with_a_wrong_clock_answers_from_the_first_interaction_on(wrong: float) -> None:
    wire = Wire(ahead=wrong)

    assert [wire.is_dropped() for _ in range(20)] == [False] * 20
    assert wire.is_dropped(took=3.0)


def test_clocks_that_went_apart_over_a_quiet_night_drop_nothing() -> None:
    wire = Wire()
    wire.is_dropped()
    wire.drift(0.0001)  # 4 s in 12 hours
    wire.wait(12 * 3600.0)

    assert not wire.is_dropped()


def test_an_operator_is_told_of_a_wrong_clock_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    wire = Wire(ahead=7200.0)
    for _ in range(3):
        wire.is_dropped()
    wire.ahead = 0.0
    wire.is_dropped()
    wire.ahead = -7200.0
    wire.is_dropped()

    first, second = [record.getMessage() for record in caplog.records]
    assert "7200 s ahead of Discord's" in first
    assert "7200 s behind Discord's" in second
