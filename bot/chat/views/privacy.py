"""What is stored of a member, in plain words, and the question before everything is deleted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import discord
from discord import ButtonStyle, ui

from bot.chat.actions import ERASE, Press
from bot.chat.cards.card import PINK, RED
from bot.domain.privacy import Holdings, KeepingTimes
from bot.domain.privacy_export import ExportFile
from bot.domain.quota import counted

KEPT = (
    "### What I keep of you\n"
    "- **What you ask for:** your words, your options, when and where you asked, and which message shows the result\n"
    "- **Pictures:** those I drew for you, and those you gave me to start from\n"
    "- **Your defaults,** if you set some\n"
    "- **What your pictures cost:** numbers only\n"
    "- **Blocks and reports:** whether moderators stopped you from drawing in their server; what you reported to them"
)
NOT_KEPT = "I do not read your messages, and I do not learn from what you ask for or from your pictures."
SEEN_BY = (
    "### Who sees it\n"
    "- **Everybody in the channel** where you drew: the message with your words and the pictures\n"
    "- **Moderators** of a server: also what you asked for there lately, and their own blocks\n"
    "- **Whoever hosts me:** all of it, since it is on their machine. I send it nowhere but to Discord"
)
YOURS = (
    "### Get it, or delete it\n"
    "`/privacy export` gives you all of it as a file.\n"
    "`/privacy delete` deletes all of it, after one more question.\n"
    "**Delete** under a picture removes that message and its pictures; your words stay for the time above."
)
QUESTION = (
    "## Delete everything?\n"
    "**This goes, within a minute and for good:** what you asked for, the pictures on my side, those you gave me, and your "
    "defaults. What still waits or is being drawn is cancelled, and costs what was drawn. I also remove my messages with your "
    "pictures, as far as Discord lets me in that time; moderators can delete the others.",
    "**This stays:**\n"
    "- how many credits you used and have, without any words, so that today's limit still counts\n"
    "- blocks by moderators, and that something was reported; that belongs to their server\n"
    "- what others made out of your pictures; that is theirs\n"
    "- copies of my files that my host made. My own copies, from before an update, are deleted after 30 days\n"
    "-# The last traces of your words inside my database file are overwritten within 24 hours.",
)
DONE = (
    "Everything is deleted, and the last traces of it in my database file are overwritten within 24 hours. I am removing my "
    "messages with your pictures now. Those that are still there in a minute, Discord did not let me remove; moderators can "
    "delete them. You can draw again whenever you like."
)
UNDER_WAY = "I have begun to delete everything and go on until it is done, also after a restart. You need not do anything."
NOTHING = "Nothing of yours is left to delete."
EXPORTED = "Here is everything that I have stored about you. The pictures themselves are in the messages that show them."


def privacy_view(holdings: Holdings, times: KeepingTimes, *, in_server: bool) -> ui.LayoutView:
    """What `/privacy show` answers, with this server's real times and the member's real figures."""
    texts = ("## Your privacy", _right_now(holdings), KEPT, NOT_KEPT, _how_long(times, in_server=in_server), SEEN_BY, YOURS)
    return _view(*(ui.TextDisplay[Any](text) for text in texts), colour=PINK)


def question_view(user_id: int, holdings: Holdings) -> ui.LayoutView:
    """The confirmation; its button holds who asked, and is looked at again when it is pressed."""
    confirm: ui.Button[Any] = ui.Button(
        label="Delete everything", emoji="🗑️", style=ButtonStyle.danger, custom_id=erase_id(user_id)
    )
    texts = (QUESTION[0], _right_now(holdings), QUESTION[1])
    return _view(*(ui.TextDisplay[Any](text) for text in texts), ui.ActionRow(confirm), colour=RED)


def export_view(file: ExportFile, *, is_first: bool) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """One file of an export."""
    attached = discord.File(io.BytesIO(file.data), filename=file.name)
    sentence = EXPORTED if is_first else "Another part of it."
    heading = sentence if file.part is None else f"{sentence}\n-# Part {file.part}"
    return _view(ui.TextDisplay[Any](heading), ui.File[Any](attached), colour=PINK), (attached,)


def outcome(erased: bool | None) -> str:  # noqa: FBT001  # what Privacy.erase answered
    """What the member reads after the confirmation."""
    if erased is None:
        return NOTHING
    return DONE if erased else UNDER_WAY


def erase_id(user_id: int) -> str:
    """The custom id of the member's confirmation."""
    return Press(action=ERASE, job_id=f"{user_id:016x}").custom_id


def asked_by(press: Press) -> int:
    """Whom a pressed confirmation names; whoever presses may have made that up."""
    return int(press.job_id, 16)


def _view(*parts: ui.Item[Any], colour: int) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*parts, accent_colour=colour))
    return view


def _right_now(holdings: Holdings) -> str:
    parts = [counted(holdings.requests, "request"), counted(holdings.pictures, "picture")]
    parts += ["your defaults"] if holdings.has_defaults else []
    parts += [counted(holdings.blocks, "block")] if holdings.blocks else []
    return f"**Right now:** {_listed(parts)}"


def _how_long(times: KeepingTimes, *, in_server: bool) -> str:
    here = "in this server" if in_server else "in direct messages"
    return "\n".join(
        (
            f"### For how long, {here}",
            f"- **Pictures on my side:** {_days(times.picture_days)}",
            f"- **Your words and options:** {_days(times.word_days)}",
            "- **Discord's permission to answer you:** until the result is shown, or a day at most",
            "-# The message in Discord stays until you, a moderator or Discord deletes it.",
        )
    )


def _days(days: int | None) -> str:
    return "until you delete them" if days is None else f"{counted(days, 'day')}, then I delete them by myself"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
