"""The local Discord itself, with an ordinary discord.py bot in a process of its own."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.local_discord.refusals import RefusalError, rate_limited
from tests.local_discord.server import TOKEN, LocalDiscord
from tests.local_discord.world import SEND_MESSAGES

ROOT = Path(__file__).resolve().parents[2]
MODULE = "tests.local_discord.sample_bot"


@contextlib.asynccontextmanager
async def sample_bot(local: LocalDiscord, token: str = TOKEN) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", MODULE, local.origin, token, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def local():
    async with LocalDiscord() as server:
        yield server


async def test_a_deferred_command_ends_in_a_gallery_whose_button_opens_a_modal_after_a_restart(local):
    async with sample_bot(local):
        await local.gateway.connected()
        drawn = await local.command(local.world.mika, "draw", prompt="green hair")
        message = (await local.answer(drawn)).response
        assert message.loading
        await local.shown(message, "green hair")
    async with sample_bot(local):
        await local.gateway.connected()
        pressed = await local.answer(await local.press(local.world.ren, message, "Again"))
        submitted = await local.answer(await local.submit(pressed, prompt="red hair"))

    assert [file.data for file in message.now.attachments] == [b"\x89PNG drawn"] * 2
    gallery = message.now.components[1]
    assert gallery["items"][0]["media"]["url"] == message.now.attachments[0].url
    assert pressed.modal["components"][0]["component"]["value"] == "prompt of j1"
    assert submitted.response.ephemeral
    assert submitted.shown == "form says red hair"
    local.journal.check()


async def test_autocomplete_and_an_uploaded_picture_reach_the_bot(local):
    async with sample_bot(local):
        await local.gateway.connected()
        completed = await local.answer(await local.autocomplete(local.world.mika, "draw", "prompt", prompt="a"))
        upload = local.messages.upload(local.world.general, "in.png", b"\x89PNG given")
        drawn = await local.command(local.world.mika, "draw", prompt="x", picture=upload, channel=local.world.thread)
        message = (await local.answer(drawn)).response
        await local.shown(message, "x")

    assert [choice["name"] for choice in completed.choices] == ["a hat", "a cat"]
    assert message.now.attachments[0].data == b"\x89PNG given"
    local.journal.check()


async def test_a_nonce_gives_one_message_and_the_channel_routes_edit_and_find_it(local):
    async with sample_bot(local):
        await local.gateway.connected()
        said = await local.answer(await local.command(local.world.mika, "say", text="hello"))
        await local.until(lambda: not said.response.loading, "the answer")

    assert said.shown == "True hello edited"
    assert [message.now.content for message in local.messages.history(local.world.general)] == ["hello edited"]
    local.journal.check()


async def test_the_gateway_can_drop_resume_and_invalidate_a_session_without_losing_an_event(local):
    async with sample_bot(local):
        await local.gateway.connected()
        session = local.gateway.session(0)
        await local.gateway.disconnect()
        missed = local.interactions.begin(4, local.world.mika, local.world.general, _focused_on_prompt(local))
        await session.dispatch("INTERACTION_CREATE", local.interactions.to_json(missed))
        await local.answer(missed, 30)
        await local.gateway.say(9, data=False)
        await local.until(lambda: len(list(local.journal.of("gateway", "ready"))) == 2, "a second IDENTIFY", 30)

    assert [entry.what for entry in local.journal.of("gateway") if entry.what in ("identify", "resume")] == [
        "identify",
        "resume",
        "identify",
    ]
    local.journal.check()


def _focused_on_prompt(local: LocalDiscord) -> dict:
    command = local.rest.commands[0][0]
    options = [{"name": "prompt", "type": 3, "value": "a", "focused": True}]
    return {"id": command["id"], "name": "draw", "type": 1, "options": options}


async def test_a_second_shard_serves_its_own_guild(local):
    local.world.shards = 2
    async with sample_bot(local):
        await local.gateway.connected(60)
        here = await local.answer(await local.command(local.world.mika, "say", text="guild"))
        there = await local.answer(
            await local.autocomplete(local.world.mika, "draw", "prompt", prompt="a"),
        )

    assert here.answer == 5
    assert there.choices
    local.journal.check()


async def test_a_wrong_token_is_refused_at_the_door(local):
    async with sample_bot(local, token="MTIzNDU2Nzg5MDEyMzQ1.wrong1.this-token-is-nobodys-at-all") as bot:
        assert await asyncio.wait_for(bot.wait(), 30) != 0

    assert not list(local.journal.of("gateway", "identify"))


async def test_faults_strike_before_or_after_the_effect(local):
    say = {"content": "hi", "allowed_mentions": {"parse": []}}
    url = f"{local.origin}/api/v10/channels/{local.world.general.id}/messages"
    local.faults.add("POST", "/messages$", before=RefusalError(502, 0, "bad gateway"))
    local.faults.add("POST", "/messages$", after="reset")
    local.faults.add("POST", "/messages$", before=rate_limited(0.1))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {TOKEN}"}) as http:
        first = await http.post(url, json=say)
        assert first.status == 502
        assert local.messages.all == {}
        with pytest.raises(aiohttp.ClientOSError, match="reset"):
            await http.post(url, json=say)
        assert len(local.messages.all) == 1
        limited = await http.post(url, json=say)

    assert (limited.status, limited.headers["Via"]) == (429, "1.1 google")


async def test_deadlines_follow_the_settable_clock(local):
    hook = f"{local.origin}/api/v10/webhooks/{local.world.application_id}"
    say = {"content": "hi", "allowed_mentions": {"parse": []}}
    late, held = (local.interactions.begin(3, local.world.mika, local.world.general, {"custom_id": n}) for n in "ab")
    async with aiohttp.ClientSession() as http:

        async def respond(it):
            url = f"{local.origin}/api/v10/interactions/{it.id}/{it.token}/callback?with_response=1"
            async with http.post(url, json={"type": 5}) as response:
                return (await response.json()).get("code")

        first, again = await respond(held), await respond(held)
        local.advance(seconds=4)
        too_late = await respond(late)
        async with http.patch(f"{hook}/{held.token}/messages/@original", json=say) as response:
            in_time = response.status
        local.advance(minutes=16)
        async with http.patch(f"{hook}/{held.token}/messages/@original", json=say) as response:
            expired = (response.status, (await response.json())["code"])

    assert (first, again, too_late, in_time, expired) == (None, 40060, 10062, 200, (401, 50027))


BAD = [
    ({"content": "hi"}, "allowed_mentions"),
    ({"flags": 32768, "content": "hi", "components": [], "allowed_mentions": {"parse": []}}, "allows no content"),
    ({"flags": 32768, "components": [{"type": 10, "content": "x"}] * 41, "allowed_mentions": {"parse": []}}, "40"),
    ({"components": [{"type": 10, "content": "x"}], "allowed_mentions": {"parse": []}}, "top level"),
    (
        {
            "components": [{"type": 1, "components": [{"type": 2, "style": 1, "label": "x", "custom_id": "a"}] * 2}],
            "allowed_mentions": {"parse": []},
        },
        "custom_id twice",
    ),
    (
        {
            "flags": 32768,
            "components": [{"type": 12, "items": [{"media": {"url": "attachment://none.png"}}]}],
            "allowed_mentions": {"parse": []},
        },
        "no attachment is called",
    ),
]


@pytest.mark.parametrize(("body", "complaint"), BAD)
async def test_what_discord_would_refuse_is_a_violation(local, body, complaint):
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {TOKEN}"}) as http:
        await http.post(f"{local.origin}/api/v10/channels/{local.world.general.id}/messages", json=body)

    with pytest.raises(AssertionError, match=complaint):
        local.journal.check()


async def test_an_unknown_route_is_a_violation(local):
    async with aiohttp.ClientSession() as http, http.get(f"{local.origin}/api/v10/guilds/1/audit-logs") as response:
        assert response.status == 404

    with pytest.raises(AssertionError, match="no such route"):
        local.journal.check()


async def test_a_channel_without_the_permission_refuses_with_the_right_code(local):
    local.world.general.app_permissions &= ~SEND_MESSAGES
    body = {"content": "hi", "allowed_mentions": {"parse": []}}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {TOKEN}"}) as http:
        async with http.post(f"{local.origin}/api/v10/channels/{local.world.general.id}/messages", json=body) as response:
            missing = (await response.json())["code"]
        local.world.general.deleted = True
        async with http.get(f"{local.origin}/api/v10/channels/{local.world.general.id}") as response:
            gone = (await response.json())["code"]

    assert (missing, gone) == (50013, 10003)
