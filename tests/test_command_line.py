"""The command line: `draw` and `doctor` for real, and how faults are told."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from bot.__main__ import main
from bot.errors import SettingsError
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "1girl, green hair, beanie, night"


@pytest.fixture(autouse=True)
def fresh_folder(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODEL", "tiny-random")
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)


def fault(capsys) -> str:
    """The one line on stderr."""
    printed = capsys.readouterr().err
    lines = [line for line in printed.splitlines() if line.startswith("pastel: ")]
    assert len(lines) == 1, printed
    assert "Traceback" not in printed
    return lines[0]


def test_draw_writes_the_picture_with_its_parameters_and_shows_its_progress(tmp_path, capsys):
    code = main(["draw", PROMPT, "--out", str(tmp_path / "a.png"), "--seed", "7", "--steps", "3"])

    with Image.open(tmp_path / "a.png") as picture:
        picture.load()
    assert code == 0
    assert picture.text["parameters"].startswith(PROMPT)
    assert "Steps: 3" in picture.text["parameters"]
    assert "Seed: 7" in picture.text["parameters"]
    printed = capsys.readouterr().err
    assert "Loading" in printed
    assert re.search(r"Drawing: 100%.* 3/3", printed)


@pytest.mark.parametrize(("set_by_operator", "in_force"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_for_one_another_sleep_unless_the_operator_wants_otherwise(monkeypatch, set_by_operator, in_force):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if set_by_operator:
        monkeypatch.setenv("OMP_WAIT_POLICY", set_by_operator)

    main(["draw", "", "--out", "a.png"])

    assert os.environ["OMP_WAIT_POLICY"] == in_force


def test_the_same_seed_draws_the_same_pixels_and_another_seed_does_not(tmp_path):
    pixels = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert main(["draw", PROMPT, "--out", str(tmp_path / name), "--seed", seed, "--steps", "2"]) == 0
        with Image.open(tmp_path / name) as picture:
            pixels.append(picture.tobytes())

    assert pixels[0] == pixels[1] != pixels[2]


def test_a_quality_draws_with_the_figures_of_the_model(monkeypatch, tmp_path):
    monkeypatch.setenv("MODEL", "mini")

    assert main(["draw", PROMPT, "--out", str(tmp_path / "a.png"), "--quality", "draft"]) == 0

    with Image.open(tmp_path / "a.png") as picture:
        assert "Steps: 8," in picture.text["parameters"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([" \n"], "Your prompt is empty"),
        (["x" * 2001], "2,001 characters, and I can read up to 2,000"),
        ([PROMPT, "--steps", "61"], "`steps` must be between 1 and 60; you gave 61"),
        ([PROMPT, "--size", "huge"], "I don't know that size"),
        ([PROMPT, "--style", "cubism"], "I don't know that style"),
        ([PROMPT, "--quality", "best"], "You can use `standard`"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_exit_code_2(arguments, sentence, tmp_path, capsys):
    code = main(["draw", *arguments, "--out", str(tmp_path / "a.png")])

    assert code == 2
    assert sentence in fault(capsys)
    assert not (tmp_path / "a.png").exists()


def test_an_unknown_model_lists_the_known_ones(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MODEL", "nope")

    assert main(["draw", PROMPT, "--out", str(tmp_path / "a.png")]) == 66
    assert "animagine-xl" in fault(capsys)


def test_a_missing_out_folder_is_told_before_anything_is_drawn(tmp_path, capsys):
    assert main(["draw", PROMPT, "--out", str(tmp_path / "none" / "a.png")]) == 73
    assert "does not exist" in fault(capsys)


def test_a_folder_as_out_is_told_before_anything_is_drawn(tmp_path, capsys):
    assert main(["draw", PROMPT, "--out", str(tmp_path)]) == 73
    assert "is a folder" in fault(capsys)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.webp"])
def test_a_name_of_another_format_is_refused_because_the_picture_is_a_png(name, tmp_path, capsys):
    assert main(["draw", PROMPT, "--out", str(tmp_path / name)]) == 2
    assert "a.png" in fault(capsys)
    assert not (tmp_path / name).exists()


def test_the_help_of_draw_says_what_every_option_means(capsys):
    with pytest.raises(SystemExit):
        main(["draw", "--help"])

    options = capsys.readouterr().out.split("positional arguments:")[1]
    entries = re.findall(r"^  (?=\S)(.*(?:\n {8,}\S.*)*)", options, re.MULTILINE)
    assert len(entries) == 10
    assert [entry for entry in entries if not re.search(r"\S\s{2,}\S", entry)] == []


def test_doctor_has_a_line_for_everything_and_the_exit_code_of_the_first_fault(capsys):
    code = main(["doctor"])

    printed = capsys.readouterr().out
    assert code == 78
    assert re.findall(r"^  (ok  |warn|FAIL)  ([a-z ]+):", printed, re.MULTILINE) == [
        ("FAIL", "token"),
        ("ok  ", "data folder"),
        ("ok  ", "database"),
        ("ok  ", "device"),
        ("ok  ", "model"),
        ("ok  ", "other models"),
        ("ok  ", "styles"),
        ("ok  ", "picture classifier"),
        ("ok  ", "pins"),
        ("ok  ", "credits"),
    ]


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A data folder in one that this user may not search: the tests may run as root, whom nothing is closed to."""
    folder, stat = tmp_path / "closed", os.stat

    def guarded(path, *rest, **more):
        if isinstance(path, str | os.PathLike) and str(path).startswith(str(folder)):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, *rest, **more)

    monkeypatch.setattr(os, "stat", guarded)
    monkeypatch.setenv("DATA_DIR", str(folder / "data"))


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(
    "command", [["draw", PROMPT, "--out", "a.png"], ["backup", "a.db"], ["restore", "a.db"], ["bench", "--quick"]]
)
def test_a_folder_that_may_not_be_searched_is_one_line_that_names_it(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(command) == 73
    assert "closed/data" in fault(capsys)


@pytest.mark.usefixtures("closed")
def test_doctor_looks_at_what_it_can_where_the_folder_may_not_be_searched(capsys):
    assert main(["doctor"]) == 78

    printed = capsys.readouterr().out
    lines = re.findall(r"^  (ok  |warn|FAIL)  ([a-z ]+):", printed, re.MULTILINE)
    assert lines == [("FAIL", "token"), ("FAIL", "data folder"), ("ok  ", "device"), ("ok  ", "credits")]
    assert "may not be looked into by this user (Permission denied)" in printed


def test_doctor_warns_of_a_limit_that_servers_lift_and_of_no_other(monkeypatch, capsys):
    def line() -> str:
        main(["doctor"])
        return next(line for line in capsys.readouterr().out.splitlines() if " credits: " in line)

    monkeypatch.setenv("DAILY_CREDITS", "5")
    assert line().startswith("  warn  credits: DAILY_CREDITS=5 is only a default")
    monkeypatch.setenv("USER_DAILY_CREDITS", "50")
    assert line() == "  ok    credits: a member may use 50 a day over all servers, whatever a server says"


def test_doctor_says_that_nothing_would_be_drawn_below_the_mark(monkeypatch, capsys):
    monkeypatch.setenv("MIN_FREE_MB", str(2**40))

    main(["doctor"])

    assert "below MIN_FREE_MB=1099511627776 nothing is drawn" in capsys.readouterr().out


def test_doctor_reports_a_damaged_database(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pastel.db").write_bytes(b"this is no database" * 100)

    main(["doctor"])

    assert re.search(r"FAIL  database: .*pastel\.db", capsys.readouterr().out)


def test_doctor_reports_wrong_settings(monkeypatch, capsys):
    monkeypatch.setenv("HTTP_PORT", "x")

    assert main(["doctor"]) == 78
    assert "FAIL  settings: HTTP_PORT" in capsys.readouterr().out


def test_run_without_a_token_is_one_line(capsys):
    assert main(["run"]) == 78
    assert "DISCORD_TOKEN is not set" in fault(capsys)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_a_full_disk_behind_the_log_changes_no_exit_code(tmp_path):
    with open("/dev/full", "w") as full:  # a device
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "bot", "run"],
            cwd=tmp_path, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}, stderr=full, check=False,
        )  # fmt: skip

    assert ended.returncode == SettingsError.exit_code
