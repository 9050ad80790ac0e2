"""Processes that die: at every SQL statement, and by SIGKILL at random moments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.job_steps import LIVES

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]


def program(name: str, *arguments: object) -> str:
    """Run a module of this folder in a process of its own, which may fork; returns what it printed."""
    command = [sys.executable, "-m", f"tests.storage.{name}", *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def crash_at_every(step: int) -> None:
    points = json.loads(program("crash_points", step))

    assert set(points) == {*LIVES, "open"}
    assert all(count > 30 for count in points.values()), points


def test_a_crash_before_a_statement_changes_nothing_about_how_a_job_ends() -> None:
    crash_at_every(11)


@pytest.mark.campaign
@pytest.mark.timeout(3_600)
def test_a_crash_before_any_statement_changes_nothing_about_how_a_job_ends() -> None:
    crash_at_every(1)


def test_a_process_killed_again_and_again_loses_nothing_that_it_acknowledged() -> None:
    assert program("kill_loop", 30, 1).startswith("30 kills")


@pytest.mark.campaign
@pytest.mark.timeout(3_600)
def test_a_thousand_kills_lose_nothing_that_was_acknowledged() -> None:
    report = program("kill_loop", 1_000, 1_000)

    print(report)
    assert report.startswith("1000 kills")
