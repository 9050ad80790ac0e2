"""Paths as people write them where no shell reads them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from bot.paths import as_in_a_shell

OWN = pwd.getpwuid(os.getuid())  # a user whose home folder this machine knows, whatever HOME says


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~", "/home/ann"),
        ("~/pastel", "/home/ann/pastel"),
        ("$HOME/pastel", "/home/ann/pastel"),
        ("${HOME}/pastel", "/home/ann/pastel"),
        ("$HOME", "/home/ann"),
        (f"~{OWN.pw_name}/pastel", f"{OWN.pw_dir}/pastel"),
        ("data", "data"),
        ("/mnt/a~b/$5", "/mnt/a~b/$5"),
        ("/mnt/~", "/mnt/~"),
    ],
)
def test_a_home_folder_is_found_as_in_a_shell(written: str, meant: str) -> None:
    assert as_in_a_shell(written) == Path(meant)


@pytest.mark.parametrize("written", ["$DATA/pastel", "/mnt/$USER", "${DATA}/x", "$HOMES/x", "~nobody-of-that-name/pastel"])
def test_what_nobody_fills_in_is_refused_and_makes_no_folder_of_that_name(written: str) -> None:
    with pytest.raises(ValueError, match="Write the path itself"):
        as_in_a_shell(written)


@pytest.mark.parametrize("name", ["pa$tel", "$DATA", "${DATA}"])
def test_a_folder_whose_own_name_is_like_that_and_that_is_there_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    assert as_in_a_shell(f"{tmp_path}/{name}/data") == tmp_path / name / "data"
    with pytest.raises(ValueError, match="Write the path itself"):
        as_in_a_shell(f"{tmp_path}/{name}/$USER")
