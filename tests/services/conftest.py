from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.services.harness import ServicesHarness, open_world


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncGenerator[ServicesHarness]:
    async with open_world(tmp_path) as opened:
        yield opened
