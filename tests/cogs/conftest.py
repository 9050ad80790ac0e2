from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.cogs.harness import SimcordHarness, open_stage


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncGenerator[SimcordHarness]:
    async with open_stage(tmp_path) as opened:
        yield opened
