"""What the UNet is shown and asked for while a LoRA trains."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bot.errors import ModelError
from bot.inference.loading.vae_range import is_scaled, settle_type
from bot.training.lora.dataset import Batches, Frame, Picture, open_picture
from bot.training.lora.model import load_for_training
from bot.training.lora.task import SNR_LIMIT, Examples, LoraTask, encode_pictures, encoder_of, min_snr_weight
from bot.training.lora.weights import LoraWeights
from tests.training.lora_examples import build_model, options

FRAMED = Frame(width=64, height=48, scaled=(64, 90), left=0, top=21)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    torch.set_num_threads(1)
    folder = build_model(tmp_path_factory.mktemp("models") / "tiny")
    return load_for_training(options(folder, folder, folder / "a.safetensors", dtype="float32")).pipeline


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    pixels = np.random.default_rng(0).integers(0, 255, (180, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return Picture(path=tmp_path / "a.png", caption="1girl, night", repeats=1, width=128, height=180)


@dataclass
class Oracle:
    """In the UNet's place: knows the clean latents, so it can tell noise and velocity from the noisy ones."""

    clean: torch.Tensor
    alphas: torch.Tensor
    answer: str
    device = torch.device("cpu")
    seen: Any = None

    def __call__(self, noisy: torch.Tensor, timesteps: torch.Tensor, embeddings: Any, added_cond_kwargs: Any) -> Any:
        self.seen = (embeddings, added_cond_kwargs)
        alpha = self.alphas[timesteps].view(-1, 1, 1, 1)
        noise = (noisy - alpha.sqrt() * self.clean) / (1 - alpha).sqrt()
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * self.clean
        self.sample = {"epsilon": noise, "v_prediction": velocity, "nothing": noise * torch.nan}[self.answer]
        return self


@dataclass
class Stage:
    """A pipeline whose UNet is the oracle."""

    pipeline: Any
    unet: Oracle

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pipeline, name)


def task_of(pipeline: Any, picture: Picture, answer: str, **changes: Any) -> tuple[LoraTask, Oracle]:
    latents = encode_pictures([picture], [FRAMED], encoder_of(pipeline))
    oracle = Oracle(latents[0].float()[None], pipeline.scheduler.alphas_cumprod.float(), answer)
    chosen = options("x", Path(), Path("a.safetensors"), **({"batch_size": 1, "caption_dropout": 0.0} | changes))
    examples = Examples(
        pictures=[picture], frames=[FRAMED], latents=latents, batches=Batches([picture], [FRAMED], 1, chosen.seed)
    )
    return LoraTask(Stage(pipeline, oracle), LoraWeights({}), examples, chosen, torch.float32), oracle


