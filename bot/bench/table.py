"""Prints a report as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from bot.bench.figures import median, percentile
from bot.bench.results import MLPERF_RECORD, Cancellation, Latency, Report, StepTime, Strain, Throughput

GIB, TERA = 1024**3, 1e12


def report_lines(report: Report) -> Iterator[str]:
    """Yields the whole report, with a blank line before each table."""
    setting = report.setting
    width, height = setting.size
    yield f"{setting.model} on {setting.device}, {setting.dtype}"
    yield f"{width} x {height}, steps {', '.join(map(str, setting.steps))}, guidance {setting.guidance_scale:g}"
    yield f"pictures a call: engine {setting.batch}, static batches up to {setting.static_batch}"
    yield f"matrix products: {report.roof / TERA:.3g} TFLOP/s, the roof that shares refer to"
    if setting.is_quick:
        yield "A quick look: too short for figures to be quoted."
    yield from _titled("Pictures a second, by members who ask anew when served", _throughput(report.throughput, report.roof))
    yield from _titled("Seconds to the picture, by load of the stock pipeline (Poisson arrivals)", _latency(report.latency))
    yield from _titled("Seconds to the first preview in the engine (others have none)", _previews(report))
    yield from _titled("From a cancel to the engine's letting go", _cancellation(report.cancellation))
    yield from _titled("One guided step of so many pictures in one call", _step_times(report.step_times, report.roof))
    yield from _titled("The event loop meanwhile, and memory at most", _strain(report.strain))
    if report.mlperf is not None:
        title = (
            f"MLPerf's setting (20 steps, Euler, guidance 8, 1024 x 1024); record of one H200: {MLPERF_RECORD:.2f} pictures/s"
        )
        yield from _titled(title, _throughput([report.mlperf], report.roof))


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields columns as wide as their widest cell: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def figure(value: float, digits: int = 3) -> str:
    """Returns a value with that many significant digits and no exponent; a dash for what was not measured."""
    if not math.isfinite(value):
        return "-"
    decimals = digits if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 6)}f}"


def _titled(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield ""
    yield title
    yield from lines


def _throughput(scenarios: Sequence[Throughput], roof: float) -> Iterator[str]:
    rows = [
        (
            f"{one.members}, {lane}",
            figure(one.rate(lane)),
            f"{one.ratio(lane):.3f}",
            figure(median(one.cpu_seconds[lane])),
            f"{one.rate(lane) * one.flops / roof:.1%}",
            str(one.requests),
            str(len(rates)),
        )
        for one in scenarios
        for lane, rates in one.rates.items()
    ]
    return table_lines(("members, lane", "pictures/s", ": stock", "CPU s each", "of the roof", "pictures", "rounds"), rows)


def _latency(scenarios: Sequence[Latency]) -> Iterator[str]:
    rows = [
        (
            f"{one.load:g}, {lane}",
            figure(percentile(latencies, 0.5)),
            figure(percentile(latencies, 0.95)),
            figure(sum(latencies) / len(latencies)),
            str(len(latencies)),
        )
        for one in scenarios
        for lane, latencies in one.latencies.items()
    ]
    return table_lines(("load, lane", "p50", "p95", "mean", "pictures"), rows)


def _previews(report: Report) -> Iterator[str]:
    found = [(f"{one.members} members", one.previews["engine"]) for one in report.throughput]
    found += [(f"load {one.load:g}", one.previews["engine"]) for one in report.latency]
    rows = [(name, figure(percentile(all_, 0.5)), figure(percentile(all_, 0.95)), str(len(all_))) for name, all_ in found]
    return table_lines(("scenario", "p50", "p95", "previews"), rows)


def _cancellation(trials: Sequence[Cancellation]) -> Iterator[str]:
    rows = [
        (
            f"{one.company} others",
            figure(percentile(one.steps, 0.5)),
            figure(max(one.steps, default=math.nan)),
            figure(percentile(one.seconds, 0.5)),
            str(len(one.steps)),
        )
        for one in trials
    ]
    return table_lines(("while drawing", "steps p50", "steps max", "seconds p50", "cancels"), rows)


def _step_times(steps: Sequence[StepTime], roof: float) -> Iterator[str]:
    rows = [
        (str(one.pictures), figure(one.seconds), figure(one.pictures / one.seconds), f"{one.flops / one.seconds / roof:.1%}")
        for one in steps
    ]
    return table_lines(("pictures", "seconds", "steps x pictures/s", "of the roof"), rows)


def _strain(lanes: Mapping[str, Strain]) -> Iterator[str]:
    rows = [
        (
            lane,
            figure(1000 * percentile(one.lags, 0.99)),
            figure(1000 * max(one.lags, default=math.nan)),
            f"{one.resident / GIB:.2f}",
            "-" if one.device is None else f"{one.device / GIB:.2f}",
        )
        for lane, one in lanes.items()
    ]
    return table_lines(("lane", "lag p99 ms", "lag max ms", "resident GiB", "GPU GiB"), rows)
