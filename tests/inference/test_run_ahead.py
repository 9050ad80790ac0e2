"""How far the thread may be ahead of the GPU."""

from __future__ import annotations

import pytest
import torch

from bot.inference.run_ahead import RunAhead


class Stream:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.marks = 0

    def mark(self) -> Marker:
        self.marks += 1
        return Marker(self, self.marks)


class Marker:
    def __init__(self, stream: Stream, number: int) -> None:
        self._stream, self._number = stream, number

    def record(self) -> None:
        self._stream.log.append(f"launched {self._number}")

    def query(self) -> bool:
        return False

    def elapsed_time(self, end_event: Marker) -> float:
        return float(end_event._number - self._number)

    def synchronize(self) -> None:
        self._stream.log.append(f"waited for {self._number}")


def test_a_step_is_launched_while_the_one_before_runs_and_no_further() -> None:
    stream = Stream()
    ahead = RunAhead(stream.mark)
    for _ in range(3):
        ahead.step()

    assert stream.log == ["launched 1", "launched 2", "waited for 1", "launched 3", "waited for 2"]


def test_drained_it_waits_for_all_once_and_begins_anew() -> None:
    stream = Stream()
    ahead = RunAhead(stream.mark)
    ahead.step()
    ahead.drain()
    ahead.step()

    assert stream.log == ["launched 1", "launched 2", "waited for 2", "launched 3"]


def test_on_a_cpu_nothing_is_waited_for() -> None:
    ahead = RunAhead.on(torch.device("cpu"))
    ahead.step()
    ahead.drain()


def test_on_a_gpu_the_thread_sleeps_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, options = Stream(), list[dict[str, bool]]()

    def event(**given: bool) -> Marker:
        options.append(given)
        return stream.mark()

    monkeypatch.setattr(torch.cuda, "Event", event)
    RunAhead.on(torch.device("cuda")).step()

    assert options == [{"blocking": True, "enable_timing": False}]
    assert stream.log == ["launched 1"]
