"""Shows what is stored of a member, in plain words, and the question before everything is deleted."""

from __future__ import annotations

import io
from typing import Any

import discord
from discord import ButtonStyle, ui

from bot.chat.actions import ERASE, Press
from bot.chat.cards.card import PINK, RED
from bot.chat.cards.markdown import heading, small
from bot.chat.cards.text import pictures_text
from bot.chat.translation import _, plural
from bot.domain.privacy import Holdings, KeepingTimes
from bot.domain.privacy_export import ExportFile
from bot.messages import translatable

KEPT = translatable(
    "### What I keep about you\n"
    "- **Your requests:** your words, your options, when and where you asked, and which message shows the result\n"
    "- **Pictures:** those I drew for you, and those you gave me to start from\n"
    "- **Your defaults,** if you've set any\n"
    "- **What your pictures cost:** numbers only\n"
    "- **Blocks and reports:** whether moderators blocked you in their server, and what you reported to them"
)
NOT_KEPT = translatable("I don't read your messages, and I don't train on your prompts or pictures.")
SEEN_BY = translatable(
    "### Who can see it\n"
    "- **Everyone in the channel** where you drew: the message with your words and the pictures\n"
    "- **Moderators:** your recent prompts in their server, and whether you're blocked\n"
    "- **Whoever hosts me:** all of it, since it's on their machine. I send it nowhere but to Discord"
)
YOURS = translatable(
    "### Get it, or delete it\n"
    "`/privacy export` gives you all of it as a file.\n"
    "`/privacy delete` deletes all of it (I'll ask first).\n"
    "**Delete** under a picture removes that message and its pictures. Your words stay for the time above."
)
QUESTION = translatable(
    "## Delete everything?\n"
    "**Deleted within a minute, for good:** your requests, the pictures on my side, those you gave me, and your defaults. "
    "Whatever is in the queue or being drawn is cancelled, and you pay only for what was drawn. I also delete my messages with "
    "your pictures, as far as Discord lets me in that time. Moderators can delete the rest."
)
STAYS = translatable(
    "**This stays:**\n"
    "- how many credits you've used and have, without any words, so that today's limit still counts\n"
    "- blocks by moderators, and that something was reported: that belongs to their server\n"
    "- pictures that others made from yours\n"
    "- copies of my files that my host made. My own copies, from before an update, are deleted after 30 days\n"
    "-# The last traces of your words inside my database file are overwritten within 24 hours."
)
DONE = translatable(
    "Everything is deleted, and the last traces of it in my database file will be overwritten within 24 hours. I'm deleting my "
    "messages with your pictures now. If any are still there in a minute, Discord didn't let me: moderators can delete them. "
    "You can draw again whenever you like."
)
UNDER_WAY = translatable(
    "I've started deleting everything and won't stop until it's done, even after a restart. You can leave it to me."
)
NOTHING = translatable("There's nothing of yours left to delete.")
EXPORTED = translatable("Here's everything I keep about you. The pictures themselves are in the messages that show them.")


def privacy_view(holdings: Holdings, times: KeepingTimes, *, in_server: bool) -> ui.LayoutView:
    """Returns the answer to `/privacy show`, with this server's real times and the member's real figures."""
    title, how_long = _("## Your privacy"), _how_long(times, in_server=in_server)
    texts = (title, _right_now(holdings), _(KEPT), _(NOT_KEPT), how_long, _(SEEN_BY), _(YOURS))
    return _view(*(ui.TextDisplay[Any](text) for text in texts), colour=PINK)


def question_view(user_id: int, holdings: Holdings) -> ui.LayoutView:
    """Returns the confirmation; its button names the member who asked, which is checked again when it is pressed."""
    confirm: ui.Button[Any] = ui.Button(
        label=_("Delete everything"), emoji="🗑️", style=ButtonStyle.danger, custom_id=erase_id(user_id)
    )
    texts = (_(QUESTION), _right_now(holdings), _(STAYS))
    return _view(*(ui.TextDisplay[Any](text) for text in texts), ui.ActionRow(confirm), colour=RED)


def export_view(file: ExportFile, *, is_first: bool) -> tuple[ui.LayoutView, tuple[discord.File, ...]]:
    """Returns the message with one file of an export."""
    attached = discord.File(io.BytesIO(file.data), filename=file.name)
    sentence = _(EXPORTED) if is_first else _("Here's the next part.")
    part = small(_("Part {number}", number=file.part or 1))
    text = sentence if file.part is None else f"{sentence}\n{part}"
    return _view(ui.TextDisplay[Any](text), ui.File[Any](attached), colour=PINK), (attached,)


def outcome(erased: bool | None) -> str:  # noqa: FBT001  # what Privacy.erase answered
    """Returns the sentence that the member reads after the confirmation."""
    if erased is None:
        return _(NOTHING)
    return _(DONE) if erased else _(UNDER_WAY)


def erase_id(user_id: int) -> str:
    """Returns the custom id of the member's confirmation."""
    return Press(action=ERASE, job_id=f"{user_id:016x}").custom_id


def asked_by(press: Press) -> int:
    """Returns the member id in a pressed confirmation; untrusted, as anybody can invent a custom id."""
    return int(press.job_id, 16)


def _view(*parts: ui.Item[Any], colour: int) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*parts, accent_colour=colour))
    return view


def _right_now(holdings: Holdings) -> str:
    parts = [plural("{count:,} request", "{count:,} requests", holdings.requests), pictures_text(holdings.pictures)]
    parts += [_("your defaults")] if holdings.has_defaults else []
    parts += [plural("{count:,} block", "{count:,} blocks", holdings.blocks)] if holdings.blocks else []
    return _("**Right now I keep:** {things}", things=" · ".join(parts))


def _how_long(times: KeepingTimes, *, in_server: bool) -> str:
    return "\n".join(
        (
            heading(_("For how long, in this server") if in_server else _("For how long, in direct messages")),
            _("- **Pictures on my side:** {how_long}", how_long=_days(times.picture_days)),
            _("- **Your words and options:** {how_long}", how_long=_days(times.word_days)),
            _("- **Discord's permission to reply to you:** until I've replied, a day at most"),
            small(_("The message in Discord stays until you, a moderator or Discord deletes it.")),
        )
    )


def _days(days: int | None) -> str:
    if days is None:
        return _("until you delete them")
    return plural("{count} day, then I delete them", "{count} days, then I delete them", days)
