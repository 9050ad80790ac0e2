"""Checks that a log belongs to the database file beside it.

SQLite replays a log over whatever file is there (sqlite.org/howtocorrupt.html, 1.4): neither names the other. So each
transaction writes a mark to a separate row, with the previous mark. A log fits a file whose mark is the one before the log's
first, or, where a checkpoint has brought part of the log into the file already, one of the log's.
"""

from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bot.storage.faults import foreign_log

TABLE = "log_mark"
NO_MARK = "0" * 16

ADVANCE = "UPDATE log_mark SET mark = 'pastel-log:' || substr(mark, -16) || ':' || lower(hex(randomblob(8)))"
BEGIN_ANEW = f"UPDATE log_mark SET mark = 'pastel-log:{NO_MARK}:' || lower(hex(randomblob(8)))"  # noqa: S608

# Of the log (sqlite.org/fileformat2.html, 4.1 and 4.2).
HEADER, FRAME_HEADER = struct.Struct(">4I8s8x"), struct.Struct(">II8s8x")
MAGIC = {0x377F0682, 0x377F0683}

# The only cell of a table's leaf, at its end (1.6 and 2.1 there), so that no text of a member's is taken for it.
_LEAF, _CELL = 0x0D, b"\x2f\x01\x03\x00\x65"  # 47 bytes, row 1, three bytes of header: a null, and a text of 44
_MARK = re.compile(_CELL + rb"pastel-log:([0-9a-f]{16}):([0-9a-f]{16})")
_MARK_BYTES = len(_CELL) + 44
BUSY_SECONDS = 10.0  # a backup tool may lock the file for a moment; our own process has one writer
_TRIES = 5  # at reading file and log in one state, while somebody writes them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    page: bytes
    ends_transaction: bool


def log_of(path: Path) -> Path:
    """Returns the path of the log that SQLite keeps for `path`."""
    return path.with_name(f"{path.name}-wal")


def files_of(path: Path) -> tuple[Path, ...]:
    """Returns the file and all that SQLite may put beside it, which belong together."""
    return path, *(path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-shm", "-journal"))


def advance(connection: sqlite3.Connection) -> None:
    """Writes the next mark, as the last statement of a transaction that changed something."""
    connection.execute(ADVANCE)


def has_marks(connection: sqlite3.Connection) -> bool:
    """Returns whether the schema has marks."""
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (TABLE,)).fetchone() is not None


def begin_anew(connection: sqlite3.Connection) -> None:
    """Writes a mark that no log knows: the pages of this file are in other places than in its source."""
    connection.execute(BEGIN_ANEW)


def check_log(path: Path) -> None:
    """Raises DatabaseError when the log beside `path` was not written over it. Changes nothing; somebody may write both."""
    for _ in range(_TRIES):
        before = _state(path)
        if _fits(path, before):
            return
        if _state(path) == before:
            raise foreign_log(path)


def has_log(path: Path) -> bool:
    """Returns whether the log has anything that SQLite would replay."""
    return any(frame.ends_transaction for frame in _frames(log_of(path)))


@contextmanager
def unfolded(path: Path) -> Generator[None]:
    """Within the context, closing a connection does not fold the log into the file, so damage is kept as it is."""
    if not has_log(path):
        yield
        return
    # SQLite folds the log when the last connection goes. A read-only one that has read cannot.
    with closing(connect_with_log(path)) as reader:
        with suppress(sqlite3.Error, UnicodeDecodeError):
            reader.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        yield


def connect_alone(path: Path) -> sqlite3.Connection:
    """Opens the file for reading as if there were no log, without making a file beside it."""
    return _connect(path, "mode=ro&immutable=1")


def connect_with_log(path: Path) -> sqlite3.Connection:
    """Opens the file with its log for reading. May make a `-shm` beside it, and folds nothing."""
    return _connect(path, "mode=ro")


def is_sound_alone(path: Path) -> bool:
    """Returns whether the file is sound without its log."""
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(connect_alone(path)) as connection:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    return False


def _fits(path: Path, state: tuple[str | None, bytes]) -> bool:
    in_file, marks = state[0], _marks(log_of(path))
    if marks is None:
        return True
    if not path.exists() or path.stat().st_size == 0:
        return False  # SQLite would remove the log
    if not marks or in_file is None:
        return True  # of an earlier Pastel, or of a file that cannot be read: the check of all pages decides
    first_before = marks[0][0]
    return in_file == first_before or in_file in {mark for _, mark in marks}


def _state(path: Path) -> tuple[str | None, bytes]:
    log = log_of(path)
    return _mark_of(path), _beginning(log)


def _beginning(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            return file.read(HEADER.size)
    except FileNotFoundError:
        return b""


def _mark_of(path: Path) -> str | None:
    """Returns the mark in the file itself; NO_MARK where it has none yet, None where it cannot be read."""
    try:
        with closing(connect_alone(path)) as connection:
            row = connection.execute("SELECT mark FROM log_mark").fetchone()
    except sqlite3.OperationalError as error:
        return NO_MARK if "no such table" in str(error) else None
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    return None if row is None else str(row[0])[-16:]


def _marks(log: Path) -> list[tuple[str, str]] | None:
    """Returns each mark of the log's whole transactions, with the previous one; None where there is nothing to replay."""
    marks: list[tuple[str, str]] = []
    waiting: list[tuple[str, str]] = []
    has_any = False
    for frame in _frames(log):
        if (mark := _mark_in(frame.page)) is not None:
            waiting.append(mark)
        if frame.ends_transaction:
            has_any = True
            marks += waiting
            waiting.clear()
    return marks if has_any else None


def _mark_in(page: bytes) -> tuple[str, str] | None:
    begins_at = len(page) - _MARK_BYTES
    if page[0] != _LEAF or int.from_bytes(page[3:5]) != 1 or int.from_bytes(page[8:10]) != begins_at:
        return None
    found = _MARK.fullmatch(page, begins_at)
    return None if found is None else (found[1].decode(), found[2].decode())


def _frames(log: Path) -> Iterator[_Frame]:
    """Yields the frames of the log's present round. SQLite checks checksums: it replays less than this, never more."""
    try:
        file = log.open("rb")
    except FileNotFoundError:
        return
    with file:
        beginning = file.read(HEADER.size)
        if len(beginning) < HEADER.size:
            return
        magic, _, page_size, _, salts = HEADER.unpack(beginning)
        if magic not in MAGIC or not 512 <= page_size <= 65536:
            return
        while len(head := file.read(FRAME_HEADER.size)) == FRAME_HEADER.size:
            _, pages_after, of_round = FRAME_HEADER.unpack(head)
            page = file.read(page_size)
            if of_round != salts or len(page) < page_size:
                return
            yield _Frame(page=page, ends_transaction=pages_after > 0)


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection
