"""A member's deletion against the real process, which may be killed in its middle."""

import asyncio

from bot.chat.views.privacy import erase_id
from tests.process.sabotage import stall_erasures

SECRET = "tattletale"


async def found(house, sql, within=60.0):
    """Wait until the query has a row; SQLite tells nobody outside of its process."""
    async with asyncio.timeout(within):
        while not (rows := house.rows(sql)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return rows


def stored(house):
    """Every byte of the data folder."""
    return b"".join(path.read_bytes() for path in house.data.rglob("*") if path.is_file() and not path.is_symlink())


async def test_a_deletion_that_sigkill_cut_off_is_finished_by_the_next_start(house):
    local, mika = house.local, house.local.world.mika
    house.sabotage = stall_erasures.__name__
    await house.start()
    fired = await local.answer(await local.command(mika, "anime", prompt=f"{SECRET} hat"))
    await house.status(fired, "delivered")
    await local.answer(await local.forge(mika, fired.response, erase_id(mika.id)))
    await found(house, "SELECT 1 FROM jobs WHERE words_removed_at IS NOT NULL")
    await house.kill()
    assert house.rows("SELECT 1 FROM erasures WHERE erased_at IS NULL"), "it was over too soon for this test"
    assert SECRET.encode() in stored(house)
    assert not fired.response.deleted
    house.sabotage = None

    await house.start()
    await found(house, "SELECT 1 FROM erasures WHERE closed_at IS NOT NULL")

    assert SECRET.encode() not in stored(house)
    assert list(house.files()) == []
    assert fired.response.deleted
    assert house.rows("SELECT SUM(spent) AS spent FROM ledger")[0]["spent"] == 1
    assert SECRET not in house.log


async def test_a_member_deletes_everything_within_a_minute_while_others_draw(house):
    local, mika, ren = house.local, house.local.world.mika, house.local.world.ren
    await house.start()
    fired = await local.answer(await local.command(mika, "anime", prompt=f"{SECRET} hat"))
    await house.status(fired, "delivered")
    others = await local.answer(await local.command(ren, "anime", prompt="green coat", images=2))
    waiting = await local.answer(await local.command(mika, "anime", prompt=f"{SECRET} again", images=4, steps=60))
    await found(house, "SELECT 1 FROM jobs GROUP BY NULL HAVING COUNT(*) = 3")  # answered is not stored yet

    await local.answer(await local.forge(mika, fired.response, erase_id(mika.id)))
    await found(house, "SELECT 1 FROM erasures WHERE closed_at IS NOT NULL")
    await house.status(others, "delivered")

    assert house.job_of(waiting)["status"] == "cancelled"
    assert SECRET.encode() not in stored(house)
    assert b"green coat" in stored(house)
    assert len(others.response.now.attachments) == 2
    assert fired.response.deleted
    assert waiting.response.deleted
