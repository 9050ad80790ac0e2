"""Prints the lines of a run as text: the measurements, the decisions that they feed, and what was not measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.bench.table import figure, table_lines

Line = Mapping[str, Any]

COLUMNS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "machine": ("Matrix products and copies", ("matmul", "tflops", "gb_s")),
    "eager": ("One call of the UNet, by rows", ("rows", "device_ms", "host_ms", "peak_gib", "error")),
    "graphs": (
        "The same as a CUDA graph",
        ("rows", "device_ms", "host_ms", "capture_s", "same_bits", "reserved_gib", "error"),
    ),
    "compiled": (
        "The same compiled",
        ("mode", "rows", "device_ms", "host_ms", "first_call_s", "largest_difference"),
    ),
    "channels_last": ("The same with weights channels last", ("rows", "device_ms", "host_ms", "error")),
    "attention": ("Kernels for attention", ("backend", "rows", "device_ms", "error")),
    "syncs": ("Waits for the device in a step of two pictures, and in a decoding", ("step", "syncs", "host_ms")),
    "decoding": ("Decoding one picture", ("what", "dtype", "layout", "ms", "device_ms", "peak_gib")),
    "loras": ("Switching LoRAs", ("switch", "layers", "ms")),
    "alone": (
        "One picture alone, by turns",
        ("lane", "seconds", "cpu_seconds", "same_picture", "engine_to_stock", "decode_share"),
    ),
    "company": (
        "Members who ask anew when served",
        ("members", "pictures_s", "p50_s", "p95_s", "cpu_seconds", "decode_share", "peak_gib", "resident_gib"),
    ),
    "graphed_company": ("Members, with GRAPHS=on", ("members", "pictures_s", "p50_s", "p95_s", "decode_share", "peak_gib")),
    "kernels": ("Kernels of one call", ("rows", "launched")),
    "fp8": (
        "Matrix products in FP8 (a mode is worth its code below 0.65 of the time at 16 rows)",
        ("rows", "m", "k", "n", "share", "us", "fp8_tensor_us", "fp8_row_us"),
    ),
    "files": ("Making a file of a picture with a texture", ("file", "cpu_ms", "bytes")),
    "compiled_company": ("Members, with COMPILE=true", ("members", "pictures_s", "p50_s", "p95_s", "decode_share", "peak_gib")),
}
"""A stage's title, and which of its values are shown; the file has all of them."""

ENDS = ("done", "skipped")


def stage_lines(lines: Sequence[Line]) -> Iterator[str]:
    """Yields all tables in the order of the stages, with a blank line before each."""
    for name, (title, columns) in COLUMNS.items():
        rows = [line for line in lines if line["stage"] == name and not any(end in line for end in ENDS)]
        shown = [column for column in columns if any(line.get(column) is not None for line in rows)]
        cells = [tuple(_cell(line.get(column)) for column in shown) for line in rows]
        cells = [row for row in cells if any(cell != "-" for cell in row)]
        if cells:
            yield ""
            yield title
            yield from table_lines(shown, cells)
        if name == "syncs":
            yield from _waits(rows)
    yield from _unmeasured(lines)


def _waits(rows: Sequence[Line]) -> Iterator[str]:
    """Yields where the host waited, for each sampler that made it wait."""
    for line in rows:
        if line.get("lines"):
            places = ", ".join(f"{place} ({count})" for place, count in line["lines"].items())
            yield f"  {line['step']}: {places}"


def _unmeasured(lines: Sequence[Line]) -> Iterator[str]:
    found = [
        (line["stage"], line.get("skipped") or line.get("late") or line.get("error"))
        for line in lines
        if "skipped" in line or line.get("done") is False
    ]
    if found:
        yield ""
        yield "Not measured, or not to the end"
        yield from (f"  {stage}: {reason}" for stage, reason in found)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return figure(value) if isinstance(value, float) else str(value)
