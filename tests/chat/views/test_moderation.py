"""What a moderator reads of a member, and of those who are blocked."""

from __future__ import annotations

from discord import ui
from simcord.components import walk_components

from bot.chat.views.moderation import blocked_notice, blocks_view, jobs_view
from bot.domain.moderation import Block
from tests.examples import GUILD, MEMBER, MODERATOR, job
from tests.fakes import START

BLOCK = Block(guild_id=GUILD, user_id=MEMBER, reason="spam", blocked_by=MODERATOR, blocked_at=START)


def texts(view: ui.LayoutView) -> list[str]:
    return [part["content"] for part in walk_components(view.to_components()) if part["type"] == 10]


def test_each_block_stands_by_itself_and_ends_with_its_reason():
    heading, *blocks = texts(blocks_view([BLOCK, BLOCK]))

    assert heading == "### Blocked in this server"
    assert [text.split("\n")[-1] for text in blocks] == ["> spam", "> spam"]


def test_each_job_stands_by_itself():
    assert len(texts(jobs_view(MEMBER, [job(), job()]))) == 3


def test_a_block_says_how_many_jobs_it_cancelled_and_nothing_where_there_were_none():
    assert "cancelled 1 picture in the queue." in blocked_notice(BLOCK, 1)
    assert "cancelled 2 pictures in the queue." in blocked_notice(BLOCK, 2)
    assert "cancelled" not in blocked_notice(BLOCK, 0)


def test_without_blocks_or_jobs_one_sentence_says_so():
    assert texts(blocks_view([])) == ["Nobody is blocked in this server."]
    assert texts(jobs_view(MEMBER, [])) == [f"<@{MEMBER}> hasn't asked for anything in this server."]
