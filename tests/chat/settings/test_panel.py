"""The settings' messages hold whatever a server may set, within Discord's limits, and ping nobody."""

from __future__ import annotations

import gettext
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from discord import ui

from bot.chat.actions import SettingsPress
from bot.chat.settings.changes import all_settings_view, change_lines, changed_view, export_view, history_view
from bot.chat.settings.controls import Offer, chosen_edit, select_for
from bot.chat.settings.forms import has_form, setting_form
from bot.chat.settings.panel import panel
from bot.chat.settings.text import SETTING_TEXTS
from bot.chat.settings.values import in_words, joined, shown
from bot.chat.translation import rendered
from bot.domain.guild_settings.audit_log import Change, Revision, TrailEntry, TrailPage, changes
from bot.domain.guild_settings.definitions import MAX_ALLOWANCE, SETTINGS, Group, settings_in
from bot.domain.guild_settings.edits import assign
from bot.domain.guild_settings.kinds import MAX_LISTED, MAX_STYLE_NAME, MAX_WORD_LENGTH, MAX_WORDS
from bot.domain.guild_settings.serialization import to_values
from bot.domain.guild_settings.settings import UNCHANGED, GuildSettings
from bot.domain.language import Language
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
    language=Language.CHINESE,
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


@pytest.mark.parametrize("group", Group)
@pytest.mark.parametrize(("settings", "offer"), [(UNCHANGED, SMALL_OFFER), (UNCHANGED, OFFER), (LARGEST, OFFER)])
def test_every_page_keeps_within_discords_limits(group: Group, settings: GuildSettings, offer: Offer):
    largest_notice = change_lines(changes(UNCHANGED, LARGEST), 700)

    view = panel(group, to_values(settings), offer, largest_notice)

    check_limits(view)
    assert "@everyone" not in texts(view)


def test_every_setting_stands_on_one_page_and_can_be_changed_there():
    assert [name for group in Group for name in settings_in(group)] == list(SETTINGS) == list(SETTING_TEXTS)
    values = to_values(UNCHANGED)
    by_select = {name for name in SETTINGS if select_for(name, f"pastel-settings:a:{name}", values, OFFER)}
    by_form = {name for name in SETTINGS if has_form(name)}
    assert by_select | by_form == set(SETTINGS)
    assert not by_select & by_form


def test_a_model_without_styles_has_nothing_to_choose_among_them():
    offer = replace(SMALL_OFFER, styles=())

    check_limits(panel(Group.STYLES, to_values(UNCHANGED), offer))
    assert select_for("allowed_styles", "x", to_values(UNCHANGED), offer) is None


def test_a_chosen_style_that_is_gone_stays_on_the_list_so_that_it_can_be_taken_off():
    settings = GuildSettings(allowed_styles=frozenset({"pastel", "lost"}))

    select = select_for("allowed_styles", "x", to_values(settings), SMALL_OFFER)

    assert isinstance(select, ui.Select)
    assert [(option.value, option.default) for option in select.options] == [("pastel", True), ("lost", True)]


@pytest.mark.parametrize("name", [name for name in SETTINGS if has_form(name)])
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


class Marks(gettext.NullTranslations):
    """A language that puts every template between marks."""

    def gettext(self, message: str) -> str:
        return f"«{message}»"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"«{msgid1 if n == 1 else msgid2}»"


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every language is that one, from now on: what was put into words before it shows no marks."""
    monkeypatch.setattr("bot.chat.translation._catalogue", lambda language: Marks())


def said_in(payload: dict[str, Any]) -> Iterator[str]:
    """What people read of a component, but for values that only the server or the model has words for."""
    for part in payloads([payload]):
        yield from (part[key] for key in ("content", "title", "label", "description", "placeholder") if part.get(key))
        yield from (option["description"] for option in part.get("options", []) if option.get("description"))
        if "component" in part:
            yield from said_in(part["component"])


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("group", Group)
def test_a_page_is_put_into_the_language_of_whoever_looks_when_it_is_shown(group: Group):
    view = panel(group, to_values(LARGEST), OFFER, change_lines(changes(UNCHANGED, LARGEST), 700))

    said = [text for part in view.to_components() for text in said_in(part)]

    assert len(said) > 5
    assert all("«" in text for text in said), said
    for name in settings_in(group):
        assert any(f"«{SETTING_TEXTS[name].title}»" in text for text in said)


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("name", [name for name in SETTINGS if has_form(name)])
def test_a_form_is_put_into_the_language_of_whoever_opens_it(name: str):
    form = setting_form(SettingsPress(page="safety", setting=name), to_values(UNCHANGED)).to_dict()

    said = [form["title"], *(text for label in form["components"] for text in said_in(label))]

    assert len(said) >= 3
    assert all("«" in text for text in said), said


@pytest.mark.usefixtures("marked")
def test_answers_and_the_history_are_put_into_the_language_of_whoever_asked():
    revision = Revision(settings=LARGEST, changes=changes(UNCHANGED, LARGEST))
    entries = tuple(
        TrailEntry(id=number, changed_by=5, changed_at=START, change=change)
        for number, change in enumerate(revision.changes[:8])
    )
    views = [
        changed_view(revision),
        changed_view(Revision(settings=UNCHANGED, changes=())),
        all_settings_view(to_values(LARGEST)),
        history_view(TrailPage(entries=entries, older_than=1)),
        history_view(TrailPage(entries=(), older_than=None)),
        export_view("{}")[0],
    ]

    said = [line for view in views for line in texts(view).splitlines() if line]

    assert len(said) > 40
    assert all("«" in line for line in said), said


@pytest.mark.usefixtures("marked")
def test_a_refusal_on_the_panel_calls_the_setting_by_its_title_in_the_language_of_whoever_asked():
    with pytest.raises(InvalidRequestError) as refused:
        assign("max_steps", 100)(UNCHANGED)

    assert str(refused.value).startswith("`max_steps` must be")
    assert rendered(in_words(refused.value.sentence)) == "«**«Most steps»** must be between 1 and 60. You gave 100.»"