def average_loss(task: LoraTask) -> float:
    torch.manual_seed(0)
    return sum(task.loss(step).item() for step in range(16)) / 16


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_loss_is_zero_for_what_the_scheduler_wants_predicted_and_not_for_the_other(
    prediction_type: str, pipeline: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = type(pipeline.scheduler).from_config(
        pipeline.scheduler.config, prediction_type=prediction_type, rescale_betas_zero_snr=prediction_type == "v_prediction"
    )
    monkeypatch.setattr(pipeline, "scheduler", wanted)
    other = {"epsilon": "v_prediction", "v_prediction": "epsilon"}[prediction_type]

    assert average_loss(task_of(pipeline, picture, prediction_type)[0]) < 1e-4
    assert average_loss(task_of(pipeline, picture, other)[0]) > 0.1


def test_the_unet_sees_the_text_as_when_it_draws_and_the_true_sizes(pipeline: Any, picture: Picture) -> None:
    task, oracle = task_of(pipeline, picture, "epsilon")
    task.loss(0)
    shown = {}

    def listen(_module: Any, _arguments: Any, keywords: Any) -> None:
        shown.update(keywords)

    hook = pipeline.unet.register_forward_pre_hook(listen, with_kwargs=True)
    sizes = {"original_size": (180, 128), "crops_coords_top_left": (21, 0), "target_size": (48, 64)}
    pipeline(picture.caption, guidance_scale=1.0, width=64, height=48, num_inference_steps=1, output_type="latent", **sizes)
    hook.remove()

    embeddings, conditions = oracle.seen
    assert torch.equal(embeddings, shown["encoder_hidden_states"])
    assert torch.equal(conditions["text_embeds"], shown["added_cond_kwargs"]["text_embeds"])
    assert torch.equal(conditions["time_ids"], shown["added_cond_kwargs"]["time_ids"])


def test_a_caption_left_out_is_what_the_pipeline_takes_for_a_missing_prompt(pipeline: Any, picture: Picture) -> None:
    task, oracle = task_of(pipeline, picture, "epsilon", caption_dropout=0.999)
    task.loss(0)
    embeddings, conditions = oracle.seen

    assert pipeline.config.force_zeros_for_empty_prompt
    assert not embeddings.any()
    assert not conditions["text_embeds"].any()


def test_latents_are_those_that_the_vae_decodes_again(pipeline: Any, picture: Picture) -> None:
    (latents,) = encode_pictures([picture], [FRAMED], encoder_of(pipeline))
    pixels = torch.from_numpy(open_picture(picture.path, FRAMED).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        direct = pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor

    assert latents.shape == (4, 6, 8)
    assert torch.allclose(latents.float(), direct[0], atol=1e-3 * direct.abs().max().item())


def test_a_vae_that_was_scaled_to_fit_float16_gives_the_latents_of_float32(pipeline: Any, picture: Picture) -> None:
    exact, scaled = (SimpleNamespace(vae=copy.deepcopy(pipeline.vae).half()) for _ in range(2))
    exact.vae.float()
    settle_type(scaled.vae)
    assert is_scaled(scaled.vae)
    (wanted,), (latents,) = (encode_pictures([picture], [FRAMED], encoder_of(one)) for one in (exact, scaled))

    assert torch.allclose(latents.float(), wanted.float(), atol=1e-3 * wanted.abs().max().item())


def test_weights_follow_min_snr_for_both_predictions_and_know_no_division_by_zero() -> None:
    alpha = torch.tensor([0.0, 0.5, 10 / 11, 11 / 12, 1.0])  # signal to noise: 0, 1, 10, 11, infinite
    noise, velocity = min_snr_weight(alpha, "epsilon"), min_snr_weight(alpha, "v_prediction")

    assert noise.tolist() == pytest.approx([1, 1, SNR_LIMIT / 10, SNR_LIMIT / 11, 0], abs=1e-5)
    assert velocity.tolist() == pytest.approx([1, 1, (SNR_LIMIT + 1) / 11, (SNR_LIMIT + 1) / 12, 0], abs=1e-5)


def test_a_training_that_diverges_says_so(pipeline: Any, picture: Picture) -> None:
    with pytest.raises(ModelError, match=r"diverged at step 8\. .* lower --learning-rate"):
        task_of(pipeline, picture, "nothing")[0].loss(7)


def test_timesteps_are_uniform(pipeline: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    task, oracle = task_of(pipeline, picture, "epsilon")
    asked: list[int] = []
    monkeypatch.setattr(oracle, "alphas", _Recorded(oracle.alphas, asked))
    torch.manual_seed(random.Random(0).randrange(1000))
    for step in range(200):
        task.loss(step)

    counts = np.histogram(asked, bins=4, range=(0, 1000))[0]
    assert counts.min() > 30
    assert counts.max() < 70


class _Recorded:
    """A tensor that notes what it is asked for."""

    def __init__(self, tensor: torch.Tensor, asked: list[int]) -> None:
        self._tensor, self._asked = tensor, asked

    def __getitem__(self, index: torch.Tensor) -> torch.Tensor:
        self._asked += index.tolist()
        return self._tensor[index]
