"""The economy under load: a race for credits, and any order of events. `make quota-test` runs both at full length."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.economy.fairness_table import arrivals, first_come, simulate
from tests.economy.race import check_race
from tests.storage.test_state_machine import Repository


async def test_of_four_requests_at_once_against_an_allowance_of_three_exactly_three_are_accepted() -> None:
    await check_race(200)


@pytest.mark.campaign
async def test_five_thousand_members_at_once_get_three_each() -> None:
    await check_race(5_000)


@pytest.mark.campaign
def test_two_thousand_runs_of_fifty_steps_keep_the_ledger_and_the_turns() -> None:
    profile = settings(
        max_examples=2_000,
        stateful_step_count=50,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(Repository, settings=profile)


@pytest.mark.parametrize("batch", [1, 4, 8, 16])
async def test_ten_members_wait_less_for_their_first_picture_than_first_come_first_served_would_make_them(batch: int) -> None:
    fair, fifo = await simulate(arrivals(), batch), first_come(arrivals())

    others = [member for member in fair if member != "flooder"]
    assert len(others) == 9
    assert all(fair[member].first <= fifo[member].first for member in others)
    assert max(fair[member].first for member in others) < min(fifo[member].first for member in others)
    ends = [max(waits.last for waits in way.values()) for way in (fair, fifo)]
    assert ends[0] == pytest.approx(ends[1]), "the machine draws as much as ever"
