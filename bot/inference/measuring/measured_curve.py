"""The batch curve of a loaded model: the kept one, until a pause of the queue allows measuring it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor

from bot.domain.batch_curve import BatchCurve
from bot.inference.faults import is_device_lost
from bot.inference.measuring.curve_measurement import SIZES, CurveMeasurement
from bot.inference.measuring.measurements import CURVE, Key, Measurements, curve_value, kept_curve

logger = logging.getLogger(__name__)


class MeasuredCurve:
    """Measures and keeps the curve, on the drawing thread; `files` writes it. `seconds(n)` times one call of n pictures, `most`
    is the largest call of interest.

    `curve` is what was kept for this key, else what was kept under another driver or version, else None.
    """

    def __init__(
        self,
        seconds: Callable[[int], float | None],
        measurements: Measurements,
        key: Key,
        files: Executor,
        *,
        most: int = SIZES[-1],
    ) -> None:
        self._seconds = seconds
        self._measurements = measurements
        self._key = key
        self._files = files
        self._most = most
        known = kept_curve(measurements.find(CURVE, key))
        self.curve: BatchCurve | None = known or kept_curve(measurements.nearest(CURVE, key))
        self._measurement = None if known is not None else CurveMeasurement(seconds, most=most)

    @property
    def wanted(self) -> bool:
        """Returns whether there is something left to measure."""
        return self._measurement is not None

    def interrupt(self) -> None:
        """Note that pictures were drawn since the last step."""
        if self._measurement is not None:
            self._measurement.interrupt()

    def step(self) -> bool:
        """Time one call; returns whether `curve` is a new one now. Raises what ends the device; any other fault stops the
        measuring until the next start.
        """
        if self._measurement is None:
            return False
        try:
            self._measurement.step()
        except Exception as error:
            if is_device_lost(error):
                raise
            logger.warning(
                "How long steps take could not be measured: %s", (str(error) or type(error).__name__).splitlines()[0]
            )
            self._measurement = None
            return False
        if not self._measurement.done:
            return False
        self.curve, self._measurement = self._measurement.curve(), None
        self._files.submit(self._measurements.keep, CURVE, self._key, curve_value(self.curve))
        return True

    def measure_anew(self) -> BatchCurve | None:
        """Returns a new curve, whatever was kept; takes seconds. None if it could not be measured, as the log says."""
        self._measurement = CurveMeasurement(self._seconds, most=self._most)
        while self.wanted:
            if self.step():
                return self.curve
        return None
