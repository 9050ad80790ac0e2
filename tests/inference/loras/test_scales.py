"""Every layer of a LoRA gets the scale that the file gives it: against arithmetic written down a second time, and diffusers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, target
from hypothesis import strategies as st
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from bot.domain.profile import ModelSource
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.loader import LoraLoader, UnusableStyleError
from bot.inference.loras.merging import COMPONENTS
from tests.inference.ldm import unet_name
from tests.tiny_sdxl import TinyModels, kohya_lora, pastel_style, plain_pipeline, tiny_profile, write_lora

Place = tuple[str, str]
Tensors = dict[str, torch.Tensor]
PREFIX = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}
LAYERS = {  # each kind of layer that trainers change
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "lora_unet_middle_block_1_transformer_blocks_0_attn2_to_k": "mid_block.attentions.0.transformer_blocks.0.attn2.to_k",
    "lora_unet_output_blocks_0_1_transformer_blocks_0_ff_net_2": "up_blocks.0.attentions.0.transformer_blocks.0.ff.net.2",
    "lora_unet_middle_block_0_in_layers_2": "mid_block.resnets.0.conv1",
    "lora_unet_input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
    "lora_te1_text_model_encoder_layers_0_self_attn_q_proj": "encoder.layers.0.self_attn.q_proj",
    "lora_te2_text_model_encoder_layers_1_mlp_fc1": "text_model.encoder.layers.1.mlp.fc1",
}


@pytest.fixture(scope="module")
def pipeline(models: TinyModels) -> Any:
    return load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img


@pytest.fixture(scope="module")
def bare(pipeline: Any) -> dict[Place, torch.Tensor]:
    return weights_of(pipeline)


@pytest.fixture
def apply(pipeline: Any, tmp_path: Path) -> Iterator[Callable[..., dict[Place, torch.Tensor]]]:
    """Have tensors as a LoRA in the model; returns what each weight became. Bare again after the test."""
    adapters = LoraLoader(pipeline)

    def applied(tensors: Tensors, weight: float = 1.0, metadata: dict[str, str] | None = None) -> dict[Place, torch.Tensor]:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, file, metadata=metadata)
        adapters.activate([(pastel_style(repo=None, file=file), weight)])
        return weights_of(pipeline)

    yield applied
    adapters.activate([])


def weights_of(pipeline: Any) -> dict[Place, torch.Tensor]:
    return {
        (component, path): layer.weight.detach().clone()
        for component in COMPONENTS
        for path, layer in getattr(pipeline, component).named_modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)
    }


def kohya_key(place: Place) -> str:
    """Written down apart from the code: what a file calls a layer of the tiny model."""
    component, path = place
    if component == "unet":
        name = unet_name(path + ".weight").removesuffix(".weight")
    else:
        name = "text_model." + path.removeprefix("text_model.")
    return f"{PREFIX[component]}_{name.replace('.', '_')}"


def naive(bare: dict[Place, torch.Tensor], tensors: Tensors, weight: float) -> dict[Place, np.ndarray]:
    """alpha / rank x up @ down for every layer by itself, in float64, one row of the output after another."""
    wanted = {}
    for place, before in bare.items():
        wanted[place] = before.double().numpy()
        key = kohya_key(place)
        if f"{key}.lora_down.weight" not in tensors:
            continue
        down, up = (tensors[f"{key}.lora_{part}.weight"].double().numpy() for part in ("down", "up"))
        rank = down.shape[0]
        alpha = float(tensors[f"{key}.alpha"]) if f"{key}.alpha" in tensors else float(rank)
        for row in range(up.shape[0]):
            change = sum(up[row, r].reshape(()) * down[r] for r in range(rank))
            wanted[place][row] += weight * alpha / rank * change.reshape(before.shape[1:])
    return wanted


def farthest(seen: dict[Place, torch.Tensor], wanted: dict[Place, np.ndarray]) -> float:
    return max(float(np.abs(seen[place].double().numpy() - wanted[place]).max()) for place in wanted)


Layer = tuple[int, float | None]  # the rank and the alpha; None is none in the file


def tensors_for(pipeline: Any, layers: dict[str, Layer]) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    tensors: Tensors = {}
    for key, (rank, alpha) in layers.items():
        component = next(name for name, prefix in PREFIX.items() if key.startswith(prefix))
        weight = getattr(pipeline, component).get_submodule(LAYERS[key]).weight
        pixel = (1,) * (weight.ndim - 2)
        tensors[f"{key}.lora_down.weight"] = torch.randn(rank, *weight.shape[1:], generator=generator) * 0.1
        tensors[f"{key}.lora_up.weight"] = torch.randn(weight.shape[0], rank, *pixel, generator=generator) * 0.1
        if alpha is not None:
            tensors[f"{key}.alpha"] = torch.tensor(alpha)
    return tensors


ranks_and_alphas = st.tuples(st.integers(1, 12), st.none() | st.floats(0.015625, 64, width=32))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layers=st.dictionaries(st.sampled_from(sorted(LAYERS)), ranks_and_alphas, min_size=1),
    weight=st.floats(-1.5, -0.0625, width=32) | st.floats(0.0625, 1.5, width=32),
)
def test_random_ranks_and_alphas_give_what_arithmetic_gives(
    pipeline: Any, bare: dict[Place, torch.Tensor], apply: Any, layers: dict[str, Layer], weight: float
) -> None:
    tensors = tensors_for(pipeline, layers)
    difference = farthest(apply(tensors, weight), naive(bare, tensors, weight))

    target(difference, label="largest difference")
    assert difference < 1e-5


def every(pipeline: Any, rank_of: Callable[[int, Place], int], alpha_of: Callable[[int, Place, int], float | None]) -> Tensors:
    """A LoRA of kohya's for all layers of the model."""
    generator = torch.Generator().manual_seed(3)
    tensors: Tensors = {}
    for number, (place, weight) in enumerate(weights_of(pipeline).items()):
        rank, key = rank_of(number, place), kohya_key(place)
        alpha = alpha_of(number, place, rank)
        tensors[f"{key}.lora_down.weight"] = torch.randn(rank, *weight.shape[1:], generator=generator) * 0.05
        tensors[f"{key}.lora_up.weight"] = (
            torch.randn(weight.shape[0], rank, *(1,) * (weight.ndim - 2), generator=generator) * 0.05
        )
        if alpha is not None:
            tensors[f"{key}.alpha"] = torch.tensor(alpha)
    return tensors


