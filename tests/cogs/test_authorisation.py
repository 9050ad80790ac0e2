"""Every door is tried by everybody, on the real bot, also with events that no client would send."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

import discord
import pytest
import pytest_asyncio
import simcord
from simcord.backend.models.channel import Overwrite, OverwriteType

from bot.chat.client import NOT_OFFERED
from bot.chat.views.privacy import erase_id
from bot.domain.audience import BLOCKED, NO_MESSAGES, OTHER_SERVER, Audience
from bot.domain.job import JobStatus
from bot.domain.moderation import Block
from bot.domain.policy import JOB_GONE
from tests.cogs.authorisation import DOORS, FILLS_IN, REPORTS, REUSES, SEES, Cell, Door, Opens
from tests.cogs.entry_points import attempt, custom_id_of, every_door, press, submit
from tests.cogs.forged_ids import edited_custom_ids
from tests.cogs.two_servers import OWNERS_WORD, SERVERS_WORD, Tables, TwoServers, Who, open_premises

pytestmark = pytest.mark.asyncio(loop_scope="module")

CELLS = [pytest.param(door, who, id=f"{door} by {who}") for door in DOORS for who in Who]
CARD_DOORS = [name for name, door in DOORS.items() if door.cells in {FILLS_IN, REPORTS, REUSES, SEES}]
BOOKKEEPING = {"sqlite_sequence", "users", "guilds", "log_mark"}  # who was met, and that something was written
TOTALS = {"day_totals", "purse_totals"}  # kept by triggers wherever the ledger changes


@dataclass(frozen=True)
class Attempt:
    """What came of trying a door. `told` is what the visitor alone reads of it."""

    door: Door
    who: Who
    result: simcord.InteractionResult
    messages: tuple[Any, ...]
    told: str
    before: Tables
    after: Tables
    is_public: bool

    @property
    def changed(self) -> set[str]:
        return {name for name, rows in self.before.items() if rows != self.after[name]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[TwoServers]:
    async with open_premises(tmp_path_factory.mktemp("servers")) as opened:
        yield opened


async def test_every_door_of_the_running_bot_stands_in_the_table_and_every_row_has_its_door(servers: TwoServers):
    found = every_door(servers.harness.bot)

    assert found - DOORS.keys() == set(), "Say in tests/cogs/authorisation.py who may use them."
    assert DOORS.keys() - found == set(), "These doors are no more; take them out of tests/cogs/authorisation.py."
    assert len(found) > 100


@pytest.mark.parametrize(("name", "who"), CELLS)
async def test_a_door_opens_to_those_to_whom_the_table_says(servers: TwoServers, name: str, who: Who):
    tried = await _try(servers, name, who)

    try:
        _judge(servers, tried, tried.door.cell(who))
        assert servers.harness.metrics.registry.get_sample_value("pastel_errors_total") == 0
    finally:
        if tried.changed or tried.is_public:
            await servers.restore()


async def _try(servers: TwoServers, name: str, who: Who) -> Attempt:
    door = DOORS[name]
    if door.while_paused:
        await servers.pause_queues()
    before, shown = await servers.tables(), servers.shown()
    result = await attempt(servers, name, who, dict(door.options))
    await servers.settle()
    said = (result.response, *result.followups)
    return Attempt(
        door=door,
        who=who,
        result=result,
        messages=tuple(message for message in said if message and message.id not in servers.props),
        told=await _told(result),
        before=before,
        after=await servers.tables(),
        is_public=servers.shown() != shown,
    )


async def _told(result: simcord.InteractionResult) -> str:
    said = [result.modal, result.autocomplete_choices]
    for message in (result.response, *result.followups):
        if message:
            files = [(await file.read()).decode(errors="replace") for file in message.attachments]
            said += [message.content, message.components, files]
    return json.dumps(said, ensure_ascii=False)


def _judge(servers: TwoServers, tried: Attempt, cell: Cell) -> None:
    assert tried.result.acknowledged
    if cell not in {Opens.TO_ALL, Opens.ANEW}:
        _reveals_nothing(tried)
    if isinstance(cell, str):
        _is_refused(tried, cell)
    elif cell is Opens.EMPTY:
        assert tried.result.autocomplete_choices == []
        assert tried.changed == set()
    else:
        _is_done(tried)
        if cell is Opens.TO_ALL:
            assert tried.door.tells in tried.told
        else:
            _leaves_alone(servers, tried)


def _is_refused(tried: Attempt, sentence: str) -> None:
    """One sentence for the visitor alone, and nothing else anywhere."""
    (said,) = tried.messages
    assert said.ephemeral
    assert sentence in said.content
    assert tried.result.modal is None
    assert tried.changed == set()
    assert not tried.is_public


def _is_done(tried: Attempt) -> None:
    """What a door is for has happened; refusals are plain content, and answers never are."""
    assert [message.content for message in tried.messages if message.content] == []
    assert tried.changed - BOOKKEEPING - (TOTALS if "ledger" in tried.door.changes else set()) == tried.door.changes
    assert tried.result.autocomplete_choices != []


def _reveals_nothing(tried: Attempt) -> None:
    assert SERVERS_WORD not in tried.told
    if tried.who not in {Who.OWNER, Who.DIRECT}:
        assert OWNERS_WORD not in tried.told


def _leaves_alone(servers: TwoServers, tried: Attempt) -> None:
    """Whatever is of the owner or the server is as it was; but the owner may change what is theirs."""
    if tried.who in {Who.OWNER, Who.DIRECT}:
        return
    for name, rows in tried.before.items():
        assert servers.protected(rows) <= tried.after[name], name


@pytest.mark.parametrize("who", Who)
@pytest.mark.parametrize("custom_id", ["pastel:nonsense:0123456789abcdef", "pastel:delete", "somebody-elses", "x" * 100])
async def test_what_nobody_offers_is_refused_and_not_left_unanswered(servers: TwoServers, custom_id: str, who: Who):
    visitor, before = servers.visitors[who], await servers.tables()

    for used in (await press(servers, visitor, custom_id), await submit(servers, visitor, custom_id, {"prompt": "x"})):
        assert used.response is not None
        assert used.response.ephemeral
        assert used.response.content == NOT_OFFERED

    assert await servers.tables() == before


async def test_a_thousand_edited_custom_ids_of_a_member_change_nothing(servers: TwoServers):
    before, visitor = await servers.tables(), servers.visitors[Who.OTHER]

    for number, custom_id in enumerate(edited_custom_ids(servers, visitor, 1_000)):
        await (submit if number % 3 == 0 else press)(servers, visitor, custom_id)

    assert await servers.tables() == before
    assert servers.harness.metrics.registry.get_sample_value("pastel_errors_total") == 0


async def test_a_blocked_member_still_gets_rid_of_what_is_theirs(servers: TwoServers):
    owner = servers.visitors[Who.OWNER]
    block = Block(
        guild_id=owner.server.guild.id, user_id=owner.actor.id, reason="", blocked_by=1, blocked_at=servers.harness.clock.now()
    )
    await servers.harness.repositories.moderation.block(block)

    await attempt(servers, "press cancel", Who.OWNER, {})
    await attempt(servers, "press delete", Who.OWNER, {})

    waiting, done = [await servers.harness.job(servers.jobs[name]) for name in ("waiting", "done")]
    assert (waiting.status, done.deleted_at is None) == (JobStatus.CANCELLED, False)
    await servers.restore()


@pytest.mark.parametrize("name", CARD_DOORS)
@pytest.mark.parametrize(
    ("who", "hidden", "is_told"),
    [(Who.OTHER, True, False), (Who.OTHER, False, True), (Who.OWNER, True, True), (Who.MODERATOR, True, True)],
)
async def test_from_another_channel_a_card_is_known_to_those_who_can_see_its_own(
    servers: TwoServers, name: str, who: Who, hidden: bool, is_told: bool
):
    visitor, backend = servers.visitors[who], servers.harness.env.backend
    if hidden:
        denied = discord.Permissions(view_channel=True).value
        overwrite = Overwrite(target_id=visitor.actor.id, type=OverwriteType.MEMBER, deny=denied)
        backend.set_overwrite(visitor.channel.id, overwrite)
    servers.visitors[who] = replace(visitor, channel=visitor.server.names["listed_channel"])
    try:
        tried = await _try(servers, name, who)
        _judge(servers, tried, tried.door.cell(who) if is_told else JOB_GONE)
    finally:
        servers.visitors[who] = visitor
        if hidden:
            backend.delete_overwrite(visitor.channel.id, visitor.actor.id)
        await servers.restore()


@pytest.mark.parametrize(("where", "may"), [("drawings", True), ("annex", False)])
async def test_who_moderates_one_channel_removes_pictures_there_and_nowhere_else(servers: TwoServers, where: str, may: bool):
    member = servers.visitors[Who.OTHER]
    channel = member.channel if where == "drawings" else member.server.names["channel"]
    granted = discord.Permissions(manage_messages=True).value
    backend = servers.harness.env.backend
    backend.set_overwrite(channel.id, Overwrite(target_id=member.actor.id, type=OverwriteType.MEMBER, allow=granted))
    try:
        await press(servers, replace(member, channel=channel), custom_id_of(servers, "delete"))
    finally:
        backend.delete_overwrite(channel.id, member.actor.id)

    job = await servers.harness.job(servers.jobs["done"])
    assert (job.deleted_at is not None) == may
    await servers.restore()


OWN_DATA = {"/privacy show", "/privacy export", "/privacy delete", "press erase"}


@pytest.mark.parametrize(("who", "sentence"), [(Who.MANAGER, BLOCKED), (Who.STRANGER, OTHER_SERVER), (Who.DIRECT, NO_MESSAGES)])
async def test_whom_the_host_does_not_serve_finds_every_door_closed_but_those_to_their_own_data(
    servers: TwoServers, monkeypatch: pytest.MonkeyPatch, who: Who, sentence: str
):
    home, blocked = servers.visitors[Who.OWNER].server.guild.id, servers.visitors[Who.MANAGER].actor.id
    audience = Audience(served_servers=frozenset({home}), blocked_users=frozenset({blocked}))
    monkeypatch.setattr(servers.harness.bot, "_audience", audience)
    try:
        for name in sorted(DOORS.keys() - OWN_DATA):
            tried = await _try(servers, name, who)
            assert tried.result.acknowledged, name
            if name.startswith("typing "):
                assert tried.result.autocomplete_choices == [], name
                assert tried.changed == set(), name
            else:
                _is_refused(tried, sentence)
        for name in ("/privacy show", "/privacy export", "/privacy delete"):
            tried = await _try(servers, name, who)
            assert tried.told
            assert sentence not in tried.told, name
        visitor = servers.visitors[who]
        result = await press(servers, visitor, erase_id(visitor.actor.id))
        await servers.settle()
        assert "Everything is deleted" in await _told(result)
    finally:
        await servers.restore()
