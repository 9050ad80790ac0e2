"""Stages under limits, on a clock of the test's own."""

import json
import signal
import time

import pytest

from bot.bench.stages.course import DEVICE_LOST, NEEDS_CUDA, NO_TIME, Course, LateError, Record, Stage
from bot.errors import FolderError


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def record(tmp_path, clock):
    return Record(tmp_path / "lines.jsonl", clock)


def course(record, *, has_cuda=False, limit=None, is_fatal=lambda error: False):
    return Course(record=record, has_cuda=has_cuda, limit=limit, say=lambda _: None, after=lambda: None, is_fatal=is_fatal)


def taking(clock, seconds, name="stage", **options):
    def work(room):
        clock.now += seconds
        yield {"room": room}

    return Stage(name=name, limit=60, work=work, **options)


def test_a_line_is_on_the_disk_before_the_next_is_measured(record):
    seen = []

    def work(room):
        for number in (1, 2):
            yield {"number": number}
            seen.append([json.loads(line)["number"] for line in record.path.read_text().splitlines()])

    course(record).run([Stage(name="stage", limit=60, work=work)])

    assert seen == [[1], [1, 2]]


def test_the_last_stages_are_shed_when_time_runs_out(record, clock):
    course(record, limit=100).run([taking(clock, 50, "first"), taking(clock, 48, "second"), taking(clock, 1, "third")])

    assert [line["room"] for line in record.lines if "room" in line] == [60, 50]
    assert record.lines[-1] == {"stage": "third", "at": 98.0, "skipped": NO_TIME}


def test_what_needs_a_gpu_says_so_and_takes_no_time(record, clock):
    course(record).run([taking(clock, 50, needs_cuda=True)])

    assert record.lines == [{"stage": "stage", "at": 0.0, "skipped": NEEDS_CUDA}]


def test_a_stage_that_fails_ends_no_other(record, clock):
    def work(room):
        yield {"number": 1}
        raise ExceptionGroup("members", [RuntimeError("no such kernel\nat all")])

    course(record).run([Stage(name="bad", limit=60, work=work), taking(clock, 1, "good")])

    bad = next(line for line in record.lines if line["stage"] == "bad" and "done" in line)
    assert (bad["done"], bad["error"]) == (False, "RuntimeError: no such kernel")
    assert record.lines[-1]["stage"] == "good"
    assert record.lines[-1]["done"]


def test_after_a_lost_device_nothing_more_is_tried(record, clock):
    def work(room):
        raise RuntimeError("CUDA error: unspecified launch failure")
        yield {}

    course(record, is_fatal=lambda error: "CUDA error" in str(error)).run(
        [Stage(name="bad", limit=60, work=work), taking(clock, 1, "good")]
    )

    assert record.lines[-1] == {"stage": "good", "at": 0.0, "skipped": DEVICE_LOST}


def test_a_stage_is_interrupted_at_its_limit_and_keeps_what_it_measured(tmp_path):
    record = Record(tmp_path / "lines.jsonl")
    previous = signal.getsignal(signal.SIGALRM)

    def work(room):
        yield {"number": 1}
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            pass

    course(record).run([Stage(name="endless", limit=0.2, work=work)])

    assert [line.get("number") for line in record.lines] == [1, None]
    assert record.lines[-1]["late"] == "stopped after 0 s"
    assert record.lines[-1]["seconds"] < 20
    assert signal.getsignal(signal.SIGALRM) is previous


def test_an_alarm_that_was_set_before_is_set_again(tmp_path):
    before, _ = signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        course(Record(tmp_path / "lines.jsonl")).run([Stage(name="stage", limit=60, work=lambda room: iter(()))])
        left, _ = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.setitimer(signal.ITIMER_REAL, before)

    assert 900 < left <= 1000


def test_a_stage_that_keeps_its_own_time_is_late_by_its_own_word(record):
    def work(room):
        raise LateError
        yield {}

    course(record).run([Stage(name="slow", limit=60, work=work, keeps_time=True)])

    assert record.lines[-1]["late"] == "stopped after 60 s"


def test_what_is_no_number_is_null_in_the_file(record):
    record.put("stage", {"value": float("nan")})

    assert json.loads(record.path.read_text(), parse_constant=pytest.fail)["value"] is None


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(FolderError, match="Give --out another folder"):
        Record(tmp_path / "missing" / "lines.jsonl")
