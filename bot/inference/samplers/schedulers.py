"""Chooses a model's scheduler. Importing this module imports diffusers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import diffusers

from bot.domain.profile import ModelProfile
from bot.domain.sampler import SAMPLERS
from bot.errors import ModelError
from bot.inference.formats.weights import Header

logger = logging.getLogger(__name__)

# Reset for every sampler: a model's own configuration may switch one on, and the sampler would not be what its name says.
OPTIONS_OFF = dict.fromkeys((option for sampler in SAMPLERS.values() for option in sampler.options), False)

LATENTS = {"clip_sample": False}  # DDIM's default would cut latents, which go beyond 1, as if they were pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """A checkpoint's trained prediction, as far as its file says so."""

    v_prediction: bool = False
    zero_terminal_snr: bool = False


def sampling_of_file(header: Header) -> Sampling:
    """Read single files' marks: empty tensors `v_pred` and `ztsnr` (ComfyUI, Forge), or the trainer's notes (kohya)."""
    notes = header.metadata
    marked = "v_pred" in header.shapes or notes.get("ss_v_parameterization") == "True"
    return Sampling(
        v_prediction=marked or notes.get("modelspec.prediction_type", "").startswith("v"),
        zero_terminal_snr="ztsnr" in header.shapes or notes.get("ss_zero_terminal_snr") == "True",
    )


def build_scheduler(
    config: Any, profile: ModelProfile, sampling: Sampling | None = None, *, scheduler: str | None = None
) -> Any:
    """Returns a scheduler by its key in SAMPLERS (None: the profile's), on the model's own configuration; v-prediction if
    profile, file or model says so.

    `config` may also be that of a scheduler made here; it then already includes what the file said (`sampling`).
    """
    name = scheduler or profile.scheduler
    sampler = SAMPLERS.get(name)
    if sampler is None:
        raise ModelError(f"The model {profile.name!r} names the scheduler {name!r}, which Pastel does not know.")
    found = sampling or Sampling()
    if found.v_prediction and profile.prediction_type != "v_prediction":
        logger.info("The file of %s is marked as v-prediction; that wins over its profile.", profile.name)
    overrides: dict[str, Any] = LATENTS | OPTIONS_OFF | dict.fromkeys(sampler.options, True)
    if found.v_prediction or profile.prediction_type == "v_prediction":
        overrides["prediction_type"] = "v_prediction"
    if found.zero_terminal_snr or profile.rescale_betas_zero_snr:
        # trailing: only then the first step is the one with a signal of zero (arXiv:2305.08891)
        overrides |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return getattr(diffusers, sampler.scheduler).from_config(config, **overrides)
