"""`bench --precision`: chooses the precision of pictures on this CPU anew, and keeps it for the bot."""

from __future__ import annotations

import asyncio

from bot.bench.options import BenchOptions
from bot.bench.setup import load_known_model
from bot.errors import ModelError
from bot.log import set_up_logging
from bot.resources import engine_settings
from bot.settings import Settings


async def choose_precision(settings: Settings, options: BenchOptions) -> None:
    """Measure, print the choice and keep it in the file of the data folder. Raises ModelError."""
    set_up_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format)
    chosen, gain = await asyncio.to_thread(_choose, settings, options)
    print(f"A step in bfloat16 is {gain:.2f} times as quick as in float32.")
    if settings.precision == "exact" or settings.reproducible:
        name = "PRECISION=exact" if settings.precision == "exact" else "REPRODUCIBLE=true"
        print(f"Without {name} pictures would be drawn in {chosen}; with it, in float32.")
    else:
        print(f"Pictures are drawn in {chosen} from the next start on.")
    print(f"\nKept in {engine_settings(settings).measurements}.")


def _choose(settings: Settings, options: BenchOptions) -> tuple[str, float]:
    from bot.inference.torch_import import import_libraries

    import_libraries()
    from bot.inference.measuring.measurements import Measurements
    from bot.inference.measuring.precision import choose_anew, has_choice

    model = load_known_model(settings, options)
    if not has_choice(model):
        raise ModelError(f"{model.profile.name} lies on {model.device}, and only a CPU has the choice. Set DEVICE to cpu.")
    return choose_anew(model, Measurements(engine_settings(settings).measurements))
