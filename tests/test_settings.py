"""Settings: every fault at once, each with its cure, and no secret repeated."""

import os
import re

import pytest

from bot.errors import SettingsError
from bot.settings import Settings

TOKEN = "MTA4OTk5OTk5OTk5OTk5OTk5.GaBcDe." + "x" * 38  # shaped like a token, made up


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def problems(**environment) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(**environment)
    return caught.value.problems


def load(*, need_token: bool = True, **environment) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Settings.load(need_token=need_token)


def test_defaults_need_nothing_but_a_token():
    settings = load(DISCORD_TOKEN=TOKEN)

    assert (str(settings.data_dir), settings.model, settings.device, settings.http_port) == ("data", None, "auto", 0)
    assert settings.token() == TOKEN


def test_all_faults_are_told_at_once_one_line_each():
    lines = problems(HTTP_PORT="70000", LOG_LEVEL="loud", LOG_FORMAT="xml", DEVICE="toaster")

    assert [line.split()[0] for line in lines] == ["DEVICE", "LOG_LEVEL", "LOG_FORMAT", "HTTP_PORT", "DISCORD_TOKEN"]
    assert all("\n" not in line for line in lines)


def test_a_missing_token_names_the_portal_and_the_demo():
    (line,) = problems()

    assert "DISCORD_TOKEN is not set" in line
    assert "make demo" in line


def test_a_token_of_the_wrong_shape_is_refused_without_repeating_it():
    (line,) = problems(DISCORD_TOKEN="my-secret-client-id")

    assert "does not look like a bot token" in line
    assert "my-secret" not in line


def test_wrong_values_are_never_repeated():
    lines = problems(DISCORD_TOKEN=TOKEN, HTTP_PORT="hunter2")

    assert "hunter2" not in " ".join(lines)


def test_the_demo_needs_no_token():
    assert load(need_token=False).discord_token is None


def test_a_dotenv_file_is_read_and_the_environment_wins(tmp_path):
    (tmp_path / ".env").write_text(f"DISCORD_TOKEN={TOKEN}\nLOG_LEVEL=debug\nHTTP_PORT=9000\nUNKNOWN=1\n")

    settings = load(HTTP_PORT="9001")

    assert (settings.log_level, settings.http_port) == ("DEBUG", 9001)


def test_an_unreadable_dotenv_is_one_line(tmp_path):
    (tmp_path / ".env").write_bytes(b"DISCORD_TOKEN=\xff\xfe\x00")

    assert any(".env cannot be read" in line for line in problems())


def test_empty_values_mean_the_default():
    assert load(need_token=False, MODEL="", HTTP_PORT="", DATA_DIR="").model is None


def test_the_token_does_not_show_in_the_representation():
    assert TOKEN not in repr(load(DISCORD_TOKEN=TOKEN))


def test_reading_settings_leaves_the_environment_alone(tmp_path):
    (tmp_path / ".env").write_text("LOG_FORMAT=json\n")

    load(need_token=False)

    assert "LOG_FORMAT" not in os.environ


def test_servers_have_the_weights_that_the_operator_gave():
    settings = load(need_token=False, SERVER_WEIGHTS="123456789012345678=2, 876543210987654321 = 0.5,")
    assert settings.server_weights == {123456789012345678: 2.0, 876543210987654321: 0.5}


@pytest.mark.parametrize("given", ["5", "5=", "5=0", "5=11", "5=nan", "x=1", "0=1", "-5=1", "5=1,5=2"])
def test_a_wrong_weight_of_a_server_is_one_line(given):
    lines = {line for line in problems(SERVER_WEIGHTS=given) if line.startswith("SERVER_WEIGHTS")}
    assert len(lines) == 1
    assert "must be ids of servers with weights from 0.1 to 10, such as" in lines.pop()


def test_users_and_servers_are_lists_of_ids():
    settings = load(need_token=False, BLOCKED_USERS="123456789012345678, 5,", SERVED_SERVERS=" 7 ")

    assert (settings.blocked_users, settings.served_servers) == ({123456789012345678, 5}, {7})
    assert load(need_token=False, SERVED_SERVERS=" ").served_servers == frozenset()


@pytest.mark.parametrize("given", ["anna", "5;6", "0", "-5", "5.5", "<@5>"])
@pytest.mark.parametrize(("name", "of"), [("BLOCKED_USERS", "users"), ("SERVED_SERVERS", "servers")])
def test_a_wrong_list_of_ids_is_one_line(name, of, given):
    lines = {line for line in problems(**{name: given}) if line.startswith(name)}
    assert len(lines) == 1
    assert f"must be ids of {of} with commas between" in lines.pop()


@pytest.mark.parametrize("given", ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost", "pastel.example.org"])
def test_an_address_or_a_name_is_where_figures_are_shown(given):
    assert load(need_token=False, HTTP_HOST=given).http_host == given


@pytest.mark.parametrize(
    ("name", "given"),
    [("HTTP_HOST", "http://x"), ("HTTP_HOST", "a b"), ("MIN_FREE_MB", "-1"), ("PICTURE_DAYS", "3651"), ("PROMPT_DAYS", "x")],
)
def test_a_wrong_value_is_told_with_what_is_right(name, given):
    (line,) = [line for line in problems(**{name: given}) if line.startswith(name)]
    assert re.match(rf"{name} must be (an address|a whole number)", line)
