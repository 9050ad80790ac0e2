"""Who may read and change a server's settings, what is refused, and what is kept of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.guild_settings.definitions import SETTINGS
from bot.domain.guild_settings.edits import assign, exclude, give_role, include
from bot.domain.guild_settings.serialization import MAX_FILE_BYTES
from bot.domain.guild_settings.settings import UNCHANGED
from bot.domain.job import Actor, Origin, Place
from bot.domain.operator_rules import OperatorRules
from bot.domain.privacy import FOR_GOOD, KeepingTimes
from bot.domain.safety import SafetyLevel
from bot.errors import InvalidRequestError, NotAllowedError
from bot.services.guild_settings import PAGE_LENGTH, GuildSettingsService
from tests.examples import CATALOG, GUILD, MEMBER, MODERATOR, PROFILE
from tests.services.harness import ServicesHarness

MANAGER = Actor(user_id=MODERATOR, guild_id=GUILD, manages_guild=True)
ELSEWHERE = Actor(user_id=MODERATOR, guild_id=GUILD + 1, manages_guild=True)


@pytest.fixture
def rules(harness: ServicesHarness) -> GuildSettingsService:
    return harness.services.guild_settings


@pytest.mark.parametrize(
    "actor",
    [
        Actor(user_id=MEMBER, guild_id=GUILD),
        Actor(user_id=MEMBER, guild_id=GUILD, manages_messages=True),
        Actor(user_id=MODERATOR, manages_guild=True),
    ],
    ids=["member", "message moderator", "direct message"],
)
async def test_nobody_else_reads_or_changes_a_servers_settings(rules: GuildSettingsService, actor: Actor):
    for attempt in (
        rules.read(actor),
        rules.revise(actor, assign("max_steps", 5)),
        rules.restore(actor),
        rules.history(actor),
        rules.export(actor),
        rules.load(actor, b'{"pastel_settings": 1, "max_steps": 5}'),
    ):
        with pytest.raises(NotAllowedError, match="Manage Server"):
            await attempt

    assert await rules.read(MANAGER) == UNCHANGED
    assert (await rules.history(MANAGER)).entries == ()


async def test_a_channel_where_i_may_not_post_is_no_report_channel_whichever_way_it_is_chosen(
    rules: GuildSettingsService, harness: ServicesHarness
):
    harness.board.lacking = {70: "Send Messages"}

    for attempt in (
        rules.revise(MANAGER, assign("report_channel", "70")),
        rules.load(MANAGER, b'{"pastel_settings": 1, "max_steps": 5, "report_channel": "70"}'),
    ):
        with pytest.raises(InvalidRequestError, match=r"reports in <#70>.*\*\*Send Messages\*\*"):
            await attempt

    assert await rules.read(MANAGER) == UNCHANGED
    await rules.revise(MANAGER, assign("report_channel", "71"))


async def test_a_report_channel_that_i_may_no_longer_post_in_keeps_nobody_from_changing_the_rest(
    rules: GuildSettingsService, harness: ServicesHarness
):
    await rules.revise(MANAGER, assign("report_channel", "70"))
    harness.board.lacking = {70: "Send Messages"}

    await rules.revise(MANAGER, assign("max_steps", 5))
    await rules.revise(MANAGER, assign("report_channel", None))


async def test_a_change_stands_in_the_trail_with_who_when_and_what_was_before(
    rules: GuildSettingsService, harness: ServicesHarness
):
    await rules.revise(MANAGER, assign("max_steps", 20))
    harness.clock.advance(60)
    revision = await rules.revise(MANAGER, assign("max_steps", 30))

    (change,) = revision.changes
    assert (change.setting, change.before, change.after) == ("max_steps", 20, 30)
    newest, oldest = (await rules.history(MANAGER)).entries
    assert newest.change == change
    assert newest.changed_by == MODERATOR
    assert newest.changed_at == harness.clock.now()
    assert oldest.changed_at == harness.clock.now() - timedelta(seconds=60)
    assert (await rules.history(ELSEWHERE)).entries == ()
    assert await rules.read(ELSEWHERE) == UNCHANGED


async def test_what_changes_nothing_leaves_no_trail(rules: GuildSettingsService):
    assert (await rules.revise(MANAGER, assign("safety", "moderate"))).changes == ()
    assert (await rules.history(MANAGER)).entries == ()


async def test_the_history_goes_on_page_by_page_until_its_beginning(rules: GuildSettingsService):
    for steps in range(1, PAGE_LENGTH + 4):
        await rules.revise(MANAGER, assign("max_steps", steps))

    first = await rules.history(MANAGER)
    second = await rules.history(MANAGER, older_than=first.older_than)

    assert len(first.entries) == PAGE_LENGTH
    told = [entry.change.after for entry in (*first.entries, *second.entries)]
    assert told == list(range(PAGE_LENGTH + 3, 0, -1))
    assert second.older_than is None


async def test_a_full_last_page_promises_no_other(rules: GuildSettingsService):
    for steps in range(1, PAGE_LENGTH + 1):
        await rules.revise(MANAGER, assign("max_steps", steps))

    assert (await rules.history(MANAGER)).older_than is None


async def test_lists_and_roles_change_one_by_one(rules: GuildSettingsService):
    await rules.revise(MANAGER, include("allowed_channels", "5"))
    await rules.revise(MANAGER, include("allowed_channels", "6"))
    await rules.revise(MANAGER, include("allowed_channels", "6"))
    await rules.revise(MANAGER, exclude("allowed_channels", "5"))
    await rules.revise(MANAGER, include("blocked_words", "Spoiler"))
    await rules.revise(MANAGER, exclude("blocked_words", " sPOILER "))
    await rules.revise(MANAGER, give_role("role_credits", "7", 10))
    await rules.revise(MANAGER, give_role("role_credits", "8", 20))
    await rules.revise(MANAGER, give_role("role_credits", "7", None))

    settings = await rules.read(MANAGER)
    assert settings.allowed_channels == {6}
    assert settings.blocked_words == ()
    assert dict(settings.role_credits) == {8: 20}


@pytest.mark.parametrize("name", ["default_style", "allowed_styles"])
async def test_a_style_that_nobody_has_is_refused(rules: GuildSettingsService, name: str):
    value = "watercolour" if name == "default_style" else ["pastel", "watercolour"]

    with pytest.raises(InvalidRequestError, match=r"I don't know that style\. You can use \*\*Pastel Anime\*\*"):
        await rules.revise(MANAGER, assign(name, value))

    assert await rules.read(MANAGER) == UNCHANGED


async def test_a_style_that_was_removed_from_the_disk_does_not_stop_other_changes(
    rules: GuildSettingsService, harness: ServicesHarness
):
    await rules.revise(MANAGER, assign("allowed_styles", ["pastel"]))
    poorer = replace(rules, catalog=replace(CATALOG, styles={}))

    await poorer.revise(MANAGER, assign("max_steps", 20))
    await poorer.revise(MANAGER, exclude("allowed_styles", "pastel"))

    with pytest.raises(InvalidRequestError, match="none for this model"):
        await poorer.revise(MANAGER, assign("default_style", "pastel"))


def test_a_style_is_found_by_its_title_too(rules: GuildSettingsService):
    assert rules.style_name(" PASTEL anime ") == "pastel"
    with pytest.raises(InvalidRequestError):
        rules.style_name("pixel")  # of another model


@pytest.mark.parametrize(
    "edit",
    [
        include("allowed_roles", str(GUILD)),
        include("exempt_roles", str(GUILD)),
        give_role("role_credits", str(GUILD), 5),
        give_role("role_priorities", str(GUILD), 5),
    ],
)
async def test_everyone_is_refused_as_a_role_since_discord_names_it_for_no_member(rules: GuildSettingsService, edit):
    with pytest.raises(InvalidRequestError, match="You can't choose @everyone"):
        await rules.revise(MANAGER, edit)

    assert await rules.read(MANAGER) == UNCHANGED


@pytest.mark.parametrize(
    "edit",
    [
        assign("max_steps", 0),
        assign("max_steps", "20"),
        assign("max_steps", True),
        assign("colour", 1),
        assign("allowed_channels", ["x"]),
        assign("allowed_channels", [str(number) for number in range(1, 27)]),
        assign("blocked_words", ["!"]),
        give_role("role_priorities", "7", 11),
    ],
)
async def test_a_value_that_cannot_be_is_refused_and_nothing_changes(rules: GuildSettingsService, edit):
    with pytest.raises(InvalidRequestError):
        await rules.revise(MANAGER, edit)

    assert await rules.read(MANAGER) == UNCHANGED
    assert (await rules.history(MANAGER)).entries == ()


async def test_a_lora_tag_among_what_is_left_out_is_refused_and_one_of_before_keeps_nobody_from_changing_the_rest(
    rules: GuildSettingsService, harness: ServicesHarness
):
    for attempt in (
        rules.revise(MANAGER, assign("default_negative_prompt", "hat <lora:ink:1>")),
        rules.load(MANAGER, b'{"pastel_settings": 1, "default_negative_prompt": "<hypernet:ink:1>"}'),
    ):
        with pytest.raises(InvalidRequestError, match="Take the tag for `ink` out"):
            await attempt
    assert await rules.read(MANAGER) == UNCHANGED

    before = assign("default_negative_prompt", "hat <lora:ink:1>")
    await harness.repositories.guild_settings.change(GUILD, before, by=MODERATOR, now=harness.clock.now())
    await rules.revise(MANAGER, assign("max_steps", 20))


async def test_one_setting_or_all_of_them_go_back_to_the_beginning(rules: GuildSettingsService):
    await rules.revise(MANAGER, assign("max_steps", 20))
    await rules.revise(MANAGER, assign("safety", "strict"))

    await rules.restore(MANAGER, "max_steps")
    settings = await rules.read(MANAGER)
    assert (settings.max_steps, settings.safety) == (None, SafetyLevel.STRICT)
    await rules.restore(MANAGER)
    assert await rules.read(MANAGER) == UNCHANGED
    with pytest.raises(InvalidRequestError, match="have a setting called that"):
        await rules.restore(MANAGER, "colour")


async def test_an_exported_file_imports_into_another_server(rules: GuildSettingsService):
    await rules.revise(MANAGER, assign("blocked_words", ["größe", "`tick`"]))
    await rules.revise(MANAGER, give_role("role_credits", "7", 10))
    file = (await rules.export(MANAGER)).encode()

    revision = await rules.load(ELSEWHERE, file)

    assert await rules.read(ELSEWHERE) == await rules.read(MANAGER)
    assert [change.setting for change in revision.changes] == ["role_credits", "blocked_words"]
    assert set(json.loads(file)) == {"pastel_settings", *SETTINGS}


async def test_a_file_changes_only_what_it_names(rules: GuildSettingsService):
    await rules.revise(MANAGER, assign("max_steps", 20))

    await rules.load(MANAGER, b'{"pastel_settings": 1, "safety": "strict"}')

    settings = await rules.read(MANAGER)
    assert (settings.max_steps, settings.safety) == (20, SafetyLevel.STRICT)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"[" * 60_000,
        b'{"max_steps": 5}',
        b'{"pastel_settings": 2, "max_steps": 5}',
        b'{"pastel_settings": 1, "max_steps": 5, "max_steps": 6}',
        b'{"pastel_settings": 1, "max_steps": 5, "colour": 1}',
        b'{"pastel_settings": 1, "max_steps": 5, "daily_credits": NaN}',
        b'{"pastel_settings": 1, "max_steps": 5, "daily_credits": 1e3}',
        b'{"pastel_settings": 1, "max_steps": 5, "allowed_channels": [5]}',
        b'{"pastel_settings": 1, "max_steps": 5, "default_style": "watercolour"}',
        b'{"pastel_settings": 1, "max_steps": 5, "allowed_roles": ["%d"]}' % GUILD,
        b'{"pastel_settings": 1, "max_steps": 5}'.ljust(MAX_FILE_BYTES + 1),
    ],
)
async def test_a_file_with_a_fault_changes_nothing_at_all(rules: GuildSettingsService, file: bytes):
    with pytest.raises(InvalidRequestError):
        await rules.load(MANAGER, file)

    assert await rules.read(MANAGER) == UNCHANGED
    assert (await rules.history(MANAGER)).entries == ()


async def test_a_change_holds_from_the_next_request_on(rules: GuildSettingsService, harness: ServicesHarness):
    place = Place(channel_id=5)
    await rules.revise(MANAGER, assign("allowed_channels", ["6"]))

    with pytest.raises(NotAllowedError, match="only draw in <#6>"):
        await harness.submit(1, origin=Origin(interaction_id=1, user_id=MEMBER, guild_id=GUILD, place=place))
    await rules.revise(MANAGER, include("allowed_channels", "5"))
    await harness.submit(2, origin=Origin(interaction_id=2, user_id=MEMBER, guild_id=GUILD, place=place))

    assert await harness.jobs.backlog() == 1


async def test_no_server_keeps_things_longer_than_the_host(harness: ServicesHarness):
    await harness.services.guild_settings.revise(MANAGER, assign("prompt_days", 90))  # before there was a bound
    harness.host = OperatorRules(keeping=KeepingTimes(picture_days=10, word_days=30))
    rules = harness.build().guild_settings

    for edit, sentence in (
        (assign("picture_days", 11), "My host deletes these after 10 days at the latest, so `picture_days` can be 1 to 10."),
        (assign("prompt_days", 31), "My host deletes these after 30 days at the latest, so `prompt_days` can be 1 to 30."),
    ):
        with pytest.raises(InvalidRequestError) as refused:
            await rules.revise(MANAGER, edit)
        assert str(refused.value).startswith(sentence)
    with pytest.raises(InvalidRequestError, match="My host deletes these"):
        await rules.load(MANAGER, b'{"pastel_settings": 1, "picture_days": 11}')

    await rules.revise(MANAGER, assign("picture_days", 10))
    settings = (await rules.revise(MANAGER, assign("max_steps", 20))).settings
    assert (settings.picture_days, settings.prompt_days) == (10, 90)


async def test_settings_outlive_the_process(rules: GuildSettingsService, harness: ServicesHarness):
    await rules.revise(MANAGER, assign("max_steps", 20))

    again = GuildSettingsService(
        repository=harness.repositories.guild_settings,
        profile=PROFILE,
        catalog=CATALOG,
        longest=FOR_GOOD,
        posting=None,
        clock=harness.clock,
    )

    assert (await again.read(MANAGER)).max_steps == 20
