"""Texts of a server's settings, a row each: name, description, wording of values, and commands.

These are templates, translated into the reader's language where they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isqrt

from bot.domain.guild_settings.definitions import MAX_PRIORITY
from bot.domain.language import Language
from bot.domain.quota import in_credits
from bot.domain.request import MAX_IMAGES, MAX_STEPS
from bot.domain.safety import SafetyLevel, Spoilers
from bot.messages import Message, counted, message, translatable


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingText:
    """The texts of one setting. `unset` names an empty value or None, `empty` an empty field of the form, if different.

    `number` writes a number with its unit, which is the `label` of the form's field. `choices` maps a list's values, as texts,
    to names. `commands` pairs the words after `/settings` with descriptions: one that sets the value, or for lists those
    that add, remove and clear; `option` is their name for the value.
    """

    title: str
    meaning: Message | None = None
    unset: Message = field(default_factory=lambda: message("none"))
    empty: Message | None = None
    label: str = ""
    hint: Message | None = None
    number: Callable[[int], Message] = lambda value: Message(str(value))
    choices: Mapping[str, str] = field(default_factory=dict[str, str])
    commands: tuple[tuple[str, str], ...]
    option: str


def _days(number: int) -> Message:
    return counted("{count:,} day", "{count:,} days", number)


def pixels(number: int) -> Message:
    """Returns an amount of pixels, and the square that has as many."""
    side = isqrt(number)
    if side * side == number:
        return message("{side} × {side} pixels, or as many", side=side)
    return counted("{count:,} pixel", "{count:,} pixels", number)


def _role_list(path: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"{path} add", translatable("Add a role to the list")),
        (f"{path} remove", translatable("Remove a role from the list")),
        (f"{path} clear", translatable("Empty the list")),
    )


SETTING_TEXTS: Mapping[str, SettingText] = {
    "allowed_channels": SettingText(
        title=translatable("Allowed channels"),
        meaning=message("Where I draw. Threads count as part of their channel."),
        unset=message("every channel"),
        commands=(
            ("channels add", translatable("Only let me draw in the channels you add")),
            ("channels remove", translatable("Remove a channel; with none left, I draw everywhere")),
            ("channels clear", translatable("Let me draw in every channel")),
        ),
        option="channel",
    ),
    "allowed_roles": SettingText(
        title=translatable("Allowed roles"),
        meaning=message("Who can draw: members with one of these roles."),
        unset=message("everybody"),
        commands=_role_list("roles"),
        option="role",
    ),
    "daily_credits": SettingText(
        title=translatable("Daily credits"),
        meaning=message("For each member. 1 credit ≈ one 1024 × 1024 picture at 28 steps."),
        unset=message("host default"),
        label=translatable("Credits a day"),
        number=in_credits,
        commands=(("allowance everybody", translatable("Credits a day for each member; leave out for the host default")),),
        option="credits",
    ),
    "role_credits": SettingText(
        title=translatable("Daily credits of roles"),
        meaning=message("Members with several roles get the highest."),
        empty=message("no credits of its own"),
        label=translatable("Credits a day"),
        number=in_credits,
        commands=(
            ("allowance role", translatable("Give a role credits of its own; members get the highest of their roles")),
            ("allowance remove", translatable("Remove a role's own credits")),
            ("allowance clear", translatable("Remove the credits of all roles")),
        ),
        option="credits",
    ),
    "exempt_roles": SettingText(
        title=translatable("Roles without a daily limit"),
        meaning=message("My host's limit across all servers still applies, if there is one."),
        commands=_role_list("exempt"),
        option="role",
    ),
    "waiting_jobs": SettingText(
        title=translatable("Waiting requests"),
        meaning=message("How many a member can have in the queue here."),
        unset=message("host default"),
        label=translatable("Requests"),
        number=lambda value: counted("{count} request", "{count} requests", value),
        commands=(("limit waiting", translatable("How many requests a member can have waiting; leave out for no limit here")),),
        option="most",
    ),
    "role_priorities": SettingText(
        title=translatable("Priority of roles"),
        meaning=message("1 to {most}. With 3, they get three turns for everyone else's one.", most=MAX_PRIORITY),
        unset=message("the same for everybody"),
        empty=message("no priority"),
        label=translatable("Priority"),
        commands=(
            ("priority role", translatable("How many turns a role gets for everyone else's one")),
            ("priority remove", translatable("Remove a role's priority")),
            ("priority clear", translatable("Remove the priority of all roles")),
        ),
        option="turns",
    ),
    "max_pixels": SettingText(
        title=translatable("Largest picture"),
        unset=message("every size that the model offers"),
        number=pixels,
        commands=(("limit size", translatable("How many pixels a picture can have; leave out for no limit here")),),
        option="most",
    ),
    "max_steps": SettingText(
        title=translatable("Most steps"),
        meaning=message("More steps take longer and can add detail."),
        unset=message("up to {most}", most=MAX_STEPS),
        empty=message("no limit here"),
        label=translatable("Steps"),
        number=lambda value: counted("{count} step", "{count} steps", value),
        commands=(("limit steps", translatable("How many steps a picture can have; leave out for no limit here")),),
        option="most",
    ),
    "max_images": SettingText(
        title=translatable("Most pictures at once"),
        unset=message("up to {most}", most=MAX_IMAGES),
        number=lambda value: counted("{count} picture", "{count} pictures", value),
        commands=(("limit pictures", translatable("How many pictures to draw at once; leave out for no limit here")),),
        option="most",
    ),
    "default_style": SettingText(
        title=translatable("Default style"),
        meaning=message("Used when a member doesn't choose one."),
        unset=message("no style"),
        commands=(("styles default", translatable("The style for members who don't choose one; leave out for no style")),),
        option="style",
    ),
    "allowed_styles": SettingText(
        title=translatable("Allowed styles"),
        meaning=message("Styles members can choose."),
        unset=message("every style"),
        commands=(
            ("styles allow", translatable("Only let members choose the styles you allow")),
            ("styles disallow", translatable("Remove a style; with none left, members can choose all")),
            ("styles allow-all", translatable("Let members choose every style")),
        ),
        option="style",
    ),
    "default_negative_prompt": SettingText(
        title=translatable("Left out by default"),
        meaning=message("Used when a member doesn't set their own."),
        unset=message("nothing"),
        label=translatable("Leave out"),
        hint=message("Tags, like lowres, bad hands. Empty = nothing."),
        commands=(("negative-prompt", translatable("What to leave out for members who don't set their own")),),
        option="text",
    ),
    "safety": SettingText(
        title=translatable("Safety level"),
        meaning=message("Prompts that sexualise minors are refused at every level."),
        choices={
            SafetyLevel.STRICT: translatable("Strict: for everybody, in every channel"),
            SafetyLevel.MODERATE: translatable("Moderate: suggestive at most, nothing sexual"),
            SafetyLevel.AGE_RESTRICTED: translatable("Adult content in age-restricted channels, moderate elsewhere"),
        },
        commands=(("safety", translatable("How far pictures may go")),),
        option="level",
    ),
    "blocked_words": SettingText(
        title=translatable("Blocked words"),
        meaning=message("Prompts with one of these are refused."),
        label=translatable("Words"),
        commands=(
            ("words add", translatable("Refuse prompts with this word or phrase")),
            ("words remove", translatable("Allow this word or phrase again")),
            ("words clear", translatable("Block no words")),
        ),
        option="word",
    ),
    "report_channel": SettingText(
        title=translatable("Report channel"),
        meaning=message("Where I post what members report. Without one, nobody sees reports."),
        commands=(("reports", translatable("Where I post what members report; leave out for nowhere")),),
        option="channel",
    ),
    "language": SettingText(
        title=translatable("Language"),
        meaning=message("The language of the cards. Default: your server's language in Discord."),
        unset=message("same as in Discord"),
        choices={
            Language.ENGLISH: "English",
            Language.JAPANESE: "日本語",
            Language.CHINESE: "简体中文",
            Language.KOREAN: "한국어",
            Language.GERMAN: "Deutsch",
        },
        commands=(("language", translatable("The language of the cards; leave out for your server's language in Discord")),),
        option="language",
    ),
    "spoilers": SettingText(
        title=translatable("Spoilers"),
        meaning=message("Which pictures are hidden until you click them."),
        choices={
            Spoilers.NEVER: translatable("Members decide"),
            Spoilers.AGE_RESTRICTED: translatable("In age-restricted channels"),
            Spoilers.ALWAYS: translatable("Every picture"),
        },
        commands=(("spoilers", translatable("Which pictures are hidden until you click them")),),
        option="pictures",
    ),
    "others_may_reuse": SettingText(
        title=translatable("Who can use a picture's buttons"),
        choices={"True": translatable("Everybody"), "False": translatable("Only its owner")},
        commands=(("reuse", translatable("Who can reroll, vary and remix a picture")),),
        option="who",
    ),
    "picture_days": SettingText(
        title=translatable("Delete pictures after"),
        meaning=message("On my side. The message in Discord stays."),
        unset=message("host default"),
        label=translatable("Days"),
        number=_days,
        commands=(("keep pictures", translatable("How many days I keep pictures; leave out for the host default")),),
        option="days",
    ),
    "prompt_days": SettingText(
        title=translatable("Delete prompts after"),
        meaning=message("I delete the picture on my side with its prompt."),
        unset=message("host default"),
        label=translatable("Days"),
        number=_days,
        commands=(("keep prompts", translatable("How many days I keep prompts and pictures; leave out for the host default")),),
        option="days",
    ),
}
