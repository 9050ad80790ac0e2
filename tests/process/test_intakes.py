"""kill -9 while members' files are read: the next start goes on, or says in that very answer that the file was lost."""

from tests.process.campaign import START, verdict


async def test_a_start_goes_on_with_a_file_and_says_of_another_that_it_was_lost(house):
    local, world = house.local, house.local.world
    await house.start()
    local.faults.add("GET", "/ephemeral-attachments/", delay=60, times=2)
    kept, lost = (local.messages.upload(world.general, name, START) for name in ("kept.png", "lost.png"))
    asked = [
        await local.answer(await local.command(user, "anime", prompt="hat number 1", image=image))
        for user, image in zip(world.users, (kept, lost), strict=False)
    ]
    assert [it.response.loading for it in asked] == [True, True]
    await house.kill()
    local.faults.clear()
    del local.messages.files[lost.id]

    await house.start()

    await house.status(asked[0], "delivered")
    await local.shown(asked[1].response, "I was restarted while I read your picture")
    await house.calm()
    assert house.job_of(asked[1]) is None
    assert verdict(house) == []
