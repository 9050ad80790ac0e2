"""One row a setting: the rows are the fields of the settings, and a value of each kind goes to JSON and comes back."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from bot.domain.guild_settings.definitions import SETTINGS
from bot.domain.guild_settings.kinds import Choice, Flag, Number
from bot.domain.guild_settings.serialization import from_values, to_values
from bot.domain.guild_settings.settings import UNCHANGED, GuildSettings, restored
from bot.domain.language import Language
from bot.domain.safety import SafetyLevel, Spoilers
from bot.errors import InvalidRequestError

CHANGED: dict[str, Any] = {
    "allowed_channels": frozenset({5, 2**62}),
    "allowed_roles": frozenset({6}),
    "daily_credits": 0,
    "role_credits": {7: 30, 2: 0},
    "exempt_roles": frozenset({8}),
    "waiting_jobs": 50,
    "role_priorities": {7: 10},
    "max_pixels": 64 * 64,
    "max_steps": 1,
    "max_images": 4,
    "default_style": "pastel",
    "allowed_styles": frozenset({"pastel", "ink"}),
    "default_negative_prompt": "bad hands",
    "safety": SafetyLevel.STRICT,
    "blocked_words": ("spoiler", "größe"),
    "report_channel": 9,
    "language": Language.CHINESE,
    "spoilers": Spoilers.ALWAYS,
    "others_may_reuse": False,
    "picture_days": 1,
    "prompt_days": 3650,
}


def test_the_rows_are_the_fields_in_their_order_and_every_default_is_a_value_of_its_kind():
    assert list(SETTINGS) == [field.name for field in fields(GuildSettings)] == list(CHANGED)
    for name, setting in SETTINGS.items():
        default = getattr(UNCHANGED, name)
        assert setting.name == name
        assert setting.kind.checked(name, default) == default
        assert setting.kind.decode(name, setting.kind.encode(default)) == default


@pytest.mark.parametrize("name", SETTINGS)
def test_a_value_goes_to_json_and_comes_back_and_is_restored(name: str):
    settings = replace(UNCHANGED, **{name: CHANGED[name]})

    stored = json.loads(json.dumps(to_values(settings)))

    assert settings != UNCHANGED
    assert from_values(stored, UNCHANGED) == settings
    assert restored(settings, [name]) == UNCHANGED


def test_stored_values_look_as_they_have_always_looked():
    assert to_values(replace(UNCHANGED, **CHANGED)) == {
        "allowed_channels": ["5", "4611686018427387904"],
        "allowed_roles": ["6"],
        "daily_credits": 0,
        "role_credits": {"2": 0, "7": 30},
        "exempt_roles": ["8"],
        "waiting_jobs": 50,
        "role_priorities": {"7": 10},
        "max_pixels": 4096,
        "max_steps": 1,
        "max_images": 4,
        "default_style": "pastel",
        "allowed_styles": ["ink", "pastel"],
        "default_negative_prompt": "bad hands",
        "safety": "strict",
        "blocked_words": ["spoiler", "größe"],
        "report_channel": "9",
        "language": "zh-CN",
        "spoilers": "always",
        "others_may_reuse": False,
        "picture_days": 1,
        "prompt_days": 3650,
    }


def numbers() -> list[tuple[str, int, int]]:
    return [
        (name, setting.kind.low, setting.kind.high) for name, setting in SETTINGS.items() if isinstance(setting.kind, Number)
    ]


@pytest.mark.parametrize(("name", "low", "high"), numbers())
def test_a_number_reaches_from_the_least_to_the_most(name: str, low: int, high: int):
    for fitting in (low, high, None):
        assert getattr(from_values({name: fitting}, UNCHANGED), name) == fitting
    for unfit in (low - 1, high + 1):
        with pytest.raises(InvalidRequestError) as refused:
            from_values({name: unfit}, UNCHANGED)
        assert str(refused.value) == f"`{name}` must be between {low:,} and {high:,}. You gave {unfit:,}."


@pytest.mark.parametrize(
    ("name", "unfit"),
    [
        *((name, value) for name, _low, _high in numbers() for value in ("5", 1.5, True, [1])),
        *((name, value) for name, row in SETTINGS.items() if isinstance(row.kind, Flag) for value in (None, "true", 1)),
        *((name, value) for name, row in SETTINGS.items() if isinstance(row.kind, Choice) for value in ("none", 1, [])),
        *((name, value) for name in ("role_credits", "role_priorities") for value in ([], {"x": 1}, None)),
        ("safety", None),
        ("allowed_channels", ["0"]),
        ("allowed_channels", [5]),
        ("allowed_roles", "5"),
        ("report_channel", 5),
        ("default_style", " "),
        ("default_style", "a" * 101),
        ("allowed_styles", [5]),
        ("blocked_words", ["!"]),
        ("blocked_words", ["a" * 61]),
        ("blocked_words", [f"word{number}" for number in range(101)]),
        ("default_negative_prompt", None),
        ("colour", "red"),
    ],
)
def test_what_no_kind_takes_is_refused(name: str, unfit: Any):
    with pytest.raises(InvalidRequestError):
        from_values({name: unfit}, UNCHANGED)


def test_names_that_are_no_settings_are_all_named_in_one_sentence():
    with pytest.raises(InvalidRequestError) as one:
        from_values({"colour": 1}, UNCHANGED)
    with pytest.raises(InvalidRequestError) as many:
        from_values(dict.fromkeys("abcdefg", 1), UNCHANGED)

    assert str(one.value) == "`colour` isn't a setting. Correct it, or leave it out."
    assert str(many.value) == "`a`, `b`, `c`, `d`, `e` and 2 more aren't settings. Correct them, or leave them out."


def test_the_default_style_is_one_of_the_allowed_ones():
    with pytest.raises(InvalidRequestError, match="`ink` isn't one of the allowed styles"):
        replace(UNCHANGED, default_style="ink", allowed_styles=frozenset({"pastel"}))


def test_a_server_that_chose_no_language_has_none():
    assert UNCHANGED.language is None
    assert from_values({"language": "ja"}, UNCHANGED).language is Language.JAPANESE
    assert from_values({"language": None}, from_values({"language": "ja"}, UNCHANGED)) == UNCHANGED
