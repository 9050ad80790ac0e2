"""A session in which members use every kind of door, at LOG_LEVEL=DEBUG: the log holds none of their words and no token."""

import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.local_discord.refusals import rate_limited
from tests.local_discord.server import TOKEN

WORDS = (
    "tattletale", "hushhush", "quietwish", "whisperstyle", "mumblehat", "inkwell", "secretfile", "murmurcoat", "blushword",
)  # fmt: skip


def confiding_picture() -> bytes:
    """A PNG that says what it was drawn from."""
    told = PngInfo()
    told.add_text("parameters", "inkwell\nSteps: 5")
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG", pnginfo=told)
    return file.getvalue()


async def confide(house):
    """One of everything that takes a member's words; returns when all of it is shown."""
    local, mika = house.local, house.local.world.mika

    async def command(name, **options):
        return await local.answer(await local.command(mika, name, **options))

    first = await command("anime", prompt="tattletale " * 90, negative_prompt="hushhush, " * 90, steps=2)
    await house.status(first, "delivered")
    await command("profile set", negative_prompt="quietwish")
    await local.answer(await local.autocomplete(mika, "anime", "style", prompt="tattletale", style="whisperstyle"))
    upload = local.messages.upload(local.world.general, "secretfile.png", confiding_picture())
    local.faults.add("PATCH", "/webhooks/", before=rate_limited(0.1))
    await house.status(await command("anime", prompt="mumblehat", image=upload, steps=2), "delivered")
    opened = await local.answer(await local.press(mika, first.response, "Remix"))
    await house.status(await local.answer(await local.submit(opened, prompt="murmurcoat")), "delivered")
    for button in ("Details", "Reroll"):
        await local.answer(await local.press(mika, first.response, button))
    refused = await command("anime", prompt="blushword, nsfw, nude")
    await local.until(lambda: refused.whispers, "the refusal")
    await house.calm()


async def test_the_log_of_a_whole_session_at_debug_holds_no_word_of_a_member_and_no_token(house):
    await house.start(LOG_LEVEL="DEBUG")
    await confide(house)
    await house.local.gateway.disconnect()
    await house.local.until(lambda: list(house.local.journal.of("gateway", "resume")), "the resumption")
    assert await house.stop() == 0

    log = house.log
    tokens = [TOKEN, *(it.token for it in house.local.interactions.all.values())]
    assert "has connected to Gateway" in log, "discord.py speaks, so that there is something to look at"
    assert len(tokens) > 8
    assert [word for word in (*WORDS, *tokens) if word in log] == []
