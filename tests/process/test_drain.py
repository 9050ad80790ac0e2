"""SIGUSR1: finish what waits, take nothing new, then stop."""

import signal


async def test_sigusr1_draws_and_shows_what_waits_refuses_what_comes_and_ends_the_process(house):
    local, mika = house.local, house.local.world.mika
    house.draw_at(256)
    await house.start()
    fired = [await local.answer(await local.command(mika, "anime", prompt=f"hat {number}", steps=9)) for number in range(2)]
    await house.status(fired[0], "running")

    for _ in range(2):
        house.bot.send(signal.SIGUSR1)
    await local.until(lambda: "Draining" in house.log, "the drain")
    late = await local.answer(await local.command(mika, "anime", prompt="too late"))
    await local.until(lambda: late.whispers, "a sentence for who comes too late")

    assert "I'll finish what's in the queue, but can't take new pictures right now" in late.whispers[-1]
    assert await house.bot.wait(60) == 0
    assert [house.job_of(it)["status"] for it in fired] == ["delivered"] * 2
    assert house.job_of(late) is None
    assert "Traceback" not in house.log
