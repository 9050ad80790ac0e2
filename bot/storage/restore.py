"""Puts a backup in the place of the database: all of it or nothing, whenever the process is killed.

The copy is written beside the database under another name. A rename commits the restore, once the copy is whole and on the
disk; from then on, whichever process opens the database finishes it: moves the old files, which belong together, aside and
gives the copy their name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from bot.errors import FolderError
from bot.storage.backup import UNCHANGED, check_restorable, connect_backup, told, write_marked
from bot.storage.log_marks import files_of
from bot.storage.vacuum import sync

ASIDE = "before-restore-"  # one folder a restore, beside the database
_DECIDED = re.compile(r"\.restore-(\d{8}-\d{6}(?:-\d+)?)")


def put_in_place(file: Path, path: Path, bring_along: Callable[[], None], *, now: datetime) -> Path | None:
    """Puts a copy of the backup `file` in the place of the database at `path`, which nobody has open.

    `bring_along` is called when the copy is whole, before the commit. Returns the folder of the old files, None without
    any. Raises FolderError and DatabaseError; nothing is changed then.
    """
    if any(old.exists() and file.exists() and old.samefile(file) for old in files_of(path)):
        raise FolderError(f"{file} is the database itself. Give a backup. {UNCHANGED}")
    check_restorable(file)
    _complete(path)  # what an interrupted restore left
    decided = _free_name(path, now)
    partial = decided.with_name(f"{decided.name}.partial")
    try:
        with closing(connect_backup(file)) as source:
            write_marked(source, partial, now=now, source_path=file)
        bring_along()
        partial.rename(decided)
        sync(path.parent)
    except OSError as error:
        raise told(path, error) from error
    finally:
        with suppress(OSError):
            for left in files_of(partial):
                left.unlink(missing_ok=True)
    return _complete(path)


def complete(path: Path) -> Path | None:
    """Finishes a committed restore, removes others. Returns the folder of the old files; None where nothing was moved.

    Raises OSError; another call then continues.
    """
    aside: Path | None = None
    for file in sorted(path.parent.glob(f"{path.name}.restore-*")):
        found = _DECIDED.fullmatch(file.name.removeprefix(path.name))
        if found is None:
            if file.name.endswith((".partial", ".partial-journal")):
                file.unlink()
            continue
        aside = _move_aside(path, path.parent / f"{ASIDE}{found[1]}")
        file.rename(path)
        sync(path.parent)
    return aside


def _complete(path: Path) -> Path | None:
    try:
        return complete(path)
    except OSError as error:
        raise FolderError(
            f"The backup could not be put in the place of {path} ({error.strerror}). Mend that and start the bot, "
            "which finishes it; nothing is lost."
        ) from error


def is_decided(path: Path) -> bool:
    """Returns whether a committed restore was interrupted; the next start of the bot finishes it."""
    return any(_DECIDED.fullmatch(file.name.removeprefix(path.name)) for file in path.parent.glob(f"{path.name}.restore-*"))


def moved_aside(path: Path) -> tuple[Path, ...]:
    """Returns the databases that restores moved aside, oldest first."""
    return tuple(sorted(folder / path.name for folder in path.parent.glob(f"{ASIDE}*") if (folder / path.name).is_file()))


def _move_aside(path: Path, folder: Path) -> Path | None:
    """Moves the old files, in any order (nobody opens any before all are moved); returns their folder or None."""
    old = [file for file in reversed(files_of(path)) if file.exists()]
    if old:
        folder.mkdir(exist_ok=True)
    for file in old:
        file.rename(folder / file.name)
    if not folder.is_dir():
        return None
    sync(folder)
    sync(path.parent)
    return folder


def _free_name(path: Path, now: datetime) -> Path:
    """Returns a free name for the copy, which contains the name of the folder for the old files."""
    time, number = f"{now:%Y%m%d-%H%M%S}", 1
    while (path.parent / f"{ASIDE}{time}").exists():
        number += 1
        time = f"{now:%Y%m%d-%H%M%S}-{number}"
    return path.with_name(f"{path.name}.restore-{time}")
