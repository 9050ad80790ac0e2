"""An operator's night: a backup while the bot draws, kill -9, the backup put back, a start; and what members see of it."""

import asyncio

from bot.chat.views.privacy import erase_id
from tests.process.test_privacy import found

SECRET = "tattletale"


async def run(house, *argv):
    """A command beside whatever bot runs; returns its exit code and what it printed on both."""
    process = await house.zygote.fork(house.local.origin, list(argv), env=house.environment(), cwd=house.folder)
    status = await process.wait(60)
    return status, "".join((house.folder / name).read_text() for name in ("bot.out", "bot.err"))


async def test_a_backup_put_back_after_a_kill_loses_no_card_posts_none_and_keeps_what_was_erased_erased(house, tmp_path):
    local, mika, ren = house.local, house.local.world.mika, house.local.world.ren
    backup = tmp_path / "night.db"
    house.draw_at(256)
    await house.start()
    finished = await local.answer(await local.command(mika, "anime", prompt="a hat", steps=1))
    await house.status(finished, "delivered")
    erased = await local.answer(await local.command(ren, "anime", prompt=f"{SECRET} hat", steps=1))
    await house.status(erased, "delivered")
    drawing = await local.answer(await local.command(mika, "anime", prompt="two hats", images=4, steps=60))
    await house.status(drawing, "running")

    status, told = await run(house, "backup", str(backup), "--pictures")
    assert (status, "pictures 2," in told) == (0, True), told
    later = await local.answer(await local.command(mika, "anime", prompt="after the backup", steps=1))
    await local.answer(await local.forge(ren, erased.response, erase_id(ren.id)))
    await found(house, "SELECT 1 FROM erasures WHERE closed_at IS NOT NULL")
    assert house.job_of(drawing)["status"] == "running", "it was over too soon for this test"
    await house.kill()
    lost = next(house.files())
    lost.unlink()
    before, shown = len(local.messages.all), finished.response.now

    status, told = await run(house, "restore", str(backup))
    assert (status, "erasures 1," in told, "night.db.pictures: 2." in told) == (0, True, True), told
    await house.start()
    await local.shown(drawing.response, "Reroll")
    await found(house, "SELECT 1 FROM erasures WHERE closed_at IS NOT NULL")
    await house.calm()

    assert house.job_of(drawing)["status"] == "cancelled"
    assert house.rows("SELECT SUM(reserved) AS reserved, SUM(spent) AS spent FROM ledger WHERE user_id = ?", mika.id)[0][:] == (
        0,
        1,
    )
    assert finished.response.now is shown
    assert lost.exists()
    assert erased.response.deleted
    assert not await asyncio.to_thread(holds_secret, house)
    assert house.job_of(later) is None
    assert len(local.messages.all) == before, "something was posted"


def holds_secret(house):
    """Outside of the database that was moved aside, and which keeps what was in its log."""
    paths = [path for path in house.data.rglob("*") if path.is_file() and not path.is_symlink()]
    return any(SECRET.encode() in path.read_bytes() for path in paths if "before-restore" not in str(path))
