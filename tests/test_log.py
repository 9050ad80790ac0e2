"""The log never carries a secret."""

import json
import logging

import pytest

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


def test_json_lines_are_json_with_the_exception_inside(capsys):
    set_up_logging("INFO", "json")

    logging.getLogger("bot.x").warning("what")

    entry = json.loads(capsys.readouterr().err)
    assert (entry["level"], entry["logger"], entry["message"]) == ("WARNING", "bot.x", "what")


def test_libraries_are_quiet_below_warning(capsys):
    set_up_logging("INFO", "text")

    logging.getLogger("discord.gateway").info("chatter")

    assert capsys.readouterr().err == ""
