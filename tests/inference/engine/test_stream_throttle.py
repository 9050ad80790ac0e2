"""How far the thread may be ahead of the GPU, and what each call is said to have taken."""

from __future__ import annotations

import pytest
import torch

from bot.inference.engine.cancellation import RequestCancelledError
from bot.inference.engine.step_times import SETTLED
from bot.inference.engine.stream_throttle import StreamThrottle
from tests.inference.conftest import make_request
from tests.inference.engines import Bench, open_tiny_session
from tests.tiny_sdxl import TinyModels


def nothing(seconds: float) -> None:
    del seconds


class Stream:
    """Notes what is asked of it. Its clock stands at `now` milliseconds where a mark is recorded."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.marks = 0
        self.now = 0.0

    def mark(self) -> Marker:
        self.marks += 1
        return Marker(self, self.marks)


class Marker:
    def __init__(self, stream: Stream, number: int) -> None:
        self._stream, self._number = stream, number
        self.at = 0.0

    def record(self) -> None:
        self.at = self._stream.now
        self._stream.log.append(f"recorded {self._number}")

    def query(self) -> bool:
        return False

    def elapsed_time(self, end_event: Marker) -> float:
        return end_event.at - self.at

    def synchronize(self) -> None:
        self._stream.log.append(f"waited for {self._number}")


def test_a_call_is_launched_while_the_one_before_runs_and_no_further() -> None:
    stream = Stream()
    ahead = StreamThrottle(stream.mark)
    for _ in range(3):
        with ahead.call(nothing):
            stream.log.append("launched")

    first, second = ["recorded 1", "launched", "recorded 2"], ["recorded 3", "launched", "recorded 4", "waited for 2"]
    assert stream.log == [*first, *second, "recorded 5", "launched", "recorded 6", "waited for 4"]


def test_drained_it_waits_for_all_once_and_begins_anew() -> None:
    stream = Stream()
    ahead = StreamThrottle(stream.mark)
    with ahead.call(nothing):
        pass
    ahead.drain()
    with ahead.call(nothing):
        pass

    assert [entry for entry in stream.log if "waited" in entry] == ["waited for 3"]


def test_each_call_is_told_its_own_time_and_not_that_of_the_one_before() -> None:
    stream, told = Stream(), list[tuple[str, float]]()
    ahead = StreamThrottle(stream.mark, clock=lambda: 0.0)
    for name, milliseconds, idle in (("small", 10.0, 5.0), ("large", 200.0, 0.0), ("small again", 12.0, 0.0)):
        stream.now += idle
        with ahead.call(lambda seconds, name=name: told.append((name, seconds))):
            stream.now += milliseconds
    assert told == [("small", 0.01), ("large", 0.2)]
    ahead.drain()

    assert told == [("small", 0.01), ("large", 0.2), ("small again", 0.012)]


def test_the_engine_books_each_calls_own_seconds_to_its_own_rows(models: TinyModels) -> None:
    """A GPU whose rows take 10 ms each, and whose thread is through at once."""
    session, stream = open_tiny_session(models), Stream()
    bench = Bench(session, batch=4)
    bench.engine._throttle = StreamThrottle(stream.mark, clock=lambda: 0.0)
    unet = session.model.text2img.unet
    handle = unet.register_forward_hook(lambda _m, given, _o: setattr(stream, "now", stream.now + 10.0 * len(given[0])))
    for scale in (7.0, 1.0):
        bench.admit(make_request(guidance_scale=scale, num_inference_steps=2 * SETTLED))
        bench.run()
    bench.engine._throttle.drain()
    handle.remove()
    session.close(RequestCancelledError())

    booked = bench.engine.times._seconds
    assert list(booked[2, 64]) == pytest.approx([0.02] * 2 * SETTLED)
    assert list(booked[1, 64]) == pytest.approx([0.01] * 2 * SETTLED)


def test_of_a_call_that_raised_nothing_is_told() -> None:
    stream, told = Stream(), list[float]()
    for ahead in (StreamThrottle(stream.mark), StreamThrottle(None)):
        with pytest.raises(ValueError, match="broke"), ahead.call(told.append):
            raise ValueError("broke")
        ahead.drain()

    assert told == []


def test_on_a_cpu_nothing_is_waited_for_and_the_clock_tells_at_once() -> None:
    clock, told = iter([10.0, 10.5]), list[float]()
    ahead = StreamThrottle.on(torch.device("cpu"), lambda: next(clock))
    with ahead.call(told.append):
        pass
    assert told == [0.5]
    ahead.drain()


def test_on_a_gpu_the_thread_sleeps_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, options = Stream(), list[dict[str, bool]]()

    def event(**given: bool) -> Marker:
        options.append(given)
        return stream.mark()

    monkeypatch.setattr(torch.cuda, "Event", event)
    with StreamThrottle.on(torch.device("cuda")).call(nothing):
        pass

    assert options == [{"blocking": True, "enable_timing": True}] * 2
    assert stream.log == ["recorded 1", "recorded 2"]
