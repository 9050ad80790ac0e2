"""Counts of arithmetic, and the random SDXL: as large as the real one."""

import pytest
import torch

from bot.bench.setup import TOKENIZERS, random_profile
from bot.bench.torch_side.flops import Work, count_flops, count_work
from bot.inference.loading.latent_preview import LatentPreview
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.random_models.sdxl import SDXL_BASE, random_pipeline
from bot.inference.torch_import import import_libraries
from tests.bench.sleeping_contestants import WORKLOAD


def test_a_linear_layer_takes_two_flops_for_each_weight_and_row():
    layer = torch.nn.Linear(10, 7)

    assert count_flops(lambda: layer(torch.zeros(4, 10))) == 2 * 4 * 10 * 7


def test_a_convolution_takes_two_flops_for_each_weight_and_pixel():
    layer = torch.nn.Conv2d(3, 8, 3, padding=1)

    assert count_flops(lambda: layer(torch.zeros(1, 3, 16, 16))) == 2 * 3 * 3 * 3 * 8 * 16 * 16


def test_a_picture_takes_two_rows_a_step_while_guidance_acts():
    work = Work(step_row=100, decoding=7, text=1)
    guided, *_ = (one for one in WORKLOAD.requests(3, seed=0) if one.num_inference_steps == 10)

    assert work.of(guided) == 10 * 2 * 100 + 7 + 2


@pytest.fixture(scope="module")
def full_size() -> LoadedModel:
    """On the meta device: shapes without data."""
    import_libraries()
    pipeline = random_pipeline(SDXL_BASE, TOKENIZERS, device=torch.device("meta"), dtype=torch.float16)
    return LoadedModel(profile=random_profile("base"), text2img=pipeline, img2img=None, preview=LatentPreview.for_sdxl())


def test_the_random_model_has_the_parameters_of_sdxl(full_size: LoadedModel):
    names = ("unet", "vae", "text_encoder", "text_encoder_2")
    counts = [sum(tensor.numel() for tensor in getattr(full_size.text2img, name).parameters()) for name in names]

    assert counts == [2_567_463_684, 83_653_863, 123_060_480, 694_659_840]


def test_the_random_model_takes_the_arithmetic_of_sdxl(full_size: LoadedModel):
    work = count_work(full_size, width=1024, height=1024)

    assert work.step_row == pytest.approx(6.761e12, rel=1e-3)
    assert work.decoding == pytest.approx(10.470e12, rel=1e-3)
    assert work.text == pytest.approx(0.110e12, rel=2e-2)
