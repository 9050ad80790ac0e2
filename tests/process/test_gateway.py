"""What the gateway does to a bot: events twice, events too late, reconnects and lost sessions, a second shard."""

import asyncio

import aiohttp

from tests.process.campaign import verdict


async def fire(house, **options):
    local = house.local
    return await local.answer(await local.command(local.world.mika, "anime", prompt="a hat", **options))


async def test_an_event_that_is_replayed_makes_one_job_and_one_card(house):
    local = house.local
    await house.start()
    fired = await fire(house)
    for _ in range(3):
        await local.gateway.session(0).dispatch("INTERACTION_CREATE", local.interactions.to_json(fired))
    await house.status(fired, "delivered")
    await house.calm()

    assert len(house.rows("SELECT * FROM jobs")) == 1
    assert len(local.messages.all) == 1
    assert verdict(house) == []


async def test_an_event_of_before_the_crash_makes_no_second_job_after_it(house):
    local = house.local
    await house.start()
    fired = await fire(house)
    await house.status(fired, "delivered")
    await house.kill()
    await house.start()
    await local.gateway.session(0).dispatch("INTERACTION_CREATE", local.interactions.to_json(fired))
    await house.status(await fire(house), "delivered")

    assert len(house.rows("SELECT * FROM jobs")) == 2, "the replayed one and the new one"


async def test_a_command_that_comes_too_late_to_be_answered_costs_nothing(house):
    local = house.local
    await house.start()
    late = local.interactions.begin(2, local.world.mika, local.world.general, (await fire(house)).data)
    local.advance(seconds=4)
    await local.gateway.session(0).dispatch("INTERACTION_CREATE", local.interactions.to_json(late))
    await local.until(lambda: list(local.journal.of("answer", "late")), "an answer in vain")
    await house.calm()

    assert house.job_of(late)["status"] == "cancelled"
    assert verdict(house) == []
    assert "Traceback" not in house.log


async def test_reconnects_and_a_lost_session_leave_the_bot_at_work(house):
    local = house.local
    await house.start()
    for op, data, sign in ((7, None, "resume"), (9, False, "identify")):
        seen = len(list(local.journal.of("gateway", sign)))
        await local.gateway.say(op, data)
        await local.until(lambda seen=seen, sign=sign: len(list(local.journal.of("gateway", sign))) > seen, sign)
        await local.gateway.connected()
        await house.status(await fire(house), "delivered")

    assert verdict(house) == []


async def test_commands_are_registered_once_over_many_starts(house):
    for _ in range(3):
        await house.start()
        await house.kill()

    assert house.local.rest.syncs == 1


async def test_healthz_is_ready_only_with_gateway_database_and_weights(house, unused_tcp_port):
    """And /metrics tells how long the first answers took."""
    await house.start(HTTP_PORT=str(unused_tcp_port))
    await house.status(await fire(house), "delivered")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as http:
        await _until_status(http, 200)
        async with http.get("/metrics") as page:
            metrics = await page.text()
        house.local.gateway.refuses = True
        await house.local.gateway.disconnect()
        await _until_status(http, 503)

    assert "pastel_ack_seconds_count 1.0" in metrics
    assert "pastel_images_total 1.0" in metrics


async def _until_status(http, wanted):
    async with asyncio.timeout(20):
        while True:
            async with http.get("/healthz") as page:
                if page.status == wanted:
                    return
            await asyncio.sleep(0.1)
