"""A server's own settings: what its moderators decide. What the operator decides is not in here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from bot.domain.quota import MAX_GRANT, Limits
from bot.domain.request import MAX_IMAGES, MAX_STEPS, check_range, clean_prompt
from bot.domain.safety import SafetyLevel, Spoilers
from bot.errors import InvalidRequestError

MAX_LISTED = 25  # Discord's select holds so many channels, roles or styles
MAX_STYLE_NAME = 100  # characters; the value of a choice
MAX_WORDS, MAX_WORD_LENGTH = 100, 60
MAX_ALLOWANCE = MAX_GRANT  # credits a day
MAX_WAITING = 50  # jobs
MAX_PRIORITY = 10
MIN_PIXELS, MAX_PIXELS = 64 * 64, 4096 * 4096
MAX_DAYS = 3650
MAX_ID = 2**63 - 1  # Discord's snowflakes

RoleNumbers = Mapping[int, int]
"""Numbers by role id, in the order of the ids; cannot be changed."""

_RANGES = {
    "daily_credits": (0, MAX_ALLOWANCE),
    "waiting_jobs": (1, MAX_WAITING),
    "max_pixels": (MIN_PIXELS, MAX_PIXELS),
    "max_steps": (1, MAX_STEPS),
    "max_images": (1, MAX_IMAGES),
    "report_channel": (1, MAX_ID),
    "picture_days": (1, MAX_DAYS),
    "prompt_days": (1, MAX_DAYS),
}


def _no_numbers() -> RoleNumbers:
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
    spoilers: which pictures are hidden behind a click.
    others_may_reuse: whether members may reroll, vary and remix the pictures of others.
    picture_days, prompt_days: after how many days pictures and prompts are deleted. None: they are kept.
    """

    allowed_channels: frozenset[int] = frozenset()
    allowed_roles: frozenset[int] = frozenset()
    daily_credits: int | None = None
    role_credits: RoleNumbers = field(default_factory=_no_numbers)
    exempt_roles: frozenset[int] = frozenset()
    waiting_jobs: int | None = None
    role_priorities: RoleNumbers = field(default_factory=_no_numbers)
    max_pixels: int | None = None
    max_steps: int | None = None
    max_images: int | None = None
    default_style: str | None = None
    allowed_styles: frozenset[str] = frozenset()
    default_negative_prompt: str = ""
    safety: SafetyLevel = SafetyLevel.MODERATE
    blocked_words: tuple[str, ...] = ()
    report_channel: int | None = None
    spoilers: Spoilers = Spoilers.NEVER
    others_may_reuse: bool = True
    picture_days: int | None = None
    prompt_days: int | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            number: int | None = getattr(self, name)
            if number is not None:
                check_range(name, number, low, high)
        for name in ("allowed_channels", "allowed_roles", "exempt_roles"):
            _check_ids(name, getattr(self, name))
        self._set("role_credits", _checked_numbers("role_credits", self.role_credits, 0, MAX_ALLOWANCE))
        self._set("role_priorities", _checked_numbers("role_priorities", self.role_priorities, 1, MAX_PRIORITY))
        self._set("default_negative_prompt", clean_prompt(self.default_negative_prompt, "default negative prompt"))
        self._set("blocked_words", _checked_words(self.blocked_words))
        self._check_styles()

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

    def _check_styles(self) -> None:
        _check_count("allowed_styles", self.allowed_styles)
        for name in (*self.allowed_styles, *([] if self.default_style is None else [self.default_style])):
            if not name.strip() or not name.isprintable() or len(name) > MAX_STYLE_NAME:
                raise InvalidRequestError(
                    f"The name of a style has 1 to {MAX_STYLE_NAME} visible characters. Choose one from the list."
                )
        if not self.offers(self.default_style):
            raise InvalidRequestError(
                f"The default style `{self.default_style}` is not among the allowed styles. Allow it, or choose another."
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def restored(settings: GuildSettings, names: Iterable[str]) -> GuildSettings:
    """`settings` with those of `names` as they were in the beginning. Raises InvalidRequestError for an unknown name."""
    defaults: dict[str, Any] = {name: getattr(UNCHANGED, known_setting(name)) for name in names}
    return replace(settings, **defaults)


def known_setting(name: str) -> str:
    """`name`, if there is such a setting. Raises InvalidRequestError."""
    if name not in SETTING_NAMES:
        raise InvalidRequestError("There is no setting of that name. Choose one from the list.")
    return name


def _largest(numbers: RoleNumbers, role_ids: Collection[int], everybodys: int) -> int:
    return max([everybodys, *(number for role_id, number in numbers.items() if role_id in role_ids)])


def _smaller(first: int | None, second: int | None) -> int | None:
    given = [number for number in (first, second) if number is not None]
    return min(given) if given else None


def _check_count(name: str, values: Collection[object], most: int = MAX_LISTED) -> None:
    if len(values) > most:
        raise InvalidRequestError(f"`{name}` holds at most {most}; you gave {len(values):,}. Leave some out.")


def _check_ids(name: str, ids: Collection[int]) -> None:
    _check_count(name, ids)
    if not all(1 <= number <= MAX_ID for number in ids):
        raise InvalidRequestError(f"`{name}` holds something that is no id of Discord's. Choose from the list.")


def _checked_numbers(name: str, numbers: RoleNumbers, low: int, high: int) -> RoleNumbers:
    _check_ids(name, numbers)
    for number in numbers.values():
        check_range(name, number, low, high)
    return MappingProxyType(dict(sorted(numbers.items())))


def _checked_words(words: Iterable[str]) -> tuple[str, ...]:
    """Each word once, whatever its case, on one line."""
    kept: dict[str, str] = {}
    for word in words:
        line = clean_prompt(word, "blocked word")
        if len(line) > MAX_WORD_LENGTH or not any(char.isalnum() for char in line):
            raise InvalidRequestError(
                f"A blocked word has 1 to {MAX_WORD_LENGTH} characters, letters or digits among them. "
                f"Change or leave out `{line[:MAX_WORD_LENGTH]}`."
            )
        kept.setdefault(line.casefold(), line)
    _check_count("blocked_words", kept, MAX_WORDS)
    return tuple(kept.values())


UNCHANGED = GuildSettings()
"""What holds in a server that has changed nothing, and in direct messages."""

SETTING_NAMES: tuple[str, ...] = tuple(setting.name for setting in fields(GuildSettings))
