"""Which settings a server has: a row each. Everything that is the same for all settings of a kind follows from its row.

Another setting is a row here, a field of `GuildSettings`, its words in `bot.chat.settings.text`, and the rule that asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.domain.guild_settings import kinds
from bot.domain.language import Language
from bot.domain.quota import MAX_GRANT
from bot.domain.request import MAX_IMAGES, MAX_STEPS
from bot.domain.safety import SafetyLevel, Spoilers
from bot.errors import InvalidRequestError

MAX_ALLOWANCE: Final = MAX_GRANT  # credits a day
MAX_WAITING: Final = 50  # jobs
MAX_PRIORITY: Final = 10
MIN_PIXELS, MAX_PIXELS = 64 * 64, 4096 * 4096
MAX_DAYS: Final = 3650


class Group(StrEnum):
    """The pages of the panel; their values stand in custom ids of old messages."""

    ACCESS = "access"
    ALLOWANCES = "allowances"
    LIMITS = "limits"
    STYLES = "styles"
    SAFETY = "safety"
    SHOWING = "showing"


@dataclass(frozen=True, slots=True)
class Setting:
    """`name` is the field of `GuildSettings`, which has its default, and the key in JSON."""

    name: str
    kind: kinds.Kind
    group: Group


def _by_name(*settings: Setting) -> dict[str, Setting]:
    return {setting.name: setting for setting in settings}


SETTINGS: Mapping[str, Setting] = _by_name(
    Setting("allowed_channels", kinds.Channels(), group=Group.ACCESS),
    Setting("allowed_roles", kinds.Roles(), group=Group.ACCESS),
    Setting("daily_credits", kinds.Number(0, MAX_ALLOWANCE), group=Group.ALLOWANCES),
    Setting("role_credits", kinds.RoleNumbers(0, MAX_ALLOWANCE), group=Group.ALLOWANCES),
    Setting("exempt_roles", kinds.Roles(), group=Group.ALLOWANCES),
    Setting("waiting_jobs", kinds.Number(1, MAX_WAITING), group=Group.ALLOWANCES),
    Setting("role_priorities", kinds.RoleNumbers(1, MAX_PRIORITY), group=Group.ALLOWANCES),
    Setting("max_pixels", kinds.Pixels(MIN_PIXELS, MAX_PIXELS), group=Group.LIMITS),
    Setting("max_steps", kinds.Number(1, MAX_STEPS), group=Group.LIMITS),
    Setting("max_images", kinds.Number(1, MAX_IMAGES), group=Group.LIMITS),
    Setting("default_style", kinds.Style(), group=Group.STYLES),
    Setting("allowed_styles", kinds.Styles(), group=Group.STYLES),
    Setting("default_negative_prompt", kinds.Text(), group=Group.STYLES),
    Setting("safety", kinds.Choice(SafetyLevel), group=Group.SAFETY),
    Setting("blocked_words", kinds.Words(), group=Group.SAFETY),
    Setting("report_channel", kinds.Channel(), group=Group.SAFETY),
    Setting("language", kinds.Choice(Language, optional=True), group=Group.SHOWING),
    Setting("spoilers", kinds.Choice(Spoilers), group=Group.SHOWING),
    Setting("others_may_reuse", kinds.Flag(), group=Group.SHOWING),
    Setting("picture_days", kinds.Number(1, MAX_DAYS), group=Group.SHOWING),
    Setting("prompt_days", kinds.Number(1, MAX_DAYS), group=Group.SHOWING),
)
"""In the order in which people see them."""


def known_setting(name: str) -> Setting:
    """Returns the setting of that name. Raises InvalidRequestError where there is none."""
    if name not in SETTINGS:
        raise InvalidRequestError("I don't have a setting called that. Choose one from the list.")
    return SETTINGS[name]


def settings_in(group: Group) -> list[str]:
    """Returns the names of a page's settings, in their order."""
    return [name for name, setting in SETTINGS.items() if setting.group is group]
