"""A plugin of pytest for `make quick` (`-p tests.without_torch`): whoever imports torch or diffusers fails there."""

import sys

import pytest

HEAVY = ("torch", "diffusers", "transformers", "peft")


def pytest_configure(config: pytest.Config) -> None:
    assert not set(HEAVY) & set(sys.modules), "loaded too late: torch is imported already"
    for name in HEAVY:
        sys.modules[name] = None  # type: ignore[assignment]  # `import` raises ModuleNotFoundError for such an entry
