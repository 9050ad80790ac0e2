"""Makes files and folders that only their owner can read and write, whatever the umask and the library that fills them."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from bot.errors import FolderError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
OTHERS = 0o077  # a mask: the rights of group and others

log = logging.getLogger(__name__)


def check_searchable(folder: Path) -> None:
    """Raises FolderError where this user may not look into DATA_DIR `folder`, or see whether it exists."""
    try:
        os.stat(f"{folder}/.")  # pathlib would leave out the dot, which requires the right to search the folder itself
    except PermissionError as error:
        raise FolderError(
            f"DATA_DIR {folder} may not be looked into by this user ({error.strerror}). "
            "Change the owner or the rights of it and of the folders above it, or set another folder."
        ) from None
    except OSError:  # it is missing, or is no folder: the code that makes or opens it reports that
        return


def make_private_folder(folder: Path) -> None:
    """Makes `folder` and its missing parents. Raises OSError."""
    for place in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        place.mkdir(mode=FOLDER_MODE, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Makes an empty file where there is none, for a library to fill. Raises OSError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))


def keep_private(state: Path) -> None:
    """Takes away the rights of others that an earlier version, a copy or a restore left; logs where that is impossible.

    Modes do not matter below a folder that nobody else may enter; database and lock are tightened anyway, since backup tools
    copy them with their modes.
    """
    for path in (state.resolve(), *sorted(state.glob("pastel.*")), state / "images"):
        try:
            _tighten(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            _say(path, error.strerror or "unknown error")


def _tighten(path: Path) -> None:
    """Tightens the mode, but not of a shared folder (sticky, as /tmp) or of another user's. Raises OSError."""
    found = path.stat()
    if not found.st_mode & OTHERS:
        return
    if found.st_uid != os.geteuid():
        _say(path, "it belongs to another user")
    elif found.st_mode & stat.S_ISVTX or path.resolve().parent == path.resolve():
        _say(path, "it is everybody's; set DATA_DIR to a folder of Pastel's own")
    else:
        path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def _say(path: Path, reason: str) -> None:
    log.warning("%s can be read by others on this machine, and that cannot be changed: %s", path, reason)
