"""Pools of threads: how far they stand back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, threading
from bot.pools import Pool

async def main():
    pool = Pool("strangers", 1, niceness=5)
    print(await pool.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    await pool.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows how nice a thread is")
@pytest.mark.parametrize(("started_at", "stands_at"), [(0, 5), (10, 15), (17, 19)])
def test_threads_stand_back_from_where_the_process_stands(started_at: int, stands_at: int) -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    if usual:
        pytest.skip("these tests were themselves started with another priority")
    command = ["/usr/bin/env", "nice", "-n", str(started_at), sys.executable, "-c", PROGRAM]
    said = subprocess.run(command, capture_output=True, text=True, check=True)

    assert int(said.stdout) == stands_at
