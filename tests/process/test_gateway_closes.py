"""Discord ends the connection for good while the bot runs: its exit code, one sentence, and no traceback."""

import asyncio

import pytest

from tests.local_discord.server import TOKEN

ENDS = [(4004, 77), (4010, 76), (4011, 75), (4012, 76), (4013, 76), (4014, 76)]


async def ended(house) -> tuple[int, list[str]]:
    """The exit code and what was said last."""
    status = await house.bot.wait(20)
    await house.local.gateway.forget()
    assert "Traceback" not in house.log
    return status, [line for line in house.log.splitlines() if line.startswith("pastel: ")]


@pytest.mark.parametrize(("close_code", "exit_code"), ENDS)
async def test_a_close_code_that_is_final_ends_the_process(house, close_code, exit_code):
    await house.start()
    await house.local.gateway.disconnect(close_code)
    status, lines = await ended(house)

    assert (status, len(lines)) == (exit_code, 1)
    assert lines[0].endswith(".")


async def test_a_token_that_is_reset_while_the_bot_runs_is_told_as_a_refused_token(house):
    await house.start()
    house.local.world.token = "another.token.by-now-that-only-the-portal-knows"
    await house.local.gateway.disconnect(4000)  # the bot tries to go on where it was, and is refused there
    status, lines = await ended(house)

    assert (status, len(lines)) == (77, 1)
    assert "DISCORD_TOKEN" in lines[0]
    assert TOKEN not in house.log


async def test_a_version_that_discord_does_not_greet_ends_its_start(house):
    house.local.gateway.turns_away = 4012
    await house.start(connected=False)

    assert await ended(house) == (
        76,
        ["pastel: Discord no longer speaks this version's gateway protocol (close code 4012). Update Pastel."],
    )


async def test_sigterm_while_discord_is_silent_ends_in_order(house):
    await house.start()
    house.local.gateway.is_mute = True
    await house.local.gateway.disconnect(4000)
    await house.local.until(lambda: list(house.local.journal.of("gateway", "mute")), "a try to come back")

    assert await asyncio.wait_for(house.stop(within=15), 20) == 0
