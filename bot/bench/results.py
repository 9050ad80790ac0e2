"""The results of a bench, as they are kept. Seconds, bytes, and FLOPs (a multiplication and an addition are two)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot.bench.figures import median, median_ratio, percentile

BASE = "stock"  # the lane that the others are compared with
MLPERF_RECORD = 2.40  # pictures a second of one H200: MLPerf Inference v5.1, SDXL, offline, FP8 UNet and INT8 VAE in TensorRT


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The setting of a bench. `batch` is the engine's, `static_batch` the most of a static one; `size` (width, height)."""

    model: str
    device: str
    dtype: str
    versions: Mapping[str, str]
    batch: int
    static_batch: int
    steps: tuple[int, ...]
    guidance_scale: float
    size: tuple[int, int]
    is_quick: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Throughput with members who ask again once served. Lane by lane, one figure a round: `rates` are pictures a second,
    `cpu_seconds` of all threads for a picture, which a busy machine hardly changes. `flops` is the mean of a picture.
    """

    members: int
    requests: int
    flops: float
    rates: Mapping[str, Sequence[float]]
    cpu_seconds: Mapping[str, Sequence[float]]
    previews: Mapping[str, Sequence[float]]

    def rate(self, lane: str) -> float:
        return median(self.rates[lane])

    def ratio(self, lane: str) -> float:
        """Returns the ratio to the stock pipeline, the median over rounds."""
        return median_ratio(self.rates[lane], self.rates[BASE])

    def to_dict(self, roof: float) -> dict[str, Any]:
        lanes = {
            lane: {
                "pictures_per_second": self.rate(lane),
                "rounds": list(rates),
                "ratio_to_stock": self.ratio(lane),
                "cpu_seconds_per_picture": median(self.cpu_seconds[lane]),
                "flops_per_second": self.rate(lane) * self.flops,
                "roofline_share": self.rate(lane) * self.flops / roof,
                "first_preview_p50": percentile(self.previews[lane], 0.5),
            }
            for lane, rates in self.rates.items()
        }
        return {"members": self.members, "requests": self.requests, "flops_per_picture": self.flops, "lanes": lanes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Latency with members who come at random, `rate` a second, which is `load` times what the stock pipeline can serve.
    Seconds from asking to the picture, and to the first preview if there was one, lane by lane.
    """

    load: float
    rate: float
    requests: int
    latencies: Mapping[str, Sequence[float]]
    previews: Mapping[str, Sequence[float]]

    def to_dict(self) -> dict[str, Any]:
        lanes = {
            lane: {
                "mean": sum(latencies) / len(latencies),
                "p50": percentile(latencies, 0.5),
                "p95": percentile(latencies, 0.95),
                "first_preview_p50": percentile(self.previews[lane], 0.5),
                "first_preview_p95": percentile(self.previews[lane], 0.95),
            }
            for lane, latencies in self.latencies.items()
        }
        return {"load": self.load, "arrivals_per_second": self.rate, "requests": self.requests, "lanes": lanes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Requests cancelled while `company` others were drawn: the delay until the generator stopped, in seconds and in steps."""

    company: int
    seconds: tuple[float, ...]
    steps: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "company": self.company,
            "cancels": len(self.steps),
            "steps_p50": percentile(self.steps, 0.5),
            "steps_max": max(self.steps, default=math.nan),
            "seconds_p50": percentile(self.seconds, 0.5),
            "seconds_max": max(self.seconds, default=math.nan),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """Times of one guided step of `pictures` images in one call of the UNet; `flops` of the call."""

    pictures: int
    seconds: float
    flops: float

    def to_dict(self, roof: float) -> dict[str, Any]:
        return asdict(self) | {
            "pictures_per_second": self.pictures / self.seconds,
            "roofline_share": self.flops / self.seconds / roof,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """A lane's costs while it was measured: how late the event loop woke sleepers, and the highest memory.

    `resident` is the whole process (memory is given back late, so it includes earlier lanes); `device` is the memory of tensors
    on a GPU, None without one.
    """

    lags: tuple[float, ...]
    resident: int
    device: int | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "loop_lag_p99": percentile(self.lags, 0.99),
            "loop_lag_max": max(self.lags, default=math.nan),
            "loop_lag_samples": len(self.lags),
            "peak_resident_bytes": self.resident,
            "peak_device_bytes": self.device,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A bench's report. `roof` is this run's FLOPs a second of large matrix products; `mlperf` None where it was not run."""

    setting: Setting
    roof: float
    throughput: tuple[Throughput, ...]
    latency: tuple[Latency, ...]
    cancellation: tuple[Cancellation, ...]
    step_times: tuple[StepTime, ...]
    strain: Mapping[str, Strain]
    mlperf: Throughput | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON, None for what could not be measured."""
        mlperf = None
        if self.mlperf is not None:
            mlperf = self.mlperf.to_dict(self.roof) | {"record_pictures_per_second": MLPERF_RECORD}
        values: dict[str, Any] = {
            "setting": asdict(self.setting),
            "matmul_flops_per_second": self.roof,
            "throughput": [one.to_dict(self.roof) for one in self.throughput],
            "latency": [one.to_dict() for one in self.latency],
            "cancellation": [one.to_dict() for one in self.cancellation],
            "step_times": [one.to_dict(self.roof) for one in self.step_times],
            "strain": {lane: one.to_dict() for lane, one in self.strain.items()},
            "mlperf": mlperf,
        }
        return without_nan(values)


def without_nan(value: Any) -> Any:
    """Returns the same value for JSON, which knows no NaN: it becomes None."""
    if isinstance(value, dict):
        return {str(key): without_nan(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]  # pyright: ignore[reportUnknownVariableType] # JSON
    return None if isinstance(value, float) and not math.isfinite(value) else value
