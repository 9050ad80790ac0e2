"""Copies the picture files that belong to a copy of the database, beside that copy."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from bot.errors import DatabaseError
from bot.storage.backup import connect_backup, told
from bot.storage.images import is_key
from bot.storage.vacuum import sync

SUFFIX = ".pictures"
PORTION = 500

# Every table with keys of files has its line here, as in bot.storage.jobs.
KEYS = """--sql
SELECT key FROM images WHERE key > :after
UNION
SELECT json_extract(request, '$.init_image.key') AS key FROM jobs
WHERE json_extract(request, '$.init_image.key') > :after AND deleted_at IS NULL
ORDER BY key
LIMIT :limit
"""


@dataclass(slots=True)
class Copied:
    """Counts of the files that a copy of the database knows: written, shared (without writing), and missing."""

    written: int = 0
    shared: int = 0
    missing: int = 0

    @property
    def found(self) -> int:
        return self.written + self.shared


def folder_of(file: Path) -> Path:
    """Returns the folder of the pictures of the backup `file`."""
    return file.with_name(f"{file.name}{SUFFIX}")


def earlier_folders(file: Path) -> tuple[Path, ...]:
    """Returns the picture folders of other backups beside `file`, newest first."""
    folders = [folder for folder in file.parent.glob(f"*{SUFFIX}") if folder.is_dir() and folder != folder_of(file)]
    return tuple(sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True))


def copy_pictures(database: Path, source: Path, target: Path, *, earlier: Sequence[Path] = ()) -> Copied:
    """Copies every file that `database` knows from the folder `source` to `target`.

    A file in an `earlier` folder of the same disk is shared with it (a hard link) and takes no room; files never change
    under their names. Raises FolderError where `target` cannot be written, DatabaseError where `database` cannot be read.
    """
    copied, folders = Copied(), set[Path]()
    try:
        for key in _keys(database):
            place = target / key
            if place.exists():
                copied.shared += 1
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            folders.add(place.parent)
            if _share(key, place, source, earlier):
                copied.shared += 1
            elif _copy(source / key, place):
                copied.written += 1
            else:
                copied.missing += 1
        for folder in folders:
            sync(folder)
    except OSError as error:
        raise told(target, error) from error
    return copied


def _keys(database: Path) -> Iterator[str]:
    """Yields keys, read a page at a time. Whatever a backup contains, only names of the image store are yielded."""
    try:
        with closing(connect_backup(database)) as connection:
            after = ""
            while page := connection.execute(KEYS, {"after": after, "limit": PORTION}).fetchall():
                yield from (row["key"] for row in page if is_key(row["key"]))
                after = page[-1]["key"]
    except sqlite3.Error as error:
        raise DatabaseError(f"The pictures that {database} knows cannot be read ({error}).") from error


def _share(key: str, place: Path, source: Path, earlier: Sequence[Path]) -> bool:
    """Links the file from an earlier folder; returns False where none has it whole, on a disk that can link it."""
    for folder in earlier:
        with suppress(OSError):
            if (folder / key).stat().st_size == (source / key).stat().st_size:
                os.link(folder / key, place)
                return True
    return False


def _copy(file: Path, place: Path) -> bool:
    """Copies a file whole or not at all; returns False where it is missing, perhaps deleted just now."""
    partial = place.with_name(f"{place.name}.partial")
    try:
        with file.open("rb") as reading:
            with partial.open("wb") as writing:
                shutil.copyfileobj(reading, writing, 1024 * 1024)
                writing.flush()
                os.fsync(writing.fileno())
            shutil.copystat(file, partial)
        partial.rename(place)
    except FileNotFoundError:
        return False
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    return True
