"""Stores pictures as files under one folder, each written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from bot.domain.image import Swept
from bot.domain.job import JobId, is_job_id
from bot.errors import FolderError, NotFoundError
from bot.messages import translatable
from bot.pools import Pool
from bot.ports import Clock, UnknownKeys
from bot.storage.disk_space import free_bytes
from bot.storage.faults import NO_SPACE, full
from bot.storage.private_files import FILE_MODE, make_private_folder
from bot.storage.vacuum import sync

PICTURE_GONE = translatable("I no longer have this picture. Use **Reroll** to draw it again.")
UPLOAD_GONE = translatable("I no longer have the picture to start from. Attach it again.")

_KEY = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9a-f]{16}-[0-9]+-[0-9]+\.png|uploads/[0-9a-f]{64}\.png")
PORTION = 500  # names of files that are checked together
_TEMPORARY = ".partial"
THREADS = 4  # they wait for the disk
KEPT_FOR = timedelta(days=30)  # files that only rows of after the backup know


class DiskImageStore:
    """Implements ports.ImageStore on threads of its own. Keys are `2026/11/JOB-ATTEMPT-INDEX.png` and `uploads/SHA256.png`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._pool = Pool("store", THREADS)
        self._space = Pool("space", 1)  # a check of microseconds must not queue behind files that are being written
        self._replacing = threading.Lock()
        self._own: set[str] | None = set()  # what this process wrote, until all files of earlier processes were examined
        self._restored_at: datetime | None = None

    def keep_unknown(self, restored_at: datetime | None) -> None:
        """Set when a backup was last put back: for 30 days, sweeps move older files that no row knows beside the folder."""
        self._restored_at = restored_at

    async def save(self, job_id: JobId, attempt: int, index: int, data: bytes) -> str:
        if not is_job_id(job_id):
            raise ValueError(f"{job_id!r} is no job id")
        key = f"{self._clock.now():%Y/%m}/{job_id}-{attempt}-{index}.png"
        await self._pool.run(self._write, key, data)
        return key

    async def read(self, key: str) -> bytes:
        return await self._pool.run(self._read, key, PICTURE_GONE)

    async def delete(self, keys: Sequence[str]) -> None:
        await self._pool.run(self._delete, keys)

    async def save_upload(self, data: bytes, *, interaction_id: int) -> str:
        key = await self._pool.run(_upload_key, data, interaction_id)
        await self._pool.run(self._write, key, data)
        return key

    async def read_upload(self, key: str) -> bytes:
        return await self._pool.run(self._read, key, UPLOAD_GONE)

    async def sweep(self, unknown: UnknownKeys, *, before: datetime | None) -> Swept:
        """Remove temporary files and pictures that no row knows and that were last written `before`.

        `before` None, once a process: those that earlier processes left, of any age. A picture is written before the database
        knows it, so files of this process are skipped. Files of other names are not ours and stay. For 30 days after a backup
        was put back, older files are moved to `images-unknown` instead, and counted as well. One portion of names is in
        memory at a time.
        """
        # At the start, before other clocks were asked, nothing is removed for its age.
        swept = Swept(removed=0 if before is None else await self._pool.run(self._end_keeping))
        portions = self._portions(self._root)
        while portion := await self._pool.run(next, portions, None):  # a thread may be in the folder when we are cancelled
            partial = [name for name in portion if name.endswith(_TEMPORARY)]
            keys = [name for name in portion if _KEY.fullmatch(name)]
            orphans = await unknown(keys)
            swept += await self._pool.run(self._remove_old, [*partial, *sorted(orphans)], before)
            swept += await self._pool.run(self._measured, [key for key in keys if key not in orphans])
        if before is None:
            self._own = None
        return swept

    async def free_bytes(self) -> int:
        return await self._space.run(self._least_free)

    async def close(self) -> None:
        """Wait for the files that are being written or read."""
        await self._pool.close()
        await self._space.close()

    def _least_free(self) -> int:
        """Returns the free bytes of the pictures' disk or the database's, whichever is less; some mount one into the other."""
        return min(free_bytes(self._root), free_bytes(self._root.parent))

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        own = self._own
        if own is not None:
            own.add(key)
        try:
            _make_folder(path.parent)
            _write_whole(path, data, self._replacing)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise full(self._root) from error
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
        """Yields the names of our files, relative to the root, folder by folder."""
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

    def _remove_old(self, names: Sequence[str], before: datetime | None) -> Swept:
        if before is None:
            own = self._own or frozenset[str]()
            names = [name for name in names if _key_of(name) not in own]
        return Swept(removed=sum(self._remove(name, before) for name in names))

    def _measured(self, keys: Sequence[str]) -> Swept:
        sizes: list[int] = []
        for key in keys:
            with suppress(FileNotFoundError):
                sizes.append(os.stat(f"{self._root}/{key}").st_size)  # a Path for each would take most of the time
        return Swept(kept=len(sizes), kept_bytes=sum(sizes))

    def _remove(self, name: str, before: datetime | None) -> bool:
        path = self._root / name
        with self._replacing:  # an upload that comes again is rewritten, and must not be removed after a check of its old age
            try:
                written_at = path.stat().st_mtime
            except FileNotFoundError:
                return False
            if before is not None and written_at >= before.timestamp():
                return False
            if self._is_kept(name, written_at, at_start=before is None):
                _move(path, self._kept / name)
            else:
                _unlink(path)
        return True

    @property
    def _kept(self) -> Path:
        return self._root.with_name(f"{self._root.name}-unknown")

    def _is_kept(self, name: str, written_at: float, *, at_start: bool) -> bool:
        is_older = self._restored_at is not None and written_at < self._restored_at.timestamp()
        return is_older and (at_start or self._is_keeping()) and not name.endswith(_TEMPORARY)

    def _is_keeping(self) -> bool:
        return self._restored_at is not None and self._clock.now() < self._restored_at + KEPT_FOR

    def _end_keeping(self) -> int:
        """Removes files that were kept for long enough; returns how many."""
        removed = 0
        if not self._is_keeping():
            for portion in self._portions(self._kept):
                for name in portion:
                    if _KEY.fullmatch(name):
                        _unlink(self._kept / name)
                        removed += 1
        return removed

    def _path(self, key: str) -> Path:
        """Returns the key's path. Raises ValueError for a key that is not this store's: none can lead out of the folder."""
        if not _KEY.fullmatch(key):
            raise ValueError("not a key of this store")
        return self._root / key


