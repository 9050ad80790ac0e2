from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.image import Swept
from bot.errors import DiskFullError, FolderError, NotFoundError
from bot.ports import UnknownKeys
from bot.storage.images import DiskImageStore
from tests.fakes import FakeClock

JOB = "0123456789abcdef"
HOSTILE_KEYS = [
    "../pastel.db",
    "/etc/passwd",
    "2026/11/../../../pastel.db",
    f"2026/11/{JOB}-1-0.png/../../../../pastel.db",
    f"2026/11/{JOB}-1-0.png\n",
    "2026/11/\0.png",
    "uploads/../../pastel.db",
    "",
    ".",
    f"2026\\11\\{JOB}-1-0.png",
    f"٢٠٢٦/11/{JOB}-1-0.png",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pastel.db").write_bytes(b"not a picture")
    return tmp_path / "images"


@pytest.fixture
def images(root: Path) -> DiskImageStore:
    return DiskImageStore(root, FakeClock(datetime(2026, 11, 23, tzinfo=UTC)))


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


async def test_a_picture_comes_back_under_the_key_that_the_store_made(images: DiskImageStore, root: Path) -> None:
    key = await images.save(JOB, 2, 3, b"picture")

    assert key == f"2026/11/{JOB}-2-3.png"
    assert await images.read(key) == b"picture"
    assert files(root) == {key}


async def test_saving_again_replaces_the_whole_file(images: DiskImageStore, root: Path) -> None:
    key = await images.save(JOB, 1, 0, b"a long first version")
    await images.save(JOB, 1, 0, b"second")

    assert await images.read(key) == b"second"
    assert files(root) == {key}


async def test_an_upload_is_kept_once_an_interaction_under_a_hash(images: DiskImageStore, root: Path) -> None:
    key = await images.save_upload(b"upload", interaction_id=1)

    assert key == f"uploads/{hashlib.sha256(b'1 upload').hexdigest()}.png"
    assert await images.save_upload(b"upload", interaction_id=1) == key
    assert await images.read_upload(key) == b"upload"
    assert files(root) == {key}
    assert await images.save_upload(b"upload", interaction_id=2) != key  # nobody else's job needs what a refused one stored


async def test_what_is_gone_is_not_found(images: DiskImageStore) -> None:
    key = await images.save(JOB, 1, 0, b"picture")
    await images.delete([key, f"2026/11/{JOB}-1-1.png"])
    await images.delete([key])

    with pytest.raises(NotFoundError, match="Reroll"):
        await images.read(key)
    with pytest.raises(NotFoundError, match="Attach it again"):
        await images.read_upload(f"uploads/{'0' * 64}.png")


@pytest.mark.parametrize("key", HOSTILE_KEYS)
async def test_no_key_leads_out_of_the_folder(images: DiskImageStore, root: Path, key: str) -> None:
    kept = await images.save(JOB, 1, 0, b"picture")

    with pytest.raises(NotFoundError):
        await images.read(key)
    with pytest.raises(NotFoundError):
        await images.read_upload(key)
    with pytest.raises(ValueError, match="not a key"):
        await images.delete([kept, key])

    assert (root.parent / "pastel.db").exists()
    assert files(root) == {kept}


@pytest.mark.parametrize("job_id", ["../../etc", "", "0123456789ABCDEF", "0" * 17, "0" * 15 + "/"])
async def test_only_a_job_id_becomes_part_of_a_name(images: DiskImageStore, root: Path, job_id: str) -> None:
    with pytest.raises(ValueError, match="no job id"):
        await images.save(job_id, 1, 0, b"picture")

    assert files(root.parent) == {"pastel.db"}


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
async def test_a_full_disk_is_named_and_leaves_no_debris(
    images: DiskImageStore, root: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    kept = await images.save(JOB, 1, 0, b"picture")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if broken == "write":
        monkeypatch.setattr("bot.storage.images._private", _open_on_a_full_disk)
    elif broken == "fsync":
        monkeypatch.setattr(os, "fsync", refuse)
    else:
        monkeypatch.setattr(Path, "replace", refuse)

    with pytest.raises(DiskFullError, match=rf"^The disk that holds {root} is full"):
        await images.save(JOB, 2, 0, b"another")

    monkeypatch.undo()
    assert files(root) == {kept}
    assert await images.save(JOB, 2, 0, b"another")


def _open_on_a_full_disk(path: str, flags: int) -> int:
    """The temporary file is there already, and the kernel refuses every write to it."""
    Path(path).touch()
    return os.open("/dev/full", flags & ~(os.O_CREAT | os.O_EXCL))


async def test_a_file_is_complete_and_synced_before_it_gets_its_name(
    images: DiskImageStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(descriptor: int) -> None:
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        steps.append(f"sync {'folder' if target.is_dir() else f'{target.stat().st_size} bytes'}")
        fsync(descriptor)

    def record_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    await images.save(JOB, 1, 0, b"makes the folders")
    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)

    await images.save(JOB, 1, 1, b"picture")

    assert steps == ["sync 7 bytes", "rename", "sync folder"]


async def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file")

    with pytest.raises(FolderError, match="images/2026/11"):
        await DiskImageStore(tmp_path / "images", FakeClock(datetime(2026, 11, 23, tzinfo=UTC))).save(JOB, 1, 0, b"x")


def all_but(*known: str) -> UnknownKeys:
    """A database that knows these."""

    async def unknown(keys: Sequence[str]) -> frozenset[str]:
        return frozenset(keys) - set(known)

    return unknown


def later(root: Path) -> DiskImageStore:
    """The store of the next process."""
    return DiskImageStore(root, FakeClock(datetime(2026, 11, 23, tzinfo=UTC)))


async def test_the_sweep_removes_what_no_job_knows_and_nothing_else(images: DiskImageStore, root: Path) -> None:
    known = [await images.save(JOB, 1, 0, b"known"), await images.save_upload(b"known", interaction_id=1)]
    orphans = [await images.save(JOB, 1, 1, b"orphan"), await images.save_upload(b"orphan", interaction_id=1)]
    (root / "2026/11" / f"{JOB}-1-2.png.1a2b3c4d.partial").write_bytes(b"half")
    (root / "notes.txt").write_text("the operator's own")
    (root / "uploads" / "mine.png").write_text("the operator's own")

    images = later(root)
    assert await images.sweep(all_but(*known), before=None) == Swept(removed=len(orphans) + 1, kept=2, kept_bytes=10)

    assert files(root) == {*known, "notes.txt", "uploads/mine.png"}
    assert (await images.sweep(all_but(*known), before=None)).removed == 0


async def test_the_first_sweep_leaves_what_this_process_writes_meanwhile_whatever_the_clock_says(
    images: DiskImageStore, root: Path
) -> None:
    """A picture lies there before the database knows it."""
    left = await images.save(JOB, 1, 0, b"left by a crash")
    images = later(root)
    before = await images.save(JOB, 2, 0, b"written before the sweep")
    during = f"2026/11/{JOB}-3-0.png"

    async def unknown(keys: Sequence[str]) -> frozenset[str]:
        assert left in keys
        await images.save(JOB, 3, 0, b"written during the sweep")
        for key in (before, during):
            os.utime(root / key, (0, 0))  # as after a clock that was set back
        return frozenset(keys) | {during}

    assert (await images.sweep(unknown, before=None)).removed == 1
    assert files(root) == {before, during}


async def test_a_sweep_that_is_cancelled_while_a_thread_lists_files_ends_as_cancelled(
    images: DiskImageStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await images.save(JOB, 1, 0, b"x")
    listing, go_on = threading.Event(), threading.Event()
    walk = os.walk

    def slow_walk(top: Path) -> Iterator[object]:
        for found in walk(top):
            listing.set()
            go_on.wait(20)
            yield found

    monkeypatch.setattr(os, "walk", slow_walk)
    sweep = asyncio.create_task(images.sweep(all_but(), before=None))
    await asyncio.to_thread(listing.wait, 20)
    sweep.cancel()
    try:
        with pytest.raises(asyncio.CancelledError):
            await sweep
    finally:
        go_on.set()
        await images.close()


async def test_what_is_free_is_known_before_the_folder_is_there(images: DiskImageStore) -> None:
    assert await images.free_bytes() > 0


async def test_a_sweep_of_old_files_leaves_those_that_are_just_being_written(images: DiskImageStore, root: Path) -> None:
    old, fresh = await images.save_upload(b"old", interaction_id=1), await images.save_upload(b"fresh", interaction_id=1)
    half = root / "uploads" / "half.png.1a2b3c4d.partial"
    half.write_bytes(b"half")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    os.utime(root / old, (hour_ago.timestamp() - 1,) * 2)

    assert (await images.sweep(all_but(), before=hour_ago)).removed == 1

    assert files(root) == {fresh, "uploads/half.png.1a2b3c4d.partial"}


async def test_an_upload_that_comes_again_during_a_sweep_stays(images: DiskImageStore, root: Path) -> None:
    key = await images.save_upload(b"comes again", interaction_id=1)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    os.utime(root / key, (hour_ago.timestamp() - 1,) * 2)

    async def unknown(keys: Sequence[str]) -> frozenset[str]:
        await images.save_upload(b"comes again", interaction_id=1)
        return frozenset(keys)

    assert (await images.sweep(unknown, before=hour_ago)).removed == 0
    assert await images.read_upload(key) == b"comes again"


async def test_a_sweep_asks_for_a_few_files_at_a_time(
    images: DiskImageStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.storage.images.PORTION", 3)
    for number in range(10):
        await images.save(JOB, 1, number, b"x")
    asked: list[int] = []

    async def unknown(keys: Sequence[str]) -> frozenset[str]:
        asked.append(len(keys))
        return frozenset(keys)

    assert (await later(root).sweep(unknown, before=None)).removed == 10
    assert max(asked) == 3


async def test_what_no_row_knows_is_kept_for_a_month_after_a_backup_was_put_back(root: Path) -> None:
    clock = FakeClock(datetime.now(UTC))
    images = DiskImageStore(root, clock)
    known, before = await images.save(JOB, 1, 0, b"known"), await images.save(JOB, 1, 1, b"drawn after the backup")
    half = root / "uploads" / "half.png.1a2b3c4d.partial"
    half.parent.mkdir()
    half.write_bytes(b"half")
    restored_at = clock.now() + timedelta(seconds=1)
    later = await images.save_upload(b"refused", interaction_id=1)
    os.utime(root / later, (restored_at.timestamp() + 1,) * 2)
    images = DiskImageStore(root, clock)  # of the next process
    images.keep_unknown(restored_at)

    assert (await images.sweep(all_but(known), before=None)).removed == 3

    kept = root.with_name("images-unknown")
    assert files(root) == {known}
    assert files(kept) == {before}
    assert (kept / before).read_bytes() == b"drawn after the backup"
    clock.advance(29 * 24 * 3600)
    assert (await images.sweep(all_but(known), before=None)).removed == 0
    assert files(kept) == {before}
    clock.advance(2 * 24 * 3600)
    assert (await images.sweep(all_but(known), before=None)).removed == 0  # a start may have a wrong clock
    assert files(kept) == {before}
    assert (await images.sweep(all_but(known), before=clock.now())).removed == 1
    assert files(kept) == set()


async def test_the_sweep_of_a_new_folder_finds_nothing(images: DiskImageStore) -> None:
    assert await images.sweep(all_but(), before=None) == Swept()


async def test_a_file_that_cannot_be_deleted_is_named(images: DiskImageStore, root: Path) -> None:
    folder = root / "2026/11" / f"{JOB}-1-0.png"  # unlink refuses a folder, for root too
    folder.mkdir(parents=True)

    with pytest.raises(FolderError, match="cannot be deleted"):
        await images.delete([f"2026/11/{JOB}-1-0.png"])
    assert await images.sweep(all_but(), before=None) == Swept()  # a folder is no file of ours
