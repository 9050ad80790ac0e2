"""For all tests: one thread a process, and a log that nobody writes to once its test is over."""

import logging
import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded; the suite runs as many processes as there are cores


@pytest.fixture(autouse=True)
def _no_log_to_a_closed_stream() -> Iterator[None]:
    """`main` sends the log to the stderr that a test captures, and that is closed when the test ends."""
    yield
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not getattr(getattr(handler, "stream", None), "closed", False)]
