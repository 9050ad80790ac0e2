from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bot.inference.torch_import import import_libraries
from tests.faults.campaign import FaultCase


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultCase]:
    import_libraries()
    made = FaultCase(tmp_path_factory.mktemp("models"))
    yield made
    asyncio.run(made.generator.close())
