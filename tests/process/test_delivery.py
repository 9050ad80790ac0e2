"""Results reach the member when Discord makes it hard: expired tokens, deleted cards, missing permissions, lost answers."""

from tests.local_discord.refusals import RefusalError, rate_limited
from tests.local_discord.world import SEND_MESSAGES, VIEW_CHANNEL
from tests.process.campaign import verdict
from tests.process.campaign_judge import pictures_of

WAIT = 30.0


async def fire(house, channel=None, **options):
    local = house.local
    fired = await local.command(local.world.mika, "anime", channel=channel, prompt="a hat", **options)
    return await local.answer(fired)


async def crash_with_a_queued_job(house):
    """A job that was taken in and shown as queued, and no bot any more."""
    await house.start()
    fired = await fire(house, images=2, steps=30)
    await house.local.shown(fired.response, "Cancel")
    await house.known_as_shown(fired)
    await house.kill()
    assert house.job_of(fired)["status"] in {"queued", "running"}
    return fired


def showing(house, fired):
    """The messages that show the job's pictures."""
    job = house.job_of(fired)["id"]
    return [message for message in house.local.messages.all.values() if job in pictures_of(message.now)]


def refused(house, status=(401, 403)):
    return [entry for entry in house.local.journal.of("request") if entry.facts["status"] in status]


async def test_a_result_arrives_by_message_id_after_the_token_has_expired(house):
    fired = await crash_with_a_queued_job(house)
    house.local.advance(minutes=16)
    await house.start()
    await house.status(fired, "delivered")

    assert showing(house, fired) == [fired.response]
    edits = [entry.what for entry in house.local.journal.of("request") if entry.what.startswith("PATCH /api/v10/channels/")]
    assert edits, "the token was dead, so only the channel's route was left"
    assert verdict(house) == []


async def test_a_deleted_card_is_posted_once_more_with_its_own_nonce(house):
    fired = await crash_with_a_queued_job(house)
    house.local.messages.delete(fired.response)
    await house.start()
    await house.status(fired, "delivered")

    (posted,) = showing(house, fired)
    assert posted.nonce == house.job_of(fired)["id"]
    assert verdict(house) == []


async def test_a_post_whose_answer_is_lost_is_not_repeated_as_a_second_message(house):
    fired = await crash_with_a_queued_job(house)
    house.local.messages.delete(fired.response)
    lost = house.local.faults.add("POST", r"/channels/\d+/messages$", after="reset", times=2)
    await house.start()
    await house.status(fired, "delivered")

    assert lost.seen == 1, "it is looked for before it is repeated"
    assert len(showing(house, fired)) == 1
    assert verdict(house) == []


async def test_an_edit_whose_answer_is_lost_is_repeated_and_shows_one_result(house):
    fired = await crash_with_a_queued_job(house)
    lost = house.local.faults.add("PATCH", "/messages/", after="reset", times=3)
    await house.start()
    await house.status(fired, "delivered")

    assert lost.seen == 3
    assert showing(house, fired) == [fired.response]
    assert verdict(house) == []


async def test_a_server_error_after_the_effect_still_gives_one_result(house):
    fired = await crash_with_a_queued_job(house)
    house.local.messages.delete(fired.response)
    house.local.faults.add("POST", r"/channels/\d+/messages$", after=RefusalError(502, 0, "bad gateway"), times=2)
    await house.start()
    await house.status(fired, "delivered")

    assert len(showing(house, fired)) == 1
    assert verdict(house) == []


async def test_a_rate_limit_is_waited_out(house):
    fired = await crash_with_a_queued_job(house)
    house.local.faults.add("PATCH", "/messages/", before=rate_limited(1.0), times=2)
    await house.start()
    await house.status(fired, "delivered")

    assert showing(house, fired) == [fired.response]


async def test_pictures_fit_the_limit_that_discord_told_with_the_command(house):
    house.local.world.upload_limit = 6 * 1024
    await house.start()
    fired = await fire(house, images=2)
    await house.status(fired, "delivered")

    sizes = [len(file.data) for file in fired.response.now.attachments]
    assert len(sizes) == 2
    assert max(sizes) <= 6 * 1024
    assert verdict(house) == []


async def test_pictures_that_discord_refuses_as_too_large_are_told_of_in_words(house):
    fired = await crash_with_a_queued_job(house)
    house.local.world.upload_limit = 100  # less than the command said, and than any picture needs
    await house.start()
    await house.status(fired, "delivered")

    assert "Discord doesn't accept files this large" in fired.response.now.text
    refusals = [entry for entry in house.local.journal.of("request") if entry.facts["status"] == 413]
    assert 1 <= len(refusals) <= 4, "three sizes at most, and perhaps a preview"


async def shut_out(house, fired):
    """Wait until Discord has refused the finished card; returns the refusals."""
    await house.status(fired, "succeeded")
    await house.poll(lambda: house.rows("SELECT 1 FROM outbox WHERE attempts > 0"), WAIT, "no try at the card")
    return refused(house, (403,))


async def test_without_permission_to_post_a_picture_waits_and_nothing_is_repeated_at_once(house):
    fired = await crash_with_a_queued_job(house)
    house.local.messages.delete(fired.response)
    house.local.world.general.app_permissions &= ~SEND_MESSAGES
    await house.start()

    posts = [entry for entry in await shut_out(house, fired) if entry.what.startswith("POST")]
    assert len(posts) == 1, "each refusal counts towards a ban of this address"
    house.local.world.general.app_permissions |= SEND_MESSAGES
    await house.stop()
    await house.start()
    await house.status(fired, "delivered")
    assert verdict(house) == []


async def test_a_channel_that_the_bot_may_no_longer_see_is_asked_once_after_the_token_died(house):
    fired = await crash_with_a_queued_job(house)
    house.local.world.general.app_permissions &= ~VIEW_CHANNEL
    house.local.advance(minutes=16)
    await house.start()

    assert len(await shut_out(house, fired)) <= 2, "one live edit and one delivery at most"


async def test_the_pictures_of_a_deleted_channel_come_by_direct_message(house):
    fired = await crash_with_a_queued_job(house)
    house.local.messages.delete(fired.response)
    house.local.world.general.deleted = True
    await house.start()
    await house.status(fired, "delivered")

    (message,) = showing(house, fired)
    assert message.channel.id == house.local.world.dms[house.local.world.mika.id].id
    assert verdict(house) == []


async def test_threads_and_direct_messages_get_their_pictures_too(house):
    world = house.local.world
    await house.start()
    fired = [await fire(house, channel) for channel in (world.thread, world.dms[world.mika.id])]
    for it in fired:
        await house.status(it, "delivered")

    assert [showing(house, it) for it in fired] == [[it.response] for it in fired]
    assert verdict(house) == []


async def test_a_job_finishes_while_the_gateway_is_down(house):
    await house.start()
    fired = await fire(house, images=2)
    await house.local.gateway.disconnect()

    await house.status(fired, "delivered")
    await house.local.gateway.connected()
    assert verdict(house) == []
