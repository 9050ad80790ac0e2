"""Settings: every fault at once, each with its cure, and no secret repeated."""

import os
import re

import pytest

from bot.errors import SettingsError
from bot.settings import EXPECTED, Settings
from tests.docker.image import env_file

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


SHAPES = {
    "as the example": b"HTTP_PORT=8080\nDATA_DIR=/mnt/a disk\n",
    "CRLF": b"HTTP_PORT=8080\r\nDATA_DIR=/mnt/a disk\r\n",
    "a BOM": b"\xef\xbb\xbfHTTP_PORT=8080\nDATA_DIR=/mnt/a disk\n",
    "a BOM and CRLF": b"\xef\xbb\xbf# settings\r\nHTTP_PORT=8080\r\n\r\nDATA_DIR=/mnt/a disk\r\n",
    "quotes": b"HTTP_PORT=\"8080\"\nDATA_DIR='/mnt/a disk'\n",
    "comments": b"HTTP_PORT=8080 # for the health check\nDATA_DIR='/mnt/a disk' # large\n",
    "comments behind quotes": b'HTTP_PORT="8080"\t# for the health check\nDATA_DIR="/mnt/a disk" # large\n',
    "spaces behind values": b"HTTP_PORT=8080  \nDATA_DIR=/mnt/a disk \n",
    "indented": b"  HTTP_PORT=8080\n  DATA_DIR=/mnt/a disk\n",
    "twice": b"HTTP_PORT=1\nDATA_DIR=/mnt/a disk\nHTTP_PORT=8080\n",
    "empty values": b'HTTP_PORT=8080\nDATA_DIR=/mnt/a disk\nMODEL=\nLOG_LEVEL=""\nMAX_BATCH= # measured\nDAILY_CREDITS=  \n',
}


def read_by_make_run(tmp_path, text: bytes) -> Settings:
    (tmp_path / ".env").write_bytes(text)
    try:
        return load(need_token=False)
    finally:
        (tmp_path / ".env").unlink()


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_an_env_file_means_the_same_to_make_run_and_to_docker(tmp_path, text):
    ours, dockers = read_by_make_run(tmp_path, text), load(need_token=False, **env_file(text))

    assert ours == dockers
    assert (ours.http_port, str(ours.data_dir), ours.model, ours.max_batch) == (8080, "/mnt/a disk", None, 0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('HTTP_PORT="8080', "HTTP_PORT has quotes that do not enclose all of it"),
        ("DATA_DIR='/mnt/a' disk", "DATA_DIR has quotes that do not enclose all of it"),
        ("DATA_DIR=/mnt/disk #1", "DATA_DIR has a # behind a space"),
        ("DATA_DIR=${HOME}/pastel", "DATA_DIR has a ${...} in it, which Docker does not fill in"),
        ("LOG_LEVEL='INFO", "LOG_LEVEL has quotes that do not enclose all of it"),
        ("SERVER_WEIGHTS='1=2", "SERVER_WEIGHTS has quotes that do not enclose all of it"),
        (f'DISCORD_TOKEN="{TOKEN}', "DISCORD_TOKEN has quotes that do not enclose all of it"),
    ],
)
def test_what_docker_hands_over_and_nobody_can_have_meant_is_one_sentence(value, said):
    lines = problems(**{"DISCORD_TOKEN": TOKEN, **env_file(value.encode())})

    assert len(lines) == 1
    assert lines[0].startswith(said)
    assert TOKEN not in lines[0]


def test_a_path_with_a_hash_in_quotes_is_taken_as_it_is():
    assert str(load(need_token=False, DATA_DIR='"/mnt/disk #1"').data_dir) == "/mnt/disk #1"
    assert str(load(need_token=False, DATA_DIR="/mnt/disk#1").data_dir) == "/mnt/disk#1"


@pytest.mark.parametrize("value", ["~/pastel", "$HOME/pastel"])
def test_a_home_folder_is_found_in_the_file_and_in_what_docker_hands_over(tmp_path, monkeypatch, value):
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    (tmp_path / ".env").write_text(f"DATA_DIR={value}\n")

    assert load(need_token=False).data_dir == tmp_path / "ann" / "pastel"
    assert load(need_token=False, DATA_DIR=value).data_dir == tmp_path / "ann" / "pastel"


def test_a_variable_that_nobody_fills_in_is_refused_beside_all_other_faults():
    lines = problems(DATA_DIR="/mnt/$DISK/pastel", HTTP_PORT="70000")

    assert [line.split()[0] for line in lines] == ["DATA_DIR", "HTTP_PORT", "DISCORD_TOKEN"]
    assert lines[0] == "DATA_DIR has a $NAME in it, which nothing fills in. Write the path itself."


def test_the_precision_is_auto_or_exact():
    assert [load(need_token=False, PRECISION=text).precision for text in ("", "Exact ", "auto")] == ["auto", "exact", "auto"]
    [line, _] = problems(PRECISION="bfloat16")
    assert line == "PRECISION must be auto or exact. Correct it in .env or the environment."


