"""What is left of a bench: text, JSON and a picture."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bot.bench.plot import COLOURS, draw_plot, nice_tick
from bot.bench.probes import resident_bytes
from bot.bench.results import Throughput
from bot.bench.session import write_report
from bot.bench.table import figure, report_lines, table_lines
from tests.bench.sleeping_contestants import sample_report


def test_columns_are_as_wide_as_what_is_in_them():
    assert list(table_lines(("a", "number"), [("longer", "1"), ("x", "1000000")])) == [
        "  a        number",
        "  longer        1",
        "  x       1000000",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1234"), (12.345, "12.3"), (0.012345, "0.0123"), (0.0, "0.000"), (float("nan"), "-"), (1e-9, "0.000000")],
)
def test_figures_have_three_digits_and_no_exponent(value, text):
    assert figure(value) == text


def test_the_text_has_every_table_with_its_figures():
    text = " ".join(" ".join(report_lines(sample_report())).split())

    assert "mini on a device, float16" in text
    assert "members, lane pictures/s : stock CPU s each of the roof pictures rounds" in text
    assert "1, engine 3.00 2.000 0.500 30.0% 6 2" in text
    assert "0.5, stock 2.00 6.00 3.00 3" in text
    assert "MLPerf" not in text


def test_mlperfs_setting_stands_beside_its_record_where_it_was_run():
    report = sample_report()
    mlperf = replace(report, mlperf=report.throughput[0])

    assert "record of one H200: 2.40 pictures/s" in "\n".join(report_lines(mlperf))
    assert mlperf.to_dict()["mlperf"]["record_pictures_per_second"] == 2.40


def test_json_has_everything_and_no_nan(tmp_path):
    data, _ = write_report(sample_report(), tmp_path)

    values = json.loads(data.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(values) == {
        "setting",
        "matmul_flops_per_second",
        "throughput",
        "latency",
        "cancellation",
        "step_times",
        "strain",
        "mlperf",
    }
    engine = values["throughput"][0]["lanes"]["engine"]
    assert engine["ratio_to_stock"] == pytest.approx(2.0)
    assert engine["roofline_share"] == pytest.approx(3.0 * 100 / 1000)
    assert values["throughput"][0]["lanes"]["stock"]["first_preview_p50"] is None


def test_the_plot_shows_every_lane():
    pixels = np.asarray(draw_plot(sample_report())).reshape(-1, 3)

    for colour in COLOURS.values():
        assert (pixels == colour).all(axis=1).sum() > 1000


def test_a_plot_of_what_could_not_be_measured_is_empty_and_no_fault():
    nothing = Throughput(
        members=1,
        requests=0,
        flops=1.0,
        rates=dict.fromkeys(COLOURS, ()),
        cpu_seconds=dict.fromkeys(COLOURS, ()),
        previews=dict.fromkeys(COLOURS, ()),
    )

    draw_plot(replace(sample_report(), throughput=(nothing,), latency=(), step_times=()))


@pytest.mark.parametrize(("highest", "tick"), [(0.9, 0.2), (10, 2), (37, 10), (0, 1), (float("nan"), 1)])
def test_ticks_are_round_numbers(highest, tick):
    assert nice_tick(highest) == pytest.approx(tick)


def test_this_process_holds_some_memory():
    assert 2**20 < resident_bytes() < 2**40