@pytest.mark.parametrize(
    ("rank_of", "alpha_of"),
    [
        pytest.param(lambda n, _: 1 + n % 8, lambda n, _, rank: float(rank), id="resized, alpha as the rank"),
        pytest.param(lambda n, _: 1 + n % 8, lambda n, _, rank: rank / 2, id="resized, half the rank"),
        pytest.param(lambda n, _: 8 if n % 2 else 4, lambda n, _, rank: 4.0, id="two ranks, one alpha"),
        pytest.param(lambda n, _: 4, lambda n, _, rank: 1.0 + n % 4, id="one rank, four alphas"),
        pytest.param(lambda n, _: 4, lambda n, _, rank: 2.0 if n % 3 else None, id="alpha missing here and there"),
        pytest.param(
            lambda n, place: 8 if place[0] == "unet" else 4,
            lambda n, place, _: 4.0 if place[0] == "unet" else 1.0,
            id="by part",
        ),
    ],
)
def test_every_layer_of_the_model_has_its_own_scale(
    pipeline: Any, bare: dict[Place, torch.Tensor], apply: Any, rank_of: Any, alpha_of: Any
) -> None:
    tensors = every(pipeline, rank_of, alpha_of)
    seen = apply(tensors, 0.8)

    assert farthest(seen, naive(bare, tensors, 0.8)) < 1e-5
    assert all(not torch.equal(seen[place], bare[place]) for place in bare), "a layer was left out"


def fused(models: TinyModels, file: Path, weight: float = 1.0) -> dict[Place, torch.Tensor]:
    """The weights that diffusers makes of a LoRA, scaled as its own metadata say."""
    pipeline = plain_pipeline(models.folder)
    pipeline.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name="lora_of_the_oracle")
    pipeline.fuse_lora(components=list(COMPONENTS), lora_scale=weight)
    pipeline.unload_lora_weights()
    return weights_of(pipeline)


