"""Every door of the bot answers in the reader's language: in a pseudo-locale, nothing but values stands in English."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
import pytest_asyncio
import simcord

from bot.domain.language import Language
from bot.domain.quality import names_of
from tests.cogs.authorisation import CARDS, DOORS, MANAGERS, MEMBERS, MODERATORS
from tests.cogs.entry_points import attempt
from tests.cogs.harness import SimcordHarness, parts, texts
from tests.cogs.two_servers import OWNERS_WORD, TwoServers, Who, open_premises
from tests.pseudo_locale import CLOSE, OPEN, speak_pseudo, untranslated

SPOKEN_TO = {Who.OWNER: "a member", Who.MANAGER: "a manager", Who.BLOCKED: "a blocked member", Who.DIRECT: "in a DM"}
DOORS_HERE = [name for name in DOORS if name in {**MEMBERS, **CARDS, **MODERATORS, **MANAGERS}]
VALUES = {
    OWNERS_WORD,
    *("mine", "cat", "dog", "one", "png", "girl", "green", "hair"),  # members' words and their files' names
    *("Test", "Model", "Pastel", "Anime", "Ink", "MIT"),  # titles of the model and its styles, and licences
    *("pastel", "data", "json"),  # the name of the exported file
}
SHOWN_FIELDS = {"content", "label", "placeholder", "description", "title", "name"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[TwoServers]:
    async with open_premises(tmp_path_factory.mktemp("servers")) as opened:
        yield opened


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("who", SPOKEN_TO, ids=SPOKEN_TO.get)
@pytest.mark.parametrize("name", DOORS_HERE)
async def test_a_door_says_nothing_but_values_in_another_language(
    servers: TwoServers, monkeypatch: pytest.MonkeyPatch, name: str, who: Who
):
    speak_pseudo(monkeypatch)
    if DOORS[name].while_paused:
        await servers.pause_queues()
    try:
        result = await attempt(servers, name, who, dict(DOORS[name].options))
        await servers.settle()
        said = list(_shown(servers, result))
    finally:
        await servers.restore()

    assert [(word, text) for text in said for word in untranslated(text) if word not in VALUES] == []


async def test_a_finished_card_says_nothing_but_values_in_another_language(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    speak_pseudo(monkeypatch)
    job = await harness.finished(prompt=OWNERS_WORD, images=2)

    said = [*_words(parts(harness.card(job)))]
    assert any(OPEN in text for text in said)
    assert [(word, text) for text in said for word in untranslated(text) if word not in VALUES] == []


async def test_the_texts_of_all_commands_are_translated_and_their_names_are_not(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    speak_pseudo(monkeypatch, [Language.JAPANESE])
    tree = harness.bot.tree
    assert tree.translator is not None
    ours = {name.split()[0].lstrip("/") for name in (*MEMBERS, *MODERATORS, *MANAGERS)} - {"typing", "press", "settings"}
    payloads = [await one.get_translated_payload(tree, tree.translator) for one in tree.get_commands() if one.name in ours]

    texts_of = [text for payload in payloads for text in _translatable(payload)]
    assert len(texts_of) > 40
    for english, localized in texts_of:
        assert OPEN in localized["ja"], english
        assert localized["ja"].replace(OPEN, "").replace(CLOSE, "") == english
        assert localized.keys() == ({"ja", "de"} if re.search(r"\d\.\d", english) else {"ja"}), english  # 1,5
    assert not any(payload.get("name_localizations") for payload in payloads)


async def test_a_member_reads_their_own_language_and_everybody_else_theirs(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    speak_pseudo(monkeypatch, [Language.JAPANESE])
    job = await harness.finished()

    assert OPEN not in texts((await harness.member.slash(harness.channel, "queue show")).response)
    _send_locale(monkeypatch, "ja")
    asked = {
        "command": (await harness.member.slash(harness.channel, "queue show")).response,
        "button": (await harness.press(job, "details")).response,
        "refusal": (await harness.other.slash(harness.channel, "queue cancel", job="nonsense")).response,
    }
    form = await harness.press(job, "remix")
    choices = await harness.moderator.autocomplete(harness.channel, "moderation block", "duration", "")

    for door, response in asked.items():
        assert OPEN in texts(response), door
    assert OPEN in json.dumps(form.modal, ensure_ascii=False)
    assert all(OPEN in choice["name"] for choice in choices)
    _send_locale(monkeypatch, "de")
    assert OPEN not in texts((await harness.member.slash(harness.channel, "queue show")).response)


async def test_a_form_that_is_sent_is_answered_in_the_senders_language(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    speak_pseudo(monkeypatch, [Language.JAPANESE])
    _send_locale(monkeypatch, "ja")
    card = await harness.member.slash(harness.channel, "profile show")
    shown = await harness.member.click(card.response, custom_id="pastel:profile:" + "0" * 16)

    sent = await harness.member.submit_modal(
        shown, {"style": ["-"], "size": ["-"], "negative_prompt": "hat <lora:nothing:1>", "images": ["2"], "spoiler": ["shown"]}
    )

    (refused,) = sent.followups
    assert OPEN in refused.content


async def test_a_card_for_everybody_is_not_in_the_language_of_who_asked(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    speak_pseudo(monkeypatch, [Language.JAPANESE])
    _send_locale(monkeypatch, "ja")

    card = (await harness.anime()).response

    assert "You're next" in texts(card)
    assert OPEN not in json.dumps(parts(card), ensure_ascii=False)


async def test_a_card_is_in_the_discord_language_of_its_server_also_once_it_is_finished(
    harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch
):
    speak_pseudo(monkeypatch, [Language.JAPANESE])
    _send_locale(monkeypatch, "de", guild="ja")

    assert OPEN in texts((await harness.anime()).response)
    job = await harness.draw()

    assert job.language is Language.JAPANESE
    assert OPEN in texts(harness.card(job))


async def test_a_card_in_a_direct_message_is_in_the_members_language(harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch):
    speak_pseudo(monkeypatch, [Language.JAPANESE])
    _send_locale(monkeypatch, "ja")

    assert OPEN in texts((await harness.member.user.slash("anime", prompt="hat")).response)


async def test_every_quality_of_the_model_has_a_label(harness: SimcordHarness):
    command = harness.bot.tree.get_command("anime")
    assert command is not None
    (options,) = [one for one in command.to_dict(harness.bot.tree)["options"] if one["name"] == "quality"]

    assert [choice["value"] for choice in options["choices"]] == list(names_of(harness.profile))
    assert all(choice["name"].casefold().startswith(choice["value"]) for choice in options["choices"])


def _send_locale(monkeypatch: pytest.MonkeyPatch, locale: str, *, guild: str = "en-US") -> None:
    """What Discord says from now on of the members' language, and of the servers'."""
    build = simcord.interactions.base_payload

    def localized(*args: Any, **options: Any) -> Any:
        record, payload = build(*args, **options)
        of_guild = {"guild_locale": guild} if "guild_locale" in payload else {}
        return record, payload | {"locale": locale} | of_guild

    monkeypatch.setattr(simcord.interactions, "base_payload", localized)


def _shown(servers: TwoServers, result: simcord.InteractionResult) -> Iterator[str]:
    """Everything that somebody reads of an answer."""
    for message in (result.response, *result.followups):
        if message and message.id not in servers.props:
            yield message.content
            yield from _words(parts(message))
    yield from _words(result.modal or {})
    yield from (choice["name"] for choice in result.autocomplete_choices or ())


def _words(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for one in part:
            yield from _words(one)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in SHOWN_FIELDS and isinstance(value, str):
                yield value
            elif name not in {"emoji", "media", "file"}:
                yield from _words(value)


def _translatable(payload: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Descriptions, and names of choices, each with its translations."""
    if payload.get("description"):
        yield payload["description"], payload["description_localizations"]
    for choice in payload.get("choices") or ():
        yield choice["name"], choice["name_localizations"]
    for option in payload.get("options") or ():
        yield from _translatable(option)
