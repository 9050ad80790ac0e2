"""A server's own settings: what its moderators decide. What the operator decides is not in here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from bot.domain.guild_settings.definitions import SETTINGS, known_setting
from bot.domain.language import Language
from bot.domain.quota import Limits
from bot.domain.safety import SafetyLevel, Spoilers
from bot.errors import InvalidRequestError

NumbersByRole = Mapping[int, int]


def _no_numbers() -> NumbersByRole:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildSettings:
    """One server's settings; without arguments, those of a server that has changed nothing.

    Channels and roles are Discord's ids; the id of the server itself is its role @everyone. Raises InvalidRequestError, with a
    sentence that names the setting, when a value is out of range.

    allowed_channels: where Pastel draws; a thread counts as its channel. Empty: everywhere.
    allowed_roles: who may draw: members with one of them. Empty: everybody.
    daily_credits: a member's allowance a day (UTC). None: the operator's.
    role_credits: allowances of members with these roles; the largest that a member has counts, `daily_credits` among them.
    exempt_roles: whose members have no allowance to keep to; the operator's cap still holds.
    waiting_jobs: how many jobs a member may have waiting here, within what the operator allows. None: as many.
    role_priorities: a role's share of the queue, from 1; the largest that a member has counts, 1 without any. They order the
        members of this server among themselves: its highest share counts as the server's whole, so that no server can
        push itself before others.
    max_pixels, max_steps, max_images: the most in one request. None: what the model allows.
    default_style, default_negative_prompt: for members who choose none.
    allowed_styles: what may be chosen, beside no style at all. Empty: everything.
    safety: how far pictures may go.
    blocked_words: words that this server does not want in prompts.
    report_channel: where reports are posted. None: reports reach nobody.
    language: of public cards. None: the server's language in Discord.
    spoilers: which pictures are hidden behind a click.
    others_may_reuse: whether members may reroll, vary and remix the pictures of others.
    picture_days, prompt_days: after how many days pictures and prompts are deleted. None: they are kept.
    """

    allowed_channels: frozenset[int] = frozenset()
    allowed_roles: frozenset[int] = frozenset()
    daily_credits: int | None = None
    role_credits: NumbersByRole = field(default_factory=_no_numbers)
    exempt_roles: frozenset[int] = frozenset()
    waiting_jobs: int | None = None
    role_priorities: NumbersByRole = field(default_factory=_no_numbers)
    max_pixels: int | None = None
    max_steps: int | None = None
    max_images: int | None = None
    default_style: str | None = None
    allowed_styles: frozenset[str] = frozenset()
    default_negative_prompt: str = ""
    safety: SafetyLevel = SafetyLevel.MODERATE
    blocked_words: tuple[str, ...] = ()
    report_channel: int | None = None
    language: Language | None = None
    spoilers: Spoilers = Spoilers.NEVER
    others_may_reuse: bool = True
    picture_days: int | None = None
    prompt_days: int | None = None

    def __post_init__(self) -> None:
        for name in (setting.name for setting in fields(self)):
            object.__setattr__(self, name, SETTINGS[name].kind.checked(name, getattr(self, name)))
        if not self.offers(self.default_style):
            raise InvalidRequestError(
                "The default style `{style}` isn't one of the allowed styles. Allow it, or choose another.",
                style=self.default_style or "",
            )

    def offers(self, style: str | None) -> bool:
        """Whether members may choose the style of that name; no style is always possible."""
        return style is None or not self.allowed_styles or style in self.allowed_styles

    def limits(self, role_ids: Collection[int], operator: Limits) -> Limits:
        """What a member with these roles may use, within the operator's limits; their weight is the server's in the queue."""
        priorities = self.role_priorities
        share = _largest(priorities, role_ids, 1) / max(priorities.values(), default=1)
        return Limits(
            daily_credits=self._allowance(role_ids, operator.daily_credits),
            waiting_jobs=_smaller(self.waiting_jobs, operator.waiting_jobs),
            operator_credits=operator.operator_credits,
            weight=operator.weight * share,
        )

    def _allowance(self, role_ids: Collection[int], operators: int | None) -> int | None:
        everybodys = operators if self.daily_credits is None else self.daily_credits
        if everybodys is None or not self.exempt_roles.isdisjoint(role_ids):
            return None
        return _largest(self.role_credits, role_ids, everybodys)


def restored(settings: GuildSettings, names: Iterable[str]) -> GuildSettings:
    """Returns `settings` with those of `names` as in the beginning. Raises InvalidRequestError for an unknown name."""
    beginning = type(settings)()
    defaults: dict[str, Any] = {name: getattr(beginning, known_setting(name).name) for name in names}
    return replace(settings, **defaults)


def _largest(numbers: NumbersByRole, role_ids: Collection[int], everybodys: int) -> int:
    return max([everybodys, *(number for role_id, number in numbers.items() if role_id in role_ids)])


def _smaller(first: int | None, second: int | None) -> int | None:
    given = [number for number in (first, second) if number is not None]
    return min(given) if given else None


UNCHANGED = GuildSettings()
"""What holds in a server that has changed nothing, and in direct messages."""
