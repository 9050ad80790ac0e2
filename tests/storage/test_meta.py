from __future__ import annotations

from tests.storage.samples import Store


async def test_a_fact_is_kept_and_replaced_by_name(store: Store) -> None:
    assert await store.repositories.meta.get("commands") is None

    await store.repositories.meta.set("commands", "abc")
    await store.repositories.meta.set("other", "xyz")
    await store.repositories.meta.set("commands", "def")

    assert await store.repositories.meta.get("commands") == "def"
    assert await store.repositories.meta.get("other") == "xyz"
