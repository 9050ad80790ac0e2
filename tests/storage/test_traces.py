"""When traces are overwritten, and what that may cost."""

from __future__ import annotations

import pytest

from bot.errors import FolderError
from bot.storage.traces import SqliteTraces
from tests.storage.erasures import LATER, MINE, bytes_of, fill, remove
from tests.storage.samples import Store, listing


async def erased(store: Store) -> None:
    """Without the rewrite."""
    privacy = store.repositories.privacy
    erasure = await privacy.begin(100, now=LATER)
    assert erasure is not None
    await remove(privacy, erasure)
    await privacy.fold_log()
    assert await privacy.erased(erasure, now=LATER)


async def test_an_erasure_leaves_traces_until_the_file_was_written_anew(store: Store) -> None:
    traces = store.repositories.traces
    await fill(store)
    assert await traces.oldest() is None
    await erased(store)
    assert await traces.oldest() == LATER

    await traces.overwrite(now=LATER)

    assert await traces.oldest() is None
    assert await traces.overwritten_at() == LATER
    assert MINE.encode() not in bytes_of(store.database.path)


async def test_nothing_is_written_where_the_disk_has_no_room_for_it(store: Store) -> None:
    await fill(store)
    await erased(store)
    size = store.database.path.stat().st_size
    before = store.database.path.stat().st_ino
    scarce = SqliteTraces(store.database, free=lambda _: int(size * 2.2) - 1)

    with pytest.raises(FolderError, match=r"MiB free in .*Free some space"):
        await scarce.overwrite(now=LATER)

    assert store.database.path.stat().st_ino == before
    assert listing(store.database.path.parent) == ["pastel.db", "pastel.db-shm", "pastel.db-wal"]
    assert await scarce.oldest() == LATER
    await SqliteTraces(store.database, free=lambda _: int(size * 2.2)).overwrite(now=LATER)
    assert await scarce.oldest() is None


async def test_a_press_without_anything_to_remove_leaves_neither_a_wish_nor_a_trace(store: Store) -> None:
    await fill(store)
    await erased(store)
    await store.repositories.privacy.close(100, now=LATER)
    await store.repositories.traces.overwrite(now=LATER)

    for _ in range(3):
        assert await store.repositories.privacy.begin(100, now=LATER) is None

    assert await store.scalar("SELECT COUNT(*) FROM erasures") == 1
    assert await store.repositories.traces.oldest() is None
