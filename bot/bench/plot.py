"""Plots a report as a picture with four panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.bench.figures import percentile
from bot.bench.results import Report

INCHES = (11.2, 7.2)
COLOURS = {"stock": "#787c8c", "batched": "#5696dc", "engine": "#e25a8c"}
OTHER = "#28a078"


def draw_report(figure: Any, report: Report) -> None:
    """Draw throughput, latency, the step-time curve and shares of the roofline on a matplotlib Figure."""
    setting = report.setting
    figure.suptitle(f"{setting.model} on {setting.device}, {setting.dtype}")
    throughput, latency, step_times, roofline = figure.subplots(2, 2).flat
    _throughput(throughput, report)
    _latency(latency, report)
    _step_times(step_times, report)
    _roofline(roofline, report)


def frame(axes: Any, title: str, below: str, places: Sequence[str]) -> None:
    """Set the title, the grid, values from 0 up, and the labels along the bottom."""
    axes.set_title(title)
    axes.set_xlabel(below)
    axes.set_xticks(range(len(places)), places)
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.grid(axis="y", alpha=0.4)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")


def _throughput(axes: Any, report: Report) -> None:
    rates = {lane: [one.rate(lane) for one in report.throughput] for lane in COLOURS}
    axes.grouped_bar(rates, colors=list(COLOURS.values()))
    frame(axes, "Pictures a second", "members who ask anew when served", [str(one.members) for one in report.throughput])


def _latency(axes: Any, report: Report) -> None:
    for lane, colour in COLOURS.items():
        for share, style in ((0.5, "-"), (0.95, "--")):
            values = [percentile(one.latencies[lane], share) for one in report.latency]
            axes.plot(values, style, marker="o", color=colour, label=f"{lane}, p{100 * share:g}")
    frame(axes, "Seconds to the picture", "load (1 = all that stock can serve)", [f"{one.load:g}" for one in report.latency])


def _step_times(axes: Any, report: Report) -> None:
    axes.plot([one.pictures / one.seconds for one in report.step_times], marker="o", color=OTHER)
    frame(axes, "Steps a second, of all pictures together", "pictures a call", [str(one.pictures) for one in report.step_times])


def _roofline(axes: Any, report: Report) -> None:
    shares = {lane: [100 * one.rate(lane) * one.flops / report.roof for one in report.throughput] for lane in COLOURS}
    axes.grouped_bar(shares, colors=list(COLOURS.values()))
    frame(axes, "Percent of the roofline", "members who ask anew when served", [str(one.members) for one in report.throughput])
