"""Locks the data folder, so that only one process uses it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.errors import FolderError
from bot.storage.faults import NO_SPACE, full
from bot.storage.private_files import FILE_MODE, make_private_folder


class DataFolderLock:
    """Locks `pastel.lock` in the data folder while the context is entered.

    The kernel releases the lock however the process ends, so a crash leaves nothing to clean up; the file itself stays,
    because removing it would let two processes lock two files of the same name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Raises FolderError when another process has the lock, or the folder cannot be written."""
        path = self._folder / "pastel.lock"
        try:
            make_private_folder(self._folder)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise full(path) from None
            raise FolderError(f"{path} cannot be written ({error.strerror}). Change its owner, or DATA_DIR.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):  # the process id only helps to find the process; a full disk must not keep us from starting
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace")
            os.close(descriptor)
            raise self._refusal(error, holder) from None
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _refusal(self, error: OSError, holder: str) -> FolderError:
        if isinstance(error, BlockingIOError):
            process = f"process {holder}" if holder.isdigit() else "another process"
            return FolderError(
                f"Another Pastel ({process}) already uses {self._folder}. Stop it, or set DATA_DIR to another folder."
            )
        return FolderError(f"{self._folder} cannot be locked ({error.strerror}). Set DATA_DIR to a folder on a local disk.")
