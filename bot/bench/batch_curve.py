"""`bench --batch-curve`: measures how long steps take, with the bot's own settings, and keeps it for the bot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bot.bench.options import BenchOptions
from bot.domain.batch_curve import BatchCurve
from bot.domain.profile import ModelProfile
from bot.errors import ModelError
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.model_files import check_weights
from bot.log import set_up_logging
from bot.resources import default_model, engine_settings, memory_plan
from bot.settings import SHIPPED_DATA, Settings
from bot.storage.catalog import load_catalog


async def measure_batch_curve(settings: Settings, options: BenchOptions) -> None:
    """Measure, print the curve and keep it in the file of the data folder. Raises ModelError."""
    set_up_logging(settings.log_level, settings.log_format)
    catalog = await asyncio.to_thread(load_catalog, SHIPPED_DATA, settings.data_dir)
    profile = catalog.profile(options.model or settings.model or default_model(catalog))
    engine = engine_settings(settings, memory_plan(settings, profile))
    curve = await asyncio.to_thread(_measure, settings, engine, profile)
    for line in _lines(curve, engine.cap):
        print(line)
    print(f"\nKept in {engine.measurements}.")


def _measure(settings: Settings, engine: EngineSettings, profile: ModelProfile) -> BatchCurve:
    from bot.inference.torch_import import import_libraries

    import_libraries()
    from bot.inference.session import open_session

    check_weights(profile)
    session = open_session(profile, engine, device=settings.device, cache_dir=None)
    try:
        curve = session.measure_anew()
    finally:
        session.close(RuntimeError("nothing was being drawn"))
    if curve is None:
        raise ModelError(f"How long steps of {profile.name} take could not be measured, as the log says. Free some memory.")
    return curve


def _lines(curve: BatchCurve, cap: int) -> Iterator[str]:
    """Yields the table, and its meaning for MAX_BATCH=0."""
    yield "pictures a call  ms a step  steps a second, of all pictures together"
    for pictures, seconds in curve.points:
        yield f"{pictures:>15}  {1000 * seconds:>9.1f}  {pictures / seconds:.1f}"
    yield f"With MAX_BATCH=0, {curve.best_batch(cap)} pictures share a step."
