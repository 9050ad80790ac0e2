"""Steps of many pictures at once against diffusers' own schedulers, one at a time."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bot.domain.profile import ModelSource
from bot.domain.request import ImageSeeds
from bot.domain.sampler import SAMPLERS
from bot.inference.denoising.denoising_state import Conditions, DenoisingState, Group, Guidance
from bot.inference.denoising.noise import PictureNoise, cpu_generator
from bot.inference.denoising.unet_call import denoise
from bot.inference.samplers.batched_steps import batched_steps
from bot.inference.samplers.schedulers import Sampling, build_scheduler
from tests.inference.gpu_rounding import GpuRounding
from tests.inference.samplers.test_schedulers import SDXL_CONFIG
from tests.tiny_sdxl import tiny_profile

PROFILE = tiny_profile(ModelSource(repo="a/b"))
SHAPE = (1, 4, 8, 8)
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # it takes minutes
NOISE, VELOCITY = Sampling(), Sampling(v_prediction=True)
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
IN_FLOAT32 = {"UniPCMultistepScheduler"}  # its step is, and rounds no number or difference to half precision


@dataclass(frozen=True, kw_only=True)
class Course:
    """One picture: from the step `begin` of a schedule, as img2img does, and `late` calls behind the others."""

    sampler: str
    steps: int
    begin: int
    late: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Model:
    """Its arithmetic gives a row the same bits in any company."""

    dtype: torch.dtype = torch.float32
    sampling: Sampling = NOISE
    config: tuple[tuple[str, Any], ...] = ()
    layout: torch.memory_format = torch.contiguous_format

    def scheduler(self, course: Course) -> Any:
        built = build_scheduler(SDXL_CONFIG | dict(self.config), PROFILE, self.sampling, scheduler=course.sampler)
        built.set_timesteps(course.steps)
        if hasattr(built, "set_begin_index"):
            built.set_begin_index(course.begin)
        return built

    def values(self, seed: int) -> torch.Tensor:
        return torch.randn(SHAPE, generator=cpu_generator(seed)).to(self.dtype)

    def unet(self, inputs: torch.Tensor, times: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
        texture = (self.values(1) * (times.float() / 1000).view(-1, 1, 1, 1)).to(self.dtype)
        return (inputs * 0.25 + texture,)

    def begun(self, course: Course) -> torch.Tensor:
        return (self.values(course.seed) * self.scheduler(course).init_noise_sigma).to(self.dtype, memory_format=self.layout)

    def drawn_alone(self, course: Course) -> list[torch.Tensor]:
        """By diffusers: the latents after each step."""
        scheduler, latents, seen = self.scheduler(course), self.begun(course), list[torch.Tensor]()
        takes_generator = "generator" in inspect.signature(scheduler.step).parameters
        options = {"generator": cpu_generator(course.seed)} if takes_generator else {}
        for timestep in scheduler.timesteps[course.begin :]:
            with GpuRounding():
                inputs = scheduler.scale_model_input(latents, timestep)
                (prediction,) = self.unet(inputs, timestep.view(1))
                if course.sampler in IN_FLOAT32:
                    latents, prediction = latents.float(), prediction.float()
                latents = scheduler.step(prediction, timestep, latents, **options).prev_sample.to(self.dtype)
            seen.append(latents)
        return seen

    def trajectory(self, course: Course) -> DenoisingState:
        scheduler = self.scheduler(course)
        timesteps = scheduler.timesteps[course.begin :]
        nothing = torch.zeros(1, 1)
        return DenoisingState(
            Group(height=8, width=8, tokens=1),
            scheduler,
            timesteps,
            self.begun(course),
            Conditions(embeddings=nothing, pooled=nothing, time_ids=nothing),
            Guidance(scale=1.0, acts=(False,) * len(timesteps)),
            PictureNoise(ImageSeeds(seed=course.seed, blends=())),
            batched_steps(scheduler, len(timesteps)),
        )

    def drawn_together(self, courses: Sequence[Course]) -> list[list[torch.Tensor]]:
        pictures, seen = [self.trajectory(course) for course in courses], [list[torch.Tensor]() for _ in courses]
        turn = 0
        while not all(picture.done for picture in pictures):
            call = [one for one, course in zip(pictures, courses, strict=True) if course.late <= turn and not one.done]
            if call:
                assert denoise(self.unet, call) == {}
            for picture, latents in zip(pictures, seen, strict=True):
                if picture in call:
                    latents.append(picture.latents)
            turn += 1
        return seen


def courses_of(samplers: st.SearchStrategy[str]) -> st.SearchStrategy[list[Course]]:
    def course(sampler: str, steps: int, begin: int, late: int, seed: int) -> Course:
        return Course(sampler=sampler, steps=steps, begin=min(begin, steps - 1), late=late, seed=seed)

    whole = st.integers(0, 30)
    steps = st.integers(1, 30)
    one = st.builds(course, samplers, steps, st.just(0) | whole, st.integers(0, 3), st.integers(0, 1_000))
    return st.lists(one, min_size=1, max_size=5)


SAMPLINGS = st.sampled_from([NOISE, VELOCITY, Sampling(v_prediction=True, zero_terminal_snr=True)])
CONFIGS = st.sampled_from(
    [
        (),
        (("timestep_spacing", "trailing"),),
        (("lower_order_final", False), ("final_sigmas_type", "sigma_min")),
        (("euler_at_final", True), ("final_sigmas_type", "sigma_min")),
        (("solver_order", 1),),
        (("set_alpha_to_one", True),),
    ]
)


@pytest.mark.parametrize("sampler", SAMPLERS)
@settings(max_examples=60, phases=NO_SHRINKING)
@given(data=st.data())
def test_each_picture_of_a_shared_step_is_the_one_of_its_own_scheduler_bit_for_bit(sampler: str, data: st.DataObject) -> None:
    dtype, sampling, config = data.draw(st.sampled_from(DTYPES)), data.draw(SAMPLINGS), data.draw(CONFIGS)
    layout = data.draw(st.sampled_from([torch.contiguous_format, torch.channels_last]))  # of the VAE's, in img2img
    model = Model(dtype=dtype, sampling=sampling, config=config, layout=layout)
    courses = data.draw(courses_of(st.just(sampler)))

    assert all(model.trajectory(course).batched is not None for course in courses)
    check_equal(model, courses)


@settings(max_examples=100, phases=NO_SHRINKING)
@given(courses=courses_of(st.sampled_from(sorted(SAMPLERS))), dtype=st.sampled_from(DTYPES), sampling=SAMPLINGS)
def test_pictures_of_mixed_samplers_are_those_of_their_own_schedulers_bit_for_bit(
    courses: list[Course], dtype: torch.dtype, sampling: Sampling
) -> None:
    check_equal(Model(dtype=dtype, sampling=sampling), courses)


def check_equal(model: Model, courses: Sequence[Course]) -> None:
    for course, latents in zip(courses, model.drawn_together(courses), strict=True):
        wanted = model.drawn_alone(course)
        assert len(latents) == len(wanted) == course.steps - course.begin
        for one, other in zip(latents, wanted, strict=True):
            assert (one.dtype, one.stride()[1:]) == (other.dtype, other.stride()[1:])  # the UNet's kernels depend on it
            torch.testing.assert_close(one, other, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.parametrize(
    ("sampler", "config"),
    [
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("DPMSolverMultistepScheduler", {"solver_order": 3}),
        ("DPMSolverMultistepScheduler", {"thresholding": True}),
        ("UniPCMultistepScheduler", {"solver_order": 3}),
        ("UniPCMultistepScheduler", {"disable_corrector": [0]}),
        ("DDIMScheduler", {"thresholding": True}),
        ("LCMScheduler", {"prediction_type": "sample"}),
    ],
)
def test_what_no_shared_step_knows_takes_its_own_schedulers_bit_for_bit(sampler: str, config: dict[str, Any]) -> None:
    model = Model(config=tuple(config.items()))
    courses = [Course(sampler=sampler, steps=steps, begin=begin, late=0, seed=steps) for steps, begin in ((6, 0), (9, 4))]

    assert batched_steps(model.scheduler(courses[0]), 6) is None
    check_equal(model, courses)
