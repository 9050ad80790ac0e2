"""Pictures as files under one folder, each written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

from bot.domain.job import JobId
from bot.errors import FolderError, NotFoundError
from bot.pools import Pool
from bot.ports import Clock, UnknownKeys

_JOB_ID = re.compile(r"[0-9a-f]{16}")
_KEY = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9a-f]{16}-[0-9]+-[0-9]+\.png|uploads/[0-9a-f]{64}\.png")
PORTION = 500  # names of files that are looked at together
_TEMPORARY = ".partial"
THREADS = 4  # they wait for the disk
KEPT_FOR = timedelta(days=30)  # files of which only what came after the backup knows
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskImageStore:
    """Implements ports.ImageStore on threads of its own. Keys are `2026/11/JOB-ATTEMPT-INDEX.png` and `uploads/SHA256.png`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._pool = Pool("store", THREADS)
        self._replacing = threading.Lock()
        self._restored_at: datetime | None = None

    def keep_unknown(self, restored_at: datetime | None) -> None:
        """Say when a backup was last put back: sweeps move what is older, and no row knows, beside the folder for 30 days."""
        self._restored_at = restored_at

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

    async def save_upload(self, data: bytes, *, interaction_id: int) -> str:
        key = await self._pool.run(_upload_key, data, interaction_id)
        await self._pool.run(self._write, key, data)
        return key

    async def read_upload(self, key: str) -> bytes:
        return await self._pool.run(self._read, key, "The picture to start from is no longer stored. Attach it again.")

    async def sweep(self, unknown: UnknownKeys, *, before: datetime | None) -> int:
        """Remove temporary files and pictures that no row knows, of those last written `before`; returns how many.

        For 30 days after a backup was put back, those of before that are moved to `images-unknown`, and counted as well.

        None, for files of any age, is only for the start, before anybody saves: a picture is written before the database
        knows it. Files of other names are not ours and stay. One portion of names is in memory at a time.
        """
        removed = await self._pool.run(self._end_keeping)
        with closing(self._portions(self._root)) as portions:
            while portion := await self._pool.run(next, portions, None):
                partial = [name for name in portion if name.endswith(_TEMPORARY)]
                orphans = await unknown([name for name in portion if _KEY.fullmatch(name)])
                removed += await self._pool.run(self._remove_old, [*partial, *sorted(orphans)], before)
        return removed

    async def close(self) -> None:
        """Waits for the files that are being written or read."""
        await self._pool.close()

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        try:
            _make_folder(path.parent)
            _write_whole(path, data, self._replacing)
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

    def _portions(self, root: Path) -> Generator[list[str]]:
        """Go through the folders; the names of our files are relative to the root."""
        portion: list[str] = []
        for folder, _, names in os.walk(root):
            place = Path(folder).relative_to(root)
            for name in names:
                portion.append((place / name).as_posix())
                if len(portion) == PORTION:
                    yield portion
                    portion = []
        if portion:
            yield portion

    def _remove_old(self, names: Sequence[str], before: datetime | None) -> int:
        return sum(self._remove(name, before) for name in names)

    def _remove(self, name: str, before: datetime | None) -> bool:
        path = self._root / name
        with self._replacing:  # an upload that comes again is written anew, and must not go between look and removal
            try:
                written_at = path.stat().st_mtime
            except FileNotFoundError:
                return False
            if before is not None and written_at >= before.timestamp():
                return False
            if self._is_kept(name, written_at):
                _move(path, self._kept / name)
            else:
                _unlink(path)
        return True

    @property
    def _kept(self) -> Path:
        return self._root.with_name(f"{self._root.name}-unknown")

    def _is_kept(self, name: str, written_at: float) -> bool:
        is_older = self._restored_at is not None and written_at < self._restored_at.timestamp()
        return is_older and self._is_keeping() and not name.endswith(_TEMPORARY)

    def _is_keeping(self) -> bool:
        return self._restored_at is not None and self._clock.now() < self._restored_at + KEPT_FOR

    def _end_keeping(self) -> int:
        """Remove what was kept for long enough; returns how many files."""
        removed = 0
        if not self._is_keeping():
            for portion in self._portions(self._kept):
                for name in portion:
                    if _KEY.fullmatch(name):
                        _unlink(self._kept / name)
                        removed += 1
        return removed

    def _path(self, key: str) -> Path:
        """Raises ValueError for anything but a key that this store made, so no key can lead out of the folder."""
        if not _KEY.fullmatch(key):
            raise ValueError("not a key of this store")
        return self._root / key


def is_key(text: str) -> bool:
    """Whether it is a name that this store makes, so that it cannot lead out of a folder."""
    return _KEY.fullmatch(text) is not None


def _upload_key(data: bytes, interaction_id: int) -> str:
    return f"uploads/{hashlib.sha256(b'%d ' % interaction_id + data).hexdigest()}.png"


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"{path} cannot be deleted ({error.strerror}). Check the folder's rights.") from error


def _move(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    except OSError as error:
        raise FolderError(f"{path} cannot be moved to {target} ({error.strerror}). Check the folder's rights.") from error


def _write_whole(path: Path, data: bytes, replacing: threading.Lock) -> None:
    """Temporary file, fsync, rename, fsync of the folder: after a power cut the file is there, whole, or not at all."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with replacing:
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
