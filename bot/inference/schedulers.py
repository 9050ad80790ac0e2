"""Which scheduler a model runs with. Importing this module imports diffusers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import diffusers

from bot.domain.profile import SAMPLER_NAMES, ModelProfile
from bot.errors import ModelError
from bot.inference.weights import Header

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What a checkpoint was trained to predict, as far as its file says so."""

    v_prediction: bool = False
    zero_terminal_snr: bool = False


def sampling_of_file(header: Header) -> Sampling:
    """Read the marks of single files: empty tensors `v_pred` and `ztsnr` (ComfyUI, Forge), or the trainer's notes (kohya)."""
    notes = header.metadata
    marked = "v_pred" in header.shapes or notes.get("ss_v_parameterization") == "True"
    return Sampling(
        v_prediction=marked or notes.get("modelspec.prediction_type", "").startswith("v"),
        zero_terminal_snr="ztsnr" in header.shapes or notes.get("ss_zero_terminal_snr") == "True",
    )


def build_scheduler(config: Any, profile: ModelProfile, sampling: Sampling | None = None) -> Any:
    """The profile's scheduler on the model's own configuration; v-prediction if profile, file or model says so."""
    if profile.scheduler not in SAMPLER_NAMES:
        raise ModelError(f"The model {profile.name!r} names the scheduler {profile.scheduler!r}, which Pastel does not know.")
    found = sampling or Sampling()
    if found.v_prediction and profile.prediction_type != "v_prediction":
        logger.info("The file of %s is marked as v-prediction; that wins over its profile.", profile.name)
    overrides: dict[str, Any] = {}
    if found.v_prediction or profile.prediction_type == "v_prediction":
        overrides["prediction_type"] = "v_prediction"
    if found.zero_terminal_snr or profile.rescale_betas_zero_snr:
        # trailing: only then the first step is the one with a signal of zero (arXiv:2305.08891)
        overrides |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return getattr(diffusers, profile.scheduler).from_config(config, **overrides)
