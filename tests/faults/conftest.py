from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bot.inference.libraries import import_libraries
from tests.faults.campaign import House


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    import_libraries()
    made = House(tmp_path_factory.mktemp("models"))
    yield made
    asyncio.run(made.generator.close())
