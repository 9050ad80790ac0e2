"""The samplers that a request may name: built on the model's own settings, and acting on one request alone."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest

from bot.domain.profile import ModelSource
from bot.domain.sampler import SAMPLER_NAMES, SAMPLERS
from bot.errors import ModelError
from bot.inference.generator import DiffusersGenerator
from bot.inference.samplers.schedulers import Sampling, build_scheduler
from tests.inference.conftest import draw, make_request, pixels
from tests.inference.images.test_pictures import tutorial_call, tutorial_pipeline
from tests.tiny_sdxl import TinyModels, tiny_profile

KARRAS = "DPMSolverMultistepScheduler+use_karras_sigmas"
PROFILE = tiny_profile(ModelSource(repo="a/b"))
SDXL_CONFIG: dict[str, Any] = {  # of stabilityai/stable-diffusion-xl-base-1.0
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
    "use_karras_sigmas": False,
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_is_a_scheduler_of_diffusers_that_calls_the_unet_once_a_step(name: str) -> None:
    scheduler = build_scheduler(SDXL_CONFIG, PROFILE, scheduler=name)
    scheduler.set_timesteps(8)

    assert isinstance(scheduler, getattr(diffusers, SAMPLERS[name].scheduler))
    assert (scheduler.order, len(scheduler.timesteps)) == (1, 8)
    assert (scheduler.config.beta_end, scheduler.config.prediction_type) == (0.012, "epsilon")


def test_karras_is_switched_on_by_its_name_alone() -> None:
    karras = build_scheduler(SDXL_CONFIG, PROFILE, scheduler=KARRAS)
    plain = build_scheduler(SDXL_CONFIG | {"use_karras_sigmas": True}, PROFILE, scheduler="DPMSolverMultistepScheduler")

    assert karras.config.use_karras_sigmas is True
    assert plain.config.use_karras_sigmas is False
    assert SAMPLER_NAMES[KARRAS] == "DPM++ 2M Karras"


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_a_file_is_marked_as_holds_for_every_scheduler_built_after_it(name: str) -> None:
    loaded = build_scheduler(SDXL_CONFIG, PROFILE, Sampling(v_prediction=True, zero_terminal_snr=True))

    config = build_scheduler(loaded.config, PROFILE, scheduler=name).config

    assert config.prediction_type == "v_prediction"
    assert config.rescale_betas_zero_snr is True
    assert config.timestep_spacing == "trailing"


def test_a_scheduler_built_on_another_ones_settings_equals_one_built_on_the_models() -> None:
    config: Any = SDXL_CONFIG
    for name in (*SAMPLERS, "EulerAncestralDiscreteScheduler"):
        config = build_scheduler(config, PROFILE, scheduler=name).config
    chained = build_scheduler(config, PROFILE)
    direct = build_scheduler(SDXL_CONFIG, PROFILE)
    for scheduler in (chained, direct):
        scheduler.set_timesteps(10)

    assert chained.timesteps.tolist() == direct.timesteps.tolist()
    assert chained.sigmas.tolist() == direct.sigmas.tolist()


def test_a_setting_that_one_sampler_does_not_know_is_kept_for_the_next() -> None:
    lcm = build_scheduler(SDXL_CONFIG | {"interpolation_type": "log_linear"}, PROFILE, scheduler="LCMScheduler")
    euler = build_scheduler(lcm.config, PROFILE, scheduler="EulerDiscreteScheduler")

    assert euler.config.interpolation_type == "log_linear"


@pytest.mark.parametrize("name", SAMPLERS)
def test_latents_are_not_cut_to_the_range_of_pixels_where_a_models_settings_do_not_say_so(name: str) -> None:
    silent = {key: value for key, value in SDXL_CONFIG.items() if key != "clip_sample"}

    assert not build_scheduler(silent, PROFILE, scheduler=name).config.get("clip_sample", False)


def test_an_unknown_sampler_is_named() -> None:
    with pytest.raises(ModelError, match="'MagicScheduler', which Pastel does not know"):
        build_scheduler(SDXL_CONFIG, PROFILE, scheduler="MagicScheduler")


@pytest.mark.parametrize(("name", "options"), [("LCMScheduler", {}), (KARRAS, {"use_karras_sigmas": True})])
async def test_a_request_is_drawn_with_its_own_sampler_and_the_next_one_with_the_profiles(
    models: TinyModels, shared_generator: DiffusersGenerator, name: str, options: dict[str, bool]
) -> None:
    pipe = tutorial_pipeline(models)
    by_profile = tutorial_call(pipe, width=64, height=64)
    pipe.scheduler = getattr(diffusers, SAMPLERS[name].scheduler).from_config(pipe.scheduler.config, **options)
    expected = tutorial_call(pipe, width=64, height=64)

    drawn = await draw(shared_generator, make_request(scheduler=name))
    after = await draw(shared_generator, make_request())

    assert np.array_equal(pixels(drawn.images[0].data), expected)
    assert np.array_equal(pixels(after.images[0].data), by_profile)
    assert f"Sampler: {SAMPLER_NAMES[name]}," in drawn.images[0].parameters
