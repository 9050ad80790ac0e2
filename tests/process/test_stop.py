"""SIGTERM: an orderly end in mid job, and nothing lost."""

import signal

import pytest


@pytest.fixture
def slow_house(house):
    house.draw_at(256)  # seconds for four pictures of 60 steps
    return house


async def start_drawing(house):
    """Fire a job that takes a while, and return it once its card shows that it is being drawn."""
    local = house.local
    fired = await local.answer(await local.command(local.world.mika, "anime", prompt="a slow hat", images=4, steps=60))
    await house.status(fired, "running")
    return fired


async def test_sigterm_in_mid_job_ends_in_time_and_the_job_finishes_after_the_next_start(slow_house):
    house = slow_house
    await house.start_fresh()
    fired = await start_drawing(house)

    status = await house.stop(signal.SIGTERM, within=30)
    left = house.job_of(fired)["status"]
    await house.start()
    await house.status(fired, "delivered")

    assert status == 0
    assert left in {"queued", "delivered", "succeeded"}, "it was put back, or its grace sufficed"
    assert "Traceback" not in house.log


async def test_an_impatient_operator_who_repeats_sigterm_gets_the_same_orderly_end(slow_house):
    house = slow_house
    await house.start()
    await start_drawing(house)
    for _ in range(5):
        house.bot.send(signal.SIGTERM)

    assert await house.stop(signal.SIGINT, within=30) == 0
    assert house.rows("PRAGMA integrity_check")[0][0] == "ok"


async def test_sigterm_while_idle_ends_at_once(house):
    await house.start()

    assert await house.stop(within=10) == 0
