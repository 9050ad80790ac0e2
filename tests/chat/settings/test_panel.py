"""The settings' messages hold whatever a server may set, within Discord's limits, and ping nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from discord import ui

from bot.chat.settings.changes import all_settings_view, change_lines, changed_view, history_view
from bot.chat.settings.controls import Offer, chosen_edit, select_for
from bot.chat.settings.forms import FORM_SETTINGS, setting_form
from bot.chat.settings.items import SettingsPress
from bot.chat.settings.panel import panel
from bot.chat.settings.text import SETTING_TEXTS, Theme, joined, names_of, shown
from bot.domain.guild_settings.audit_log import Change, Revision, TrailEntry, TrailPage, changes
from bot.domain.guild_settings.serialization import to_values
from bot.domain.guild_settings.settings import (
    MAX_ALLOWANCE,
    MAX_LISTED,
    MAX_STYLE_NAME,
    MAX_WORD_LENGTH,
    MAX_WORDS,
    SETTING_NAMES,
    UNCHANGED,
    GuildSettings,
)
from bot.domain.request import MAX_PROMPT_LENGTH
from bot.domain.safety import SafetyLevel, Spoilers
from bot.errors import InvalidRequestError
from bot.services.guild_settings import PAGE_LENGTH
from tests.examples import PASTEL, PROFILE
from tests.fakes import START

IDS = frozenset(2**62 + number for number in range(MAX_LISTED))
STYLES = frozenset(f"{number:02}{'*' * (MAX_STYLE_NAME - 2)}" for number in range(MAX_LISTED))
LARGEST = GuildSettings(
    allowed_channels=IDS,
    allowed_roles=IDS,
    daily_credits=MAX_ALLOWANCE,
    role_credits=dict.fromkeys(IDS, MAX_ALLOWANCE),
    exempt_roles=IDS,
    waiting_jobs=50,
    role_priorities=dict.fromkeys(IDS, 10),
    max_pixels=4096 * 4095,
    max_steps=60,
    max_images=4,
    default_style=min(STYLES),
    allowed_styles=STYLES,
    default_negative_prompt="*" * MAX_PROMPT_LENGTH,
    safety=SafetyLevel.AGE_RESTRICTED,
    blocked_words=tuple(f"@everyone {number:03}{'*' * (MAX_WORD_LENGTH - 13)}" for number in range(MAX_WORDS)),
    report_channel=max(IDS),
    spoilers=Spoilers.AGE_RESTRICTED,
    others_may_reuse=False,
    picture_days=3650,
    prompt_days=3650,
)
OFFER = Offer(
    styles=tuple(replace(PASTEL, name=f"style{number}", title="T" * 120) for number in range(40)),
    sizes=PROFILE.sizes,
    known=IDS,
)
SMALL_OFFER = Offer(styles=(PASTEL,), sizes=PROFILE.sizes, known=frozenset())


def texts(view: ui.LayoutView) -> str:
    return "\n".join(part.content for part in view.walk_children() if isinstance(part, ui.TextDisplay))


def check_limits(view: ui.LayoutView) -> None:
    assert view.total_children_count <= 40
    assert view.content_length() <= 4_000
    for part in payloads(view.to_components()):
        assert len(part.get("options", [])) <= 25
        assert len(part.get("default_values", [])) <= part.get("max_values", 1)
        assert all(len(option["label"]) <= 100 and len(option["value"]) <= 100 for option in part.get("options", []))
        assert part["type"] != 3 or part["options"], "a select without options is refused"


def payloads(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for component in components:
        yield component
        yield from payloads(component.get("components", []))
        if "accessory" in component:
            yield component["accessory"]


@pytest.mark.parametrize("theme", Theme)
@pytest.mark.parametrize(("settings", "offer"), [(UNCHANGED, SMALL_OFFER), (UNCHANGED, OFFER), (LARGEST, OFFER)])
def test_every_page_keeps_within_discords_limits(theme: Theme, settings: GuildSettings, offer: Offer):
    largest_notice = change_lines(changes(UNCHANGED, LARGEST), 700)

    view = panel(theme, to_values(settings), offer, largest_notice)

    check_limits(view)
    assert "@everyone" not in texts(view)


def test_every_setting_stands_on_one_page_and_can_be_changed_there():
    assert sorted(name for theme in Theme for name in names_of(theme)) == sorted(SETTING_NAMES)
    values = to_values(UNCHANGED)
    by_select = {name for name in SETTING_NAMES if select_for(name, f"pastel-settings:a:{name}", values, OFFER)}
    assert by_select | FORM_SETTINGS == set(SETTING_NAMES)
    assert not by_select & FORM_SETTINGS


def test_a_model_without_styles_has_nothing_to_choose_among_them():
    offer = replace(SMALL_OFFER, styles=())

    check_limits(panel(Theme.STYLES, to_values(UNCHANGED), offer))
    assert select_for("allowed_styles", "x", to_values(UNCHANGED), offer) is None


def test_a_chosen_style_that_is_gone_stays_on_the_list_so_that_it_can_be_taken_off():
    settings = GuildSettings(allowed_styles=frozenset({"pastel", "lost"}))

    select = select_for("allowed_styles", "x", to_values(settings), SMALL_OFFER)

    assert isinstance(select, ui.Select)
    assert [(option.value, option.default) for option in select.options] == [("pastel", True), ("lost", True)]


@pytest.mark.parametrize("name", sorted(FORM_SETTINGS))
@pytest.mark.parametrize("settings", [UNCHANGED, LARGEST])
def test_every_form_keeps_within_discords_limits_and_loses_nothing_that_was_set(name: str, settings: GuildSettings):
    payload = setting_form(SettingsPress(page="safety", setting=name), to_values(settings)).to_dict()

    assert len(payload["title"]) <= 45
    assert 1 <= len(payload["components"]) <= 5
    fields = [label["component"] for label in payload["components"]]
    assert len({field["custom_id"] for field in fields}) == len(fields)
    for label in payload["components"]:
        assert len(label["label"]) <= 45
        assert len(label.get("description") or "") <= 100
        assert len(label["component"].get("value") or "") <= (label["component"].get("max_length") or 4_000) <= 4_000
    if name == "blocked_words":
        written = "\n".join(field["value"] for field in fields if field.get("value"))
        assert written.splitlines() == list(settings.blocked_words)


def test_all_settings_fit_into_one_message():
    for settings in (UNCHANGED, LARGEST):
        view = all_settings_view(to_values(settings))
        check_limits(view)
        assert all(f"**{text.title}:**" in texts(view) for text in SETTING_TEXTS.values())


def test_the_answer_to_the_largest_import_fits_into_one_message():
    view = changed_view(Revision(settings=LARGEST, changes=changes(UNCHANGED, LARGEST)))

    check_limits(view)
    assert "@everyone" not in texts(view)


def test_a_page_of_the_longest_changes_fits_into_one_message():
    longest = max(changes(UNCHANGED, LARGEST), key=lambda change: len(change_lines([change])))
    entries = tuple(
        TrailEntry(id=number, changed_by=2**62, changed_at=START + timedelta(days=number), change=longest)
        for number in range(PAGE_LENGTH)
    )

    check_limits(history_view(TrailPage(entries=entries, older_than=2**40)))


def test_a_long_list_that_changed_says_what_was_added_and_removed():
    before = [str(number) for number in range(1, 8)]
    change = Change(setting="allowed_roles", before=before, after=[*before[1:], "99"])

    assert change_lines([change]) == "**Allowed roles:** 7 → 7 (added <@&99>; removed <@&1>)"


def test_what_moderators_wrote_is_shown_letter_for_letter():
    assert shown("blocked_words", ["**bold**", "<@1>"]) == r"\*\*bold\*\*, \<@" + "\u200b" + r"1\>"


def test_a_setting_of_an_older_version_is_still_told():
    change = Change(setting="colour", before=None, after=["red"])

    assert "colour" in change_lines([change])
    assert "red" in change_lines([change])


def test_a_list_says_how_much_of_it_is_not_shown():
    assert joined(["one", "two", "three"], 8) == "one, two and 1 more"
    assert joined(["one"], 1) == "one"


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("max_pixels", ["many"]),
        ("max_pixels", ["9" * 40]),
        ("max_images", []),
        ("others_may_reuse", ["perhaps"]),
        ("safety", ["none"]),
        ("safety", ["strict", "moderate"]),
        ("allowed_roles", ["everyone"]),
        ("report_channel", ["<#5>"]),
        ("daily_credits", ["5"]),
        ("colour", ["red"]),
    ],
)
def test_a_choice_that_no_select_offers_is_refused(name: str, chosen: list[str]):
    with pytest.raises(InvalidRequestError):
        chosen_edit(name, chosen)(UNCHANGED)


@pytest.mark.parametrize("custom_id", ["pastel-settings:a:", "pastel-settings:A:b", f"pastel-settings:history:{'9' * 19}", "x"])
def test_other_custom_ids_are_not_ours(custom_id: str):
    assert SettingsPress.parse(custom_id) is None