def test_where_all_alphas_are_equal_diffusers_gives_the_same(
    models: TinyModels, pipeline: Any, apply: Any, tmp_path: Path
) -> None:
    tensors = kohya_lora(pipeline)
    wanted = fused(models, write_lora(tmp_path / "oracle" / "a.safetensors", tensors), 0.7)
    seen = apply(tensors, 0.7)

    assert max(float((seen[place] - wanted[place]).abs().max()) for place in wanted) < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"r": 4, "lora_alpha": 6},
        {"r": 4, "lora_alpha": 6, "use_rslora": True},
        {
            "r": 4,
            "lora_alpha": 6,
            "rank_pattern": {"attn1.to_q": 7},
            "alpha_pattern": {"attn1.to_q": 3, "mid_block.attentions.0.proj_in": 9},
        },
        {"r": 4, "lora_alpha": 6, "use_rslora": True, "alpha_pattern": {"to_k": 2}},
    ],
    ids=["alpha", "rslora", "patterns", "rslora with a pattern"],
)
def test_what_diffusers_writes_of_peft_is_read_as_diffusers_reads_it(
    models: TinyModels, bare: dict[Place, torch.Tensor], apply: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    trained = plain_pipeline(models.folder)
    trained.unet.add_adapter(LoraConfig(target_modules=["to_q", "to_k", "proj_in"], **options), adapter_name="lora_in_training")
    for name, weight in trained.unet.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(len(name)))
    layers = get_peft_model_state_dict(trained.unet, adapter_name="lora_in_training")
    config = trained.unet.peft_config["lora_in_training"].to_dict()
    trained.save_lora_weights(tmp_path / "peft", unet_lora_layers=layers, unet_lora_adapter_metadata=config)
    file = tmp_path / "peft" / "pytorch_lora_weights.safetensors"
    wanted = fused(models, file)
    seen = apply(load_file(file), metadata=metadata_of(file))

    assert any(not torch.equal(wanted[place], bare[place]) for place in bare)
    assert max(float((seen[place] - wanted[place]).abs().max()) for place in wanted) < 1e-6


def metadata_of(file: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return opened.metadata()


PEFT_KEY = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
PEFT_PLACE = ("unet", PEFT_KEY.removeprefix("unet."))


def peft_tensors(rank: int = 4) -> Tensors:
    return {f"{PEFT_KEY}.lora_A.weight": torch.ones(rank, 64), f"{PEFT_KEY}.lora_B.weight": torch.ones(64, rank) * 0.01}


def notes(**settings: Any) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps(settings)}


@pytest.mark.parametrize(
    ("metadata", "scale"),
    [
        (None, 1.0),
        (notes(**{"unet.lora_alpha": 8}), 2.0),
        (notes(**{"unet.lora_alpha": 8, "unet.use_rslora": True}), 8 / math.sqrt(4)),
        (notes(lora_alpha=2), 0.5),
        (notes(**{"text_encoder.lora_alpha": 8}), 1.0),
        (notes(**{"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_q": 1}}), 0.25),
        (notes(**{"unet.lora_alpha": 8, "unet.alpha_pattern": {"to_q": 2, "attn1.to_q": 1}}), 0.5),
        (notes(**{"unet.lora_alpha": 8, "unet.alpha_pattern": {"tn1.to_q": 1}}), 2.0),
        (notes(**{"unet.lora_alpha": 8, "unet.alpha_pattern": {r"^attn1\.to_q": 1}}), 2.0),
        (notes(**{"unet.lora_alpha": 8, "unet.alpha_pattern": {f"^{PEFT_PLACE[1]}": 1}}), 0.25),
    ],
)
def test_pefts_settings_give_the_scale(
    bare: dict[Place, torch.Tensor], apply: Any, metadata: dict[str, str] | None, scale: float
) -> None:
    change = apply(peft_tensors(), metadata=metadata)[PEFT_PLACE] - bare[PEFT_PLACE]

    assert torch.allclose(change, torch.full_like(change, 0.04 * scale), atol=1e-6)


def test_an_alpha_in_the_file_wins_over_pefts_settings(bare: dict[Place, torch.Tensor], apply: Any) -> None:
    tensors = peft_tensors() | {f"{PEFT_KEY}.alpha": torch.tensor(1)}
    change = apply(tensors, metadata=notes(**{"unet.lora_alpha": 8, "unet.use_rslora": True}))[PEFT_PLACE] - bare[PEFT_PLACE]

    assert torch.allclose(change, torch.full_like(change, 0.01), atol=1e-6)


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"lora_adapter_metadata": "{"}, "its lora_adapter_metadata cannot be read"),
        ({"lora_adapter_metadata": "[" * 100_000}, "its lora_adapter_metadata cannot be read"),
        (notes(**{"unet.lora_alpha": "8"}), "have no number as the alpha of mid_block"),
        (notes(**{"unet.alpha_pattern": {"(a+)+$": 1}}), "of which only plain names of layers are read"),
    ],
)
def test_settings_that_cannot_be_read_are_refused_by_name(apply: Any, metadata: dict[str, str], complaint: str) -> None:
    with pytest.raises(UnusableStyleError, match="can't use the style") as caught:
        apply(peft_tensors(), metadata=metadata)
    assert complaint in caught.value.reason


def test_lycoris_trained_factor_multiplies_the_scale(pipeline: Any, bare: dict[Place, torch.Tensor], apply: Any) -> None:
    plain = kohya_lora(pipeline)
    factors = {key.replace("lora_down.weight", "scalar"): torch.tensor(0.5) for key in plain if "lora_down" in key}
    seen, halved = apply(plain | factors), naive(bare, plain, 0.5)

    assert farthest(seen, halved) < 1e-5
