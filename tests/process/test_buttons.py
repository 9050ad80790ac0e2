"""Buttons of old messages after a restart, dead buttons, and presses that Discord's own app would not send."""


async def delivered(house):
    """A finished card, made by a life of the bot that is over."""
    await house.start()
    local = house.local
    fired = await local.answer(await local.command(local.world.mika, "anime", prompt="green hat", images=2))
    await house.status(fired, "delivered")
    await house.kill()
    await house.start()
    return fired


async def whispered(house, it):
    """What the bot said to the presser alone."""
    await house.local.until(lambda: it.whispers, "a sentence for the presser")
    return it.whispers[-1]


async def pressed(house, user, message, wanted):
    return await house.local.answer(await house.local.press(user, message, wanted))


async def test_reroll_and_vary_work_on_another_members_card_after_a_restart(house):
    old = await delivered(house)
    ren = house.local.world.ren
    again = [await pressed(house, ren, old.response, wanted) for wanted in ("Reroll", "Subtle 2", "Strong 1")]
    for it in again:
        await house.status(it, "delivered")

    parent = house.job_of(old)
    made = [house.job_of(it) for it in again]
    assert [job["parent_id"] for job in made] == [parent["id"]] * 3
    assert [job["parent_relation"] for job in made] == ["reroll", "variation", "variation"]
    assert {job["user_id"] for job in made} == {ren.id}
    assert len(old.response.now.attachments) == 2, "the old card keeps its pictures"


async def test_a_remix_form_opened_before_a_crash_can_be_sent_after_it(house):
    old = await delivered(house)
    opened = await pressed(house, house.local.world.ren, old.response, "Remix")
    await house.kill()
    await house.start()
    field = next(name for name in _fields(opened.modal) if "prompt" in name and "negative" not in name)
    sent = await house.local.answer(await house.local.submit(opened, **{field: "red hat"}))
    await house.status(sent, "delivered")

    assert "red hat" in house.job_of(sent)["request"]


def _fields(modal):
    return [label["component"]["custom_id"] for label in modal["components"] if "component" in label]


async def test_details_show_everything_to_the_asker_alone(house):
    old = await delivered(house)
    asked = await pressed(house, house.local.world.ren, old.response, "Details")

    assert "green hat" in await whispered(house, asked)


async def test_the_owner_can_delete_a_card_and_the_buttons_of_a_copy_say_that_it_is_gone(house):
    old = await delivered(house)
    job = house.job_of(old)["id"]
    await pressed(house, house.local.world.mika, old.response, "Delete")
    await house.local.until(lambda: old.response.deleted, "the deletion")
    dead = await house.local.answer(await house.local.forge(house.local.world.ren, old.response, f"pastel:reroll:{job}"))

    assert "gone" in await whispered(house, dead) or "deleted" in await whispered(house, dead)
    assert dead.response.ephemeral, "nobody else sees a refusal"
    assert house.job_of(dead) is None
    await house.poll(lambda: not list(house.files()), 10.0, "no picture left")


async def test_cancel_works_after_a_crash_and_the_cancelled_cards_old_button_says_so(house):
    local = house.local
    await house.start()
    fired = await local.answer(await local.command(local.world.mika, "anime", prompt="hat", images=4, steps=60))
    await local.shown(fired.response, "Cancel")
    cancel = fired.response.button("Cancel")["custom_id"]
    await house.kill()
    house.local.faults.add("PATCH", "/messages/", delay=0.2, times=99)
    await house.start()
    first = await local.answer(await local.forge(local.world.mika, fired.response, cancel))
    await house.status(fired, "cancelled")
    await house.calm()
    second = await local.answer(await local.forge(local.world.mika, fired.response, cancel))

    assert await whispered(house, second)
    assert first.answer is not None
    assert "ancelled" in fired.response.now.text
    assert [row["kind"] for row in house.rows("SELECT kind FROM ledger ORDER BY id")] == ["reserve", "refund"]


async def test_strangers_cannot_cancel_or_delete_and_forged_ids_do_nothing(house):
    old = await delivered(house)
    before = [dict(row) for row in house.rows("SELECT * FROM jobs")]
    local, job = house.local, house.job_of(old)["id"]
    forged = [f"pastel:delete:{job}", "pastel:delete:0000000000000000", f"pastel:subtle9:{job}", f"pastel:launch:{job}"]
    for custom_id in forged:
        it = await local.forge(local.world.ren, old.response, custom_id)
        if "launch" not in custom_id:
            assert await whispered(house, it)

    assert [dict(row) for row in house.rows("SELECT * FROM jobs")] == before
    assert not old.response.deleted
