"""Pictures as files under one folder, each written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from bot.domain.job import JobId
from bot.errors import FolderError, NotFoundError
from bot.pools import Pool
from bot.ports import Clock

_JOB_ID = re.compile(r"[0-9a-f]{16}")
_KEY = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9a-f]{16}-[0-9]+-[0-9]+\.png|uploads/[0-9a-f]{64}\.png")
_TEMPORARY = ".partial"
THREADS = 4  # they wait for the disk
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskImageStore:
    """Implements ports.ImageStore on threads of its own. Keys are `2026/11/JOB-ATTEMPT-INDEX.png` and `uploads/SHA256.png`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._pool = Pool("store", THREADS)

    async def save(self, job_id: JobId, attempt: int, index: int, data: bytes) -> str:
        if not _JOB_ID.fullmatch(job_id):
            raise ValueError(f"{job_id!r} is no job id")
        key = f"{self._clock.now():%Y/%m}/{job_id}-{attempt}-{index}.png"
        await self._pool.run(self._write, key, data)
        return key

    async def read(self, key: str) -> bytes:
        return await self._pool.run(self._read, key, "This picture is no longer stored. Use Reroll to draw it again.")

    async def delete(self, keys: Sequence[str]) -> None:
        await self._pool.run(self._delete, keys)

    async def save_upload(self, data: bytes) -> str:
        key = await self._pool.run(lambda: f"uploads/{hashlib.sha256(data).hexdigest()}.png")
        await self._pool.run(self._write, key, data)
        return key

    async def read_upload(self, key: str) -> bytes:
        return await self._pool.run(self._read, key, "The picture to start from is no longer stored. Attach it again.")

    async def sweep(self, known: AbstractSet[str]) -> int:
        """Remove what crashes left behind: temporary files, and pictures whose key is not `known`; returns how many.

        Only for the start, before anybody saves: a picture is written before the database knows it. Files of other names
        are not ours and stay.
        """
        return await self._pool.run(self._sweep, known)

    async def close(self) -> None:
        """Waits for the files that are being written or read."""
        await self._pool.close()

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        try:
            _make_folder(path.parent)
            _write_whole(path, data)
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise FolderError(f"The disk that holds {self._root} is full. Free some space.") from error
            raise FolderError(f"{path} cannot be written ({error.strerror}). Check the folder's rights and disk.") from error

    def _read(self, key: str, missing: str) -> bytes:
        if not _KEY.fullmatch(key):
            raise NotFoundError(missing)
        path = self._path(key)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise NotFoundError(missing) from None
        except OSError as error:
            raise FolderError(f"{path} cannot be read ({error.strerror}). Check the folder's rights and disk.") from error

    def _delete(self, keys: Sequence[str]) -> None:
        for path in [self._path(key) for key in keys]:
            _unlink(path)

    def _sweep(self, known: AbstractSet[str]) -> int:
        removed = 0
        for path in self._root.rglob("*.*"):
            key = path.relative_to(self._root).as_posix()
            if path.name.endswith(_TEMPORARY) or (_KEY.fullmatch(key) and key not in known):
                _unlink(path)
                removed += 1
        return removed

    def _path(self, key: str) -> Path:
        """Raises ValueError for anything but a key that this store made, so no key can lead out of the folder."""
        if not _KEY.fullmatch(key):
            raise ValueError("not a key of this store")
        return self._root / key


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"{path} cannot be deleted ({error.strerror}). Check the folder's rights.") from error


def _write_whole(path: Path, data: bytes) -> None:
    """Temporary file, fsync, rename, fsync of the folder: after a power cut the file is there, whole, or not at all."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, durably."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in reversed(missing):
        _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
