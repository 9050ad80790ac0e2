"""Chooses a model's precision on a CPU: bfloat16 if the processor gains from it, else float32. Chosen once, and kept."""

from __future__ import annotations

import logging

import torch

from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.casting import lower
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.measuring.machine import lasting_key
from bot.inference.measuring.measurements import PRECISION, Measurements
from bot.inference.measuring.precision_measurement import speed_up

WORTH = 1.2  # times as quick as float32; a smaller gain does not justify changed pictures
FLOAT32, BFLOAT16 = "float32", "bfloat16"

logger = logging.getLogger(__name__)


def adopt_precision(model: LoadedModel, settings: EngineSettings) -> None:
    """Make UNet and VAE compute in the precision that suits this machine. Before anything is drawn, on the drawing thread.

    A choice made once for this processor and model stays, so that a picture can be drawn again. GPUs are left alone.
    """
    if settings.precision == "exact" or settings.reproducible or not has_choice(model):
        return
    measurements = Measurements(settings.measurements)
    known = measurements.find(PRECISION, lasting_key(model, mode=PRECISION))
    chosen = None if known is None else known.value
    if chosen not in (FLOAT32, BFLOAT16):
        chosen, _ = choose_anew(model, measurements)
    if chosen == BFLOAT16:
        lower(model.text2img)


def has_choice(model: LoadedModel) -> bool:
    """Returns whether the model is on a CPU, in float32."""
    return model.device.type == "cpu" and model.text2img.unet.dtype == torch.float32


def choose_anew(model: LoadedModel, measurements: Measurements) -> tuple[str, float]:
    """Returns the precision to draw in, whatever was kept, and bfloat16's speed as a multiple of float32's; keeps the choice.

    The model must be as it was loaded. If it cannot be measured, for lack of memory say, it is float32, and nothing is kept.
    """
    try:
        gain = speed_up(model)
    except (RuntimeError, MemoryError) as error:
        logger.warning(
            "Whether bfloat16 is quicker here could not be measured: %s", (str(error) or "no memory").splitlines()[0]
        )
        return FLOAT32, 1.0
    chosen = BFLOAT16 if gain >= WORTH else FLOAT32
    logger.info("A step in bfloat16 is %.2f times as quick as in float32: pictures are drawn in %s.", gain, chosen)
    measurements.keep(PRECISION, lasting_key(model, mode=PRECISION), chosen)
    return chosen, gain
