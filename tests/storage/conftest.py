from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bot.storage.database import Database
from tests.empty_database import begin_at
from tests.storage.samples import Store, assert_file_sound


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    """An open, empty database; whatever a test did to it, its invariants hold at the end."""
    path = tmp_path / "pastel.db"
    async with Database.open(begin_at(path)) as database:
        yield Store.over(database)
    assert_file_sound(path)
