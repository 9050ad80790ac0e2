"""SIGTERM: an orderly end in mid job, and nothing lost."""

import signal

import pytest

from tests.process.sabotage import shorten_the_grace


@pytest.fixture
def slow_house(house):
    house.draw_at(256)  # about 7 s a picture of 60 steps on one core
    return house


async def start_drawing(house, images, steps=60):
    """Fire a job that takes a while, and return it once it is being drawn."""
    local = house.local
    fired = await local.answer(await local.command(local.world.mika, "anime", prompt="a slow hat", images=images, steps=steps))
    await house.status(fired, "running", "succeeded", "delivered")
    return fired


async def stop_and_finish(house, fired):
    """SIGTERM now; returns the exit code and the job's status then. Afterwards a new life delivers the job."""
    status = await house.stop(signal.SIGTERM, within=30)
    left = house.job_of(fired)["status"]
    house.sabotage = None
    await house.start()
    await house.status(fired, "delivered", within=120)
    assert "Traceback" not in house.log
    return status, left


async def test_sigterm_in_mid_job_ends_in_time_and_the_job_finishes_after_the_next_start(slow_house):
    slow_house.sabotage = shorten_the_grace.__name__
    await slow_house.start()
    fired = await start_drawing(slow_house, images=2)

    assert await stop_and_finish(slow_house, fired) == (0, "queued")
    assert slow_house.job_of(fired)["aborts"] == 1, "a stop is not held against the job"


async def test_work_that_needs_less_than_the_grace_is_finished_and_shown_before_the_end(house):
    await house.start()
    warm = await start_drawing(house, images=1, steps=1)  # weights that are still being read are not waited for
    await house.status(warm, "delivered")
    fired = await start_drawing(house, images=1, steps=30)

    assert await stop_and_finish(house, fired) == (0, "delivered")


@pytest.mark.campaign
async def test_sigterm_with_the_real_grace_ends_within_30_s_in_mid_job(slow_house):
    await slow_house.start_fresh()
    fired = await start_drawing(slow_house, images=4)
    status, left = await stop_and_finish(slow_house, fired)

    assert status == 0
    assert left in {"queued", "delivered"}, "it was put back, or its grace sufficed"


async def test_an_impatient_operator_who_repeats_sigterm_gets_the_same_orderly_end(slow_house):
    house = slow_house
    house.sabotage = shorten_the_grace.__name__
    await house.start()
    await start_drawing(house, images=2)
    for _ in range(5):
        house.bot.send(signal.SIGTERM)

    assert await house.stop(signal.SIGINT, within=30) == 0
    assert house.rows("PRAGMA integrity_check")[0][0] == "ok"


async def test_an_interpreter_of_its_own_serves_and_ends_at_once_when_idle(house):
    await house.start_fresh()
    fired = await start_drawing(house, images=1, steps=1)
    await house.status(fired, "delivered")
    await house.calm()

    assert await house.stop(within=10) == 0
