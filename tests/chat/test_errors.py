"""What a member and the log learn of an error."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from bot.chat import errors
from bot.metrics import Metrics
from tests.chat.test_faults import refusal


async def report(monkeypatch: pytest.MonkeyPatch, error: Exception) -> tuple[Metrics, list[str]]:
    metrics, told = Metrics(), []

    async def note(_: object, sentence: str) -> None:
        told.append(sentence)

    monkeypatch.setattr(errors, "refuse", note)
    await errors.report(metrics, SimpleNamespace(id=1), error)  # type: ignore[arg-type]
    return metrics, told


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, 50001), (403, 50013), (404, 10003), (404, 10008), (404, 10015), (401, 50027), (400, 50083), (400, 160005)],
)
async def test_an_answer_that_discord_takes_nowhere_is_no_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int, code: int
) -> None:
    metrics, told = await report(monkeypatch, refusal(status, code))

    assert metrics.registry.get_sample_value("pastel_errors_total") == 0
    assert told == []
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_an_answer_that_discord_calls_malformed_is_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    metrics, told = await report(monkeypatch, refusal(400, 50035))

    assert metrics.registry.get_sample_value("pastel_errors_total") == 1
    assert "Something went wrong on my side" in told[0]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