def test_graphs_are_off_unless_somebody_wants_them():
    assert [load(need_token=False, GRAPHS=text).graphs for text in ("", " Auto", "on")] == ["off", "auto", "on"]
    [line, _] = problems(GRAPHS="true")
    assert line == "GRAPHS must be off, auto or on. Correct it in .env or the environment."


def test_an_empty_variable_does_not_hide_what_the_file_says(tmp_path):
    (tmp_path / ".env").write_text("HTTP_PORT=8080\nLOG_FORMAT=json\n")

    settings = load(need_token=False, HTTP_PORT="", LOG_FORMAT="  ")

    assert (settings.http_port, settings.log_format) == (8080, "json")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('DISCORD_TOKEN="abc\n', 1),
        ("# a comment\n\nDISCORD_TOKEN: abc\n", 3),
        ("LOG_LEVEL=INFO\nDISCORD_TOKEN='a' b\nHTTP_PORT=1\n", 2),
    ],
)
def test_a_line_of_the_file_that_is_no_setting_is_one_sentence_and_nothing_else_is_said(tmp_path, capfd, text, number):
    (tmp_path / ".env").write_text(text)

    assert problems() == (f"Line {number} of .env is no setting. Write NAME=value, with quotes at both ends or none.",)
    assert capfd.readouterr().err == ""


def test_a_file_in_utf_16_is_one_line(tmp_path):
    (tmp_path / ".env").write_bytes("HTTP_PORT=8080\r\n".encode("utf-16"))

    assert [line for line in problems(DISCORD_TOKEN=TOKEN) if "UTF-8" in line]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"COMPILE": "true", "DEVICE": "cpu"}, "COMPILE=true needs an NVIDIA GPU, and DEVICE=cpu draws without one."),
        ({"COMPILE": "true", "DEVICE": "mps"}, "COMPILE=true needs an NVIDIA GPU, and DEVICE=mps draws without one."),
        ({"GRAPHS": "on", "DEVICE": "cpu"}, "GRAPHS=on needs an NVIDIA GPU, and DEVICE=cpu draws without one."),
        ({"GRAPHS": "on", "COMPILE": "true"}, "COMPILE=true makes CUDA graphs of its own, and GRAPHS=on others."),
        ({"DAILY_CREDITS": "20", "USER_DAILY_CREDITS": "10"}, "DAILY_CREDITS, of one server, is more than USER_DAILY_CREDITS"),
    ],
)
def test_settings_that_contradict_each_other_are_one_sentence(given, said):
    (line,) = problems(DISCORD_TOKEN=TOKEN, **given)

    assert line.startswith(said)


@pytest.mark.parametrize(
    "given",
    [
        {"COMPILE": "true"},
        {"COMPILE": "true", "GRAPHS": "auto"},
        {"GRAPHS": "auto", "DEVICE": "cpu"},
        {"COMPILE": "true", "DEVICE": "cuda:1"},
        {"DAILY_CREDITS": "20"},
        {"USER_DAILY_CREDITS": "10"},
        {"DAILY_CREDITS": "10", "USER_DAILY_CREDITS": "10"},
        {"REPRODUCIBLE": "true", "MAX_BATCH": "8"},
    ],
)
def test_settings_that_only_look_alike_go_together(given):
    assert load(DISCORD_TOKEN=TOKEN, **given)


def test_what_is_wrong_with_the_token_is_told_whatever_other_setting_is_wrong():
    for name in sorted(EXPECTED):
        lines = problems(DISCORD_TOKEN="my-secret-client-id", **{name.upper(): "\u2603 ("})

        assert [line for line in lines if line.startswith("DISCORD_TOKEN does not look like a bot token")], name


def test_the_address_of_the_source_is_a_link_that_discord_can_show():
    assert load(need_token=False).source_url is None
    assert load(need_token=False, SOURCE_URL="https://example.org/a#b").source_url == "https://example.org/a#b"
    for wrong in (
        "example.org",
        "https://example.org/a b",
        "https://example.org/)",
        "javascript:alert(1)",
        "https://x/" + "x" * 300,
    ):
        (line,) = problems(DISCORD_TOKEN=TOKEN, SOURCE_URL=wrong)
        assert line.startswith("SOURCE_URL must be an address that begins with https://")


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


def test_what_the_file_says_to_libraries_is_handed_over_and_the_environment_wins(tmp_path):
    """The model hub's library and whatever speaks through a proxy look into the environment alone."""
    lines = ["HTTPS_PROXY=http://file:1", "NO_PROXY='localhost' # us", "HF_TOKEN=", "HF_HOME=/models", "PATH=/nowhere"]
    (tmp_path / ".env").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "HF_TOKEN", "HF_HOME"):
            patch.setenv(name, "so that it is put back")
            patch.delenv(name)
        patch.setenv("https_proxy", "http://environment:2")
        before = os.environ["PATH"]
        load(DISCORD_TOKEN=TOKEN)

        assert "HTTPS_PROXY" not in os.environ
        assert (os.environ["NO_PROXY"], os.environ["HF_HOME"]) == ("localhost", "/models")
        assert "HF_TOKEN" not in os.environ
        assert os.environ["PATH"] == before
