"""Injected faults of the device, the model and the files: no black picture is shown, no job is lost, and nobody pays for it.

`make fault-test` runs each kind twenty times.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.campaign import FaultCase, run_case
from tests.faults.kinds import KINDS, Kind


def kind_name(value: object) -> str | None:
    return value.name if isinstance(value, Kind) else None


@pytest.mark.parametrize("kind", KINDS, ids=kind_name)
async def test_a_fault_loses_no_job_shows_no_black_picture_and_harms_nobody_else(
    house: FaultCase, tmp_path: Path, kind: Kind
) -> None:
    await run_case(house, tmp_path, kind, seed=0)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 120))
@pytest.mark.parametrize("kind", KINDS, ids=kind_name)
async def test_twenty_faults_of_each_kind_lose_no_job_show_no_black_picture_and_harm_nobody_else(
    house: FaultCase, tmp_path: Path, kind: Kind, seed: int
) -> None:
    await run_case(house, tmp_path, kind, seed)
