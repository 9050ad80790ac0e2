"""kill -9 at any moment: no job is lost, none is shown twice, and the books are right."""

import contextlib

import pytest

from tests.process.campaign import MOMENTS, Moment, message, run_campaign, verdict
from tests.process.sabotage import BUGS


async def test_twenty_kills_lose_no_job_and_show_none_twice(house):
    tally = await run_campaign(house, lives=20, seed=20)

    assert verdict(house) == []
    assert set(tally.moments) == {moment.name for moment in MOMENTS}
    assert house.rows("SELECT 1 FROM jobs WHERE status = 'delivered'"), "nothing was delivered, so nothing was tested"


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10))
async def test_a_thousand_kills_lose_no_job_and_show_none_twice(house, seed, capsys):
    tally = await run_campaign(house, lives=100, seed=1000 + seed)
    statuses = {row[0]: row[1] for row in house.rows("SELECT status, count(*) FROM jobs GROUP BY status")}

    with capsys.disabled():
        print(f"\n{tally.lives} kills in {tally.seconds:.0f} s, {tally.interactions} interactions, jobs: {statuses}")
    assert verdict(house) == []


WEAK_SPOTS = {
    "forget_interrupted_jobs": (Moment("drawing", 0.05, message("edited", pictures=False)), 3),
    "post_instead_of_editing": (Moment("posting, answer on its way", 0.0, message("created", pictures=True)), 1),
    "charge_in_a_second_transaction": (Moment("charging", 3.0, message("edited", pictures=False)), 4),
    "write_no_outbox_entry": (Moment("any time", 3.0), 1),
}


@pytest.mark.parametrize("bug", BUGS)
async def test_a_planted_bug_is_found(house, bug):
    house.sabotage = bug
    moment, lives = WEAK_SPOTS[bug]
    with contextlib.suppress(AssertionError):  # some bugs keep the queue from ever coming to rest; the judge says which
        await run_campaign(house, lives, seed=5, moments=[moment], patience=5)

    assert verdict(house), f"the campaign does not notice {bug}"
