"""For all tests: one thread a process, and what a start sets for its process ends with its test."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded; the suite runs as many processes as there are cores

# How long an example takes says how busy the machine is.
settings.register_profile("pastel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("pastel"), max_examples=20)  # `make quick`
settings.load_profile("pastel")


@pytest.fixture(autouse=True)
def _no_log_to_a_closed_stream() -> Iterator[None]:
    """`main` sends the log to the stderr that a test captures, and that is closed when the test ends."""
    yield
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not getattr(getattr(handler, "stream", None), "closed", False)]


@pytest.fixture(autouse=True)
def _umask_of_before() -> Iterator[None]:
    """A start lets nobody else read the files of its process."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
