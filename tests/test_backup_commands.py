"""`backup` and `restore` as commands: what they print, and with which code they end."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot import doctor
from bot.__main__ import main
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.lock import DataFolderLock
from tests.empty_database import begin_at
from tests.storage.samples import NOW, Store, images, listing


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
async def filled(data: Path) -> Path:
    """A data folder with a picture and a job that waits."""
    async with Database.open(begin_at(data / "pastel.db")) as database:
        store = Store.over(database)
        job = await store.succeeded(1)
        for image in images(job):
            (data / "images" / image.key).parent.mkdir(parents=True)
            (data / "images" / image.key).write_bytes(b"picture")
        await store.outbox.delivered(job.id, channel_id=1, message_id=2, now=NOW)
        await store.add(2)
    return data


def fault(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr, and nothing on stdout."""
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("pastel: ")
    return printed.err


def pictures(folder: Path) -> list[Path]:
    return list(folder.rglob("*.png"))


def test_a_backup_with_pictures_is_put_back_with_them(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "night.db", "--pictures"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"night\.db: 0\.\d MiB, sound, and the ledger adds up\.", printed)
    assert "night.db.pictures: pictures 1," in printed
    assert listing(Path()) == ["data", "night.db", "night.db.pictures"]
    pictures(filled / "images")[0].unlink()

    assert main(["restore", "night.db"]) == 0

    printed = capsys.readouterr().out
    for told in (
        "night.db is in place",
        "before-restore-",
        "night.db.pictures: 1.",
        "cancelled at no cost: 1.",
        "Now start the bot.",
    ):
        assert told in printed
    assert len(pictures(filled / "images")) == 1
    with closing(sqlite3.connect(filled / "pastel.db")) as connection:
        assert connection.execute("SELECT status FROM jobs ORDER BY seq").fetchall() == [("delivered",), ("cancelled",)]


def test_the_next_backup_shares_its_pictures_and_tells_of_those_that_are_missing(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", "first.db", "--pictures"]) == 0
    assert main(["backup", "second.db", "--pictures"]) == 0
    assert "shared with an earlier backup 1." in capsys.readouterr().out
    pictures(filled / "images")[0].unlink()

    assert main(["backup", "third.db", "--pictures"]) == 0

    assert "or lost before: 1." in capsys.readouterr().out


def test_a_backup_is_made_while_the_bot_holds_the_folder_and_a_restore_is_not(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DataFolderLock(filled):
        assert main(["backup", "night.db"]) == 0
        capsys.readouterr()
        before = (filled / "pastel.db").read_bytes()

        assert main(["restore", "night.db"]) == 73

    assert "already uses" in fault(capsys)
    assert (filled / "pastel.db").read_bytes() == before


@pytest.mark.parametrize(
    ("argv", "code", "sentence"),
    [
        (["backup", "data/pastel.db"], 73, "is there already"),
        (["backup", "none/night.db"], 73, "does not exist"),
        (["backup", "night.db", "--pictures"], 73, "night.db.pictures is there already"),
        (["restore", "night.db"], 73, "There is no file"),
        (["restore", "data/pastel.db"], 73, "is the database itself"),
        (["restore", "diary.txt"], 65, "is no database"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    filled: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: int, sentence: str
) -> None:
    Path("night.db.pictures").mkdir()
    Path("diary.txt").write_text("Dear diary")
    before = (filled / "pastel.db").read_bytes()

    assert main(argv) == code

    assert sentence in fault(capsys)
    assert (filled / "pastel.db").read_bytes() == before
    assert not Path("night.db").exists()


def test_a_restore_that_was_cut_off_wants_a_start_first(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (filled / "pastel.db").rename(filled / "pastel.db.restore-20261130-120000")

    assert main(["backup", "night.db"]) == 73
    assert "was cut off" in fault(capsys)

    finding = asyncio.run(doctor._database(Settings.load(need_token=False)))
    assert "the next start finishes it" in finding.text


def test_pictures_that_do_not_fit_leave_no_backup(
    filled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)

    assert main(["backup", "night.db", "--pictures"]) == 73

    assert "is full" in fault(capsys)
    assert listing(Path()) == ["data"]
