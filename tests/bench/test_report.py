"""What is left of a bench: text, JSON and a picture."""

import json
import sys
from dataclasses import replace
from functools import partial

import pytest

from bot.bench.plot import COLOURS, INCHES, draw_report
from bot.bench.probes import resident_bytes
from bot.bench.results import Throughput
from bot.bench.session import write_report
from bot.bench.table import figure, report_lines, table_lines
from bot.plots import save_plot
from tests.bench.sleeping_contestants import sample_report
from tests.plots import needs_plots, pixels_of


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
    data = write_report(sample_report(), tmp_path)[0]

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


@needs_plots
def test_the_plot_shows_every_lane(tmp_path):
    _, picture = write_report(sample_report(), tmp_path)

    for colour in COLOURS.values():
        assert pixels_of(colour, picture) > 5000


def test_without_matplotlib_there_is_the_json_and_a_line_that_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    assert [path.suffix for path in write_report(sample_report(), tmp_path)] == [".json"]
    assert ".[plots]" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))


@needs_plots
def test_a_plot_of_what_could_not_be_measured_is_empty_and_no_fault(tmp_path):
    nothing = Throughput(
        members=1,
        requests=0,
        flops=1.0,
        rates=dict.fromkeys(COLOURS, ()),
        cpu_seconds=dict.fromkeys(COLOURS, ()),
        previews=dict.fromkeys(COLOURS, ()),
    )

    report = replace(sample_report(), throughput=(nothing,), latency=(), step_times=())

    assert save_plot(partial(draw_report, report=report), tmp_path / "empty.png", inches=INCHES)
    # the legends have the colours, and nothing else
    assert all(pixels_of(colour, tmp_path / "empty.png") < 1500 for colour in COLOURS.values())


def test_this_process_holds_some_memory():
    assert 2**20 < resident_bytes() < 2**40
