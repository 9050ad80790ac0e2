"""The log never carries a secret."""

import json
import logging

import pytest
from aiohttp import ClientHttpProxyError, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bot.log import set_up_logging

TOKEN = "MTA4OTk5OTk5OTk5OTk5OTk5.GaBcDe." + "x" * 38


@pytest.fixture(autouse=True)
def restore_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.parametrize("style", ["text", "json"])
def test_tokens_are_blotted_out_wherever_they_stand(style, capsys):
    set_up_logging("INFO", style)

    try:
        raise RuntimeError(f"401 for https://x/api/webhooks/12345678/{'y' * 60}")
    except RuntimeError:
        logging.getLogger("bot").exception("login with %s", TOKEN)

    printed = capsys.readouterr().err
    assert "[secret]" in printed
    assert TOKEN not in printed
    assert "y" * 60 not in printed


@pytest.mark.parametrize("style", ["text", "json"])
def test_the_password_of_a_proxy_is_blotted_out_of_what_aiohttp_says(style, capsys):
    """discord.py logs it when the gateway has to be connected again."""
    set_up_logging("WARNING", style)
    proxy = URL("http://ann:it's%20secret@proxy.example:3128")
    request = RequestInfo(URL("wss://gateway.discord.gg"), "CONNECT", CIMultiDictProxy(CIMultiDict()), proxy)
    error = ClientHttpProxyError(request, (), status=407, message="Proxy Authentication Required")
    assert "secret" in str(error)

    logging.getLogger("discord.shard").error("Attempting a reconnect", exc_info=error)

    printed = capsys.readouterr().err
    assert "http://[secret]@proxy.example:3128" in printed
    assert "it's" not in printed


def test_json_lines_are_json_with_the_exception_inside(capsys):
    set_up_logging("INFO", "json")

    logging.getLogger("bot.x").warning("what")

    entry = json.loads(capsys.readouterr().err)
    assert (entry["level"], entry["logger"], entry["message"]) == ("WARNING", "bot.x", "what")


def test_an_interaction_token_is_blotted_out_where_no_address_gives_it_away(capsys):
    set_up_logging("INFO", "text")
    token = "aW50ZXJhY3Rpb246MTIzNDU2Nzg5MDEyMzQ1Njc4OnNlY3JldA"

    logging.getLogger("bot").warning("{'id': '1', 'token': '%s', 'type': 2}", token)

    assert capsys.readouterr().err.endswith("{'id': '1', 'token': '[secret]', 'type': 2}\n")


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
@pytest.mark.parametrize(
    "library", ["discord.gateway", "discord.http", "aiosqlite", "PIL.PngImagePlugin", "httpx", "diffusers.x", "a.newcomer"]
)
def test_libraries_never_tell_what_they_handle_whatever_level_they_are_set_to(level, library, capsys):
    set_up_logging(level, "text")
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(logging.DEBUG)  # some libraries do that by themselves, by variables of their own

    logger.debug("payload with a prompt")
    logger.setLevel(before)

    assert "prompt" not in capsys.readouterr().err


def test_at_debug_our_own_words_are_told(capsys):
    set_up_logging("DEBUG", "text")

    logging.getLogger("bot.services.delivery").debug("Card of job 1 waits")

    assert "Card of job 1 waits" in capsys.readouterr().err


def test_libraries_are_quiet_below_warning(capsys):
    set_up_logging("INFO", "text")

    logging.getLogger("discord.gateway").info("chatter")

    assert capsys.readouterr().err == ""
