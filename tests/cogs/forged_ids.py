"""Custom ids that somebody made up, or made out of true ones by changing a part."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from bot.chat.actions import Press, SettingsPress
from bot.domain.guild_settings.definitions import SETTINGS, Group
from tests.cogs.entry_points import custom_id_of
from tests.cogs.two_servers import TwoServers, Visitor

LETTERS, DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789abcdef"
DRAWING = {"reroll", "remixed", "reported"}  # true about any job of the server, so nothing forged


def edited_custom_ids(servers: TwoServers, visitor: Visitor, count: int) -> Iterator[str]:
    """`count` of them, none of which names what the visitor may change; always the same ones."""
    chance = random.Random(7)
    bot = servers.harness.bot
    true_ones = [custom_id_of(servers, action) for action in (*bot._actions, *bot._forms)]
    true_ones += [SettingsPress(page=page, setting=name).custom_id for page in Group for name in (*SETTINGS, "theme")]
    edits: tuple[Callable[[random.Random, str], str], ...] = (_other_job, _one_digit, _other_word, _one_letter, _number)
    while count:
        custom_id = chance.choice(true_ones)
        for edit in chance.sample(edits, chance.randint(1, 2)):
            custom_id = edit(chance, custom_id)
        if not _is_rightful(servers, visitor, custom_id):
            count -= 1
            yield custom_id


def _is_rightful(servers: TwoServers, visitor: Visitor, custom_id: str) -> bool:
    press = Press.parse(custom_id)
    if press is None:
        return False
    if press.action in {"subtle", "strong", "upscale"}:
        return press.job_id in servers.jobs.values() and press.image == 1
    if press.action in {"profiled", "erase"}:
        return press.action == "profiled" or int(press.job_id, 16) == visitor.actor.id
    return press.action in DRAWING and press.job_id in servers.jobs.values()


def _other_job(chance: random.Random, custom_id: str) -> str:
    return f"{custom_id.rpartition(':')[0]}:{chance.randrange(16**16):016x}"


def _one_digit(chance: random.Random, custom_id: str) -> str:
    place = chance.randrange(1, 17)
    return custom_id[:-place] + chance.choice(DIGITS) + custom_id[len(custom_id) - place + 1 :]


def _other_word(chance: random.Random, custom_id: str) -> str:
    first, _, last = [*custom_id.split(":"), "", ""][:3]
    return f"{first}:{''.join(chance.choices(LETTERS, k=chance.randint(1, 12)))}:{last}"


def _one_letter(chance: random.Random, custom_id: str) -> str:
    place = chance.randrange(len(custom_id))
    return custom_id[:place] + chance.choice(LETTERS) + custom_id[place + 1 :]


def _number(chance: random.Random, custom_id: str) -> str:
    first, word, last = [*custom_id.split(":"), "", ""][:3]
    return f"{first}:{word.rstrip('0123456789')}{chance.randrange(10)}:{last}"
