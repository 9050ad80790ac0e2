"""kill -9 at any moment: no job is lost, none is shown twice, and the books are right."""

import contextlib
from dataclasses import dataclass

import pytest

from tests.process.campaign import FIRST_ANSWERS, Moment, message, run_campaign, verdict
from tests.process.sabotage import BUGS


async def test_a_dozen_kills_lose_no_job_and_show_none_twice(house):
    tally = await run_campaign(house, lives=12, seed=20)

    assert verdict(house) == []
    assert tally.moments.total() >= 8, f"most lives did not get as far as they should: {tally}"
    assert house.rows("SELECT 1 FROM jobs WHERE status = 'delivered'"), "nothing was delivered, so nothing was tested"


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10))
async def test_a_thousand_kills_lose_no_job_and_show_none_twice(house, seed, record_property):
    tally = await run_campaign(house, lives=100, seed=1000 + seed)
    statuses = {row[0]: row[1] for row in house.rows("SELECT status, count(*) FROM jobs GROUP BY status")}
    broken = verdict(house)

    record_property(
        "measured",
        f"{tally.lives} kills in {tally.seconds:.0f} s, {tally.interactions} interactions, jobs {statuses}, "
        f"{len(broken)} broken promises; {tally.missed.total()} kills came without their moment",
    )
    assert broken == []


async def test_kills_at_the_first_answer_leave_nobody_without_an_end(house):
    await run_campaign(house, lives=len(FIRST_ANSWERS), seed=3, moments=FIRST_ANSWERS)

    assert verdict(house) == []


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2))
async def test_two_hundred_kills_at_the_first_answer_leave_nobody_without_an_end(house, seed, record_property):
    tally = await run_campaign(house, lives=100, seed=2000 + seed, moments=FIRST_ANSWERS)
    answered = sum(it.answer is not None for it in house.local.interactions.all.values())
    unshown = len(house.rows("SELECT 1 FROM jobs WHERE shown_at IS NULL"))
    broken = verdict(house)

    record_property(
        "measured",
        f"{tally.lives} kills at first answers in {tally.seconds:.0f} s: {answered} of {tally.interactions} interactions "
        f"answered, {unshown} stored jobs that nobody was shown, {len(broken)} broken promises; "
        f"{tally.missed.total()} kills came without their moment",
    )
    assert broken == []


TRIES = 5  # a kill may miss the moment that a bug needs; the correct bot stays without a finding however often one tries
UNTIL_THE_MOMENT = 30.0  # seconds: on a crowded machine a bot needs longer than a campaign's life to post its first pictures


@dataclass(frozen=True)
class WeakSpot:
    """Where a bug shows itself, and what the judge must say of it."""

    moment: Moment
    lives: int
    finding: str


WEAK_SPOTS = {
    "forget_interrupted_jobs": WeakSpot(Moment("drawing", 0.05, message("edited", pictures=False)), 3, "running for ever"),
    "post_instead_of_editing": WeakSpot(Moment("posting", 0.0, message("created", pictures=True)), 1, "in 2 messages at once"),
    "charge_in_a_second_transaction": WeakSpot(Moment("charging", 1.5, message("edited", pictures=False)), 4, "postings"),
    "write_no_outbox_entry": WeakSpot(Moment("any time", 3.0), 1, "succeeded for ever"),
    "answer_before_storing": WeakSpot(Moment("taking in", 0.0, message("loading")), 1, "still says that it is thinking"),
}


@pytest.mark.parametrize("bug", BUGS)
async def test_a_planted_bug_is_found(house, bug):
    house.sabotage, spot = bug, WEAK_SPOTS[bug]
    findings: list[str] = []
    for seed in range(5, 5 + TRIES):
        with contextlib.suppress(AssertionError):  # some bugs keep the queue from ever coming to rest; the judge says which
            await run_campaign(house, spot.lives, seed=seed, moments=[spot.moment], longest_life=UNTIL_THE_MOMENT, patience=10)
        findings = verdict(house)
        if any(spot.finding in line for line in findings):
            return

    pytest.fail(f"the campaign does not notice {bug}: {findings}")
