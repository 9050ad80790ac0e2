"""The demo, from the visitor's side: what the page gets and what it can do, without a browser."""

from __future__ import annotations

import asyncio
import io

import aiohttp
import pytest
from PIL import Image

from bot.demo.page import PATCHES
from tests.demo.visitor import Visitor, message_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROMPT = "1girl, green hair, beanie, night"
LONG = {"images": "4", "steps": "20"}


async def next_text(visitor: Visitor, card: str, seen: set[str]) -> str:
    """Wait for an update of the card."""
    await visitor.until(lambda _: visitor.text(card) not in seen)
    return visitor.text(card)


async def test_a_command_becomes_pictures_and_every_update_is_seen(visitor: Visitor) -> None:
    card = await visitor.draw(PROMPT, **LONG)
    seen: set[str] = set()
    while await next_text(visitor, card, seen) and visitor.button("Cancel", card):
        seen.add(visitor.text(card))
    assert len(seen) >= 3, seen  # in the queue, and two steps on the way
    pictures = [Image.open(io.BytesIO(data)) for data in await visitor.pictures(card)]
    assert [(picture.format, picture.size) for picture in pictures] == [("PNG", (128, 128))] * 4
    assert visitor.button("Strong 4", card) is not None


async def test_a_click_from_before_the_last_updates_still_opens_the_form(visitor: Visitor) -> None:
    card = await visitor.draw("1girl, pink hair")
    await visitor.until(lambda _: visitor.button("Remix", card))
    other = await visitor.draw(PROMPT, **LONG)
    shown, seen = visitor.state, {visitor.text(other)}
    for _ in range(2):
        seen.add(await next_text(visitor, other, seen))
    visitor.state = shown
    await visitor.press("Remix", card)
    assert "1girl, pink hair" in str(visitor.state["modal"])


async def test_an_option_is_completed_while_a_picture_is_drawn(visitor: Visitor) -> None:
    await visitor.draw(PROMPT, **LONG)
    choices = await visitor.complete("queue cancel", "job", "beanie")
    assert "green hair" in choices[0]["name"]
    await visitor.run("queue cancel", job=choices[0]["value"])


async def test_an_example_of_the_welcome_becomes_a_picture(visitor: Visitor) -> None:
    card = message_of(await visitor.press("Night walk", visitor.state["timeline"][0]))
    await visitor.until(lambda _: visitor.button("Reroll", card))
    assert "city lights" in visitor.text(card)


async def test_only_a_moderator_may_delete_what_another_drew(visitor: Visitor) -> None:
    await visitor.view_as("You as a moderator")
    card = await visitor.draw("1boy, scarf")
    await visitor.until(lambda _: visitor.button("Delete", card))
    await visitor.view_as("You")
    await visitor.press("Delete", card)
    await visitor.until(lambda _: visitor.newest()["ephemeral"])
    assert card in visitor.state["timeline"]

    card = await visitor.draw("1boy, hat")
    await visitor.until(lambda _: visitor.button("Delete", card))
    await visitor.view_as("You as a moderator")
    await visitor.press("Delete", card)
    await visitor.until(lambda state: card not in state["timeline"])


async def test_two_windows_act_at_once_and_follow_the_same_picture(visitor: Visitor, address: str) -> None:
    async with aiohttp.ClientSession() as session:
        other = Visitor(session, address)
        await other.open()
        card, second = await asyncio.gather(visitor.draw(PROMPT, **LONG), other.draw("1boy, scarf"))
        await next_text(other, card, {visitor.text(card)})
        assert other.button("Cancel", card) is not None
        await other.until(lambda _: other.button("Reroll", card) and other.button("Reroll", second))


async def test_a_stranger_without_the_key_sees_nothing(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        stranger = Visitor(session, address.split("#")[0] + "#guess")
        with pytest.raises(aiohttp.ClientResponseError, match="401"):
            await stranger.open()


async def test_nothing_leaves_this_machine(visitor: Visitor, called_hosts: set[str]) -> None:
    card = await visitor.draw(PROMPT)
    await visitor.until(lambda _: visitor.button("Reroll", card))
    assert called_hosts == {"127.0.0.1"}


async def test_the_page_is_served_as_the_demo_wants_it(address: str) -> None:
    """SimCord's files are patched by their text; a new SimCord must not undo that silently."""
    async with aiohttp.ClientSession() as session:
        for path, patches in PATCHES.items():
            async with session.get(address.split("/#")[0] + path) as answer:
                text = await answer.text()
            assert [new for _, new in patches if new not in text] == [], path
            stale = [old for old, new in patches if old in text.replace(new, "")]
            assert stale == [], path