def is_key(text: str) -> bool:
    """Returns whether this store makes such names; such a name cannot lead out of a folder."""
    return _KEY.fullmatch(text) is not None


def _key_of(name: str) -> str:
    """Returns the key that a temporary file is for; of any other file, its own."""
    return name.rsplit(".", 2)[0] if name.endswith(_TEMPORARY) else name


def _upload_key(data: bytes, interaction_id: int) -> str:
    return f"uploads/{hashlib.sha256(b'%d ' % interaction_id + data).hexdigest()}.png"


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"{path} cannot be deleted ({error.strerror}). Check the folder's rights.") from error


def _move(path: Path, target: Path) -> None:
    try:
        make_private_folder(target.parent)
        path.replace(target)
    except OSError as error:
        raise FolderError(f"{path} cannot be moved to {target} ({error.strerror}). Check the folder's rights.") from error


def _write_whole(path: Path, data: bytes, replacing: threading.Lock) -> None:
    """Writes by temporary file, fsync, rename, fsync of the folder: a power cut leaves the whole file or none."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with open(temporary, "xb", opener=_private) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with replacing:
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def _make_folder(folder: Path) -> None:
    """Makes `folder` and its missing parents, durably."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    make_private_folder(folder)
    for place in reversed(missing):
        sync(place.parent)
