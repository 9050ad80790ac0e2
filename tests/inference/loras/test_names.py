"""The names that trainers give layers, all of one meaning, and the names that people choose, which mean nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.domain.profile import ModelSource
from bot.inference.formats.lora_keys import layer_table
from bot.inference.formats.loras import plan_adapter
from bot.inference.formats.model_layers import layers_of_checkpoint, layers_of_folder
from bot.inference.formats.original_names import unet_name, unet_path
from bot.inference.formats.weights import read_header
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.loader import LoraLoader, UnusableStyleError
from bot.inference.loras.merging import layers_of
from bot.settings import SHIPPED_DATA
from tests.tiny_sdxl import TinyModels, pastel_style, tiny_profile, write_lora
from tests.training.lora.test_weights import sdxl_unet

Tensors = dict[str, torch.Tensor]
ORIGINAL = "input_blocks.4.1.transformer_blocks.0.attn1.to_q"
DIFFUSERS = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
OUT = "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"
KOHYA, PEFT, OLD = ("lora_down.weight", "lora_up.weight"), ("lora_A.weight", "lora_B.weight"), ("down.weight", "up.weight")


@pytest.fixture(scope="module")
def pipeline(models: TinyModels) -> Any:
    return load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img


def factors(pipeline: Any, tmp_path: Path, tensors: Tensors) -> dict[tuple[str, str], float]:
    """The layers that a file changes, with their scales; the model stays bare."""
    style = pastel_style(repo=None, file=write_lora(tmp_path / "one.safetensors", tensors))
    adapters = LoraLoader(pipeline)
    (adapter,) = adapters.activate([(style, 1.0)])
    adapters.activate([])
    return {factor.place: factor.scaling for factor in adapter.factors}


@pytest.mark.parametrize(
    ("stem", "ends", "place"),
    [
        ("lora_unet_" + ORIGINAL.replace(".", "_"), KOHYA, ("unet", DIFFUSERS)),
        ("lora_unet_" + DIFFUSERS.replace(".", "_"), KOHYA, ("unet", DIFFUSERS)),
        ("lycoris_" + DIFFUSERS.replace(".", "_"), KOHYA, ("unet", DIFFUSERS)),
        (f"unet.{ORIGINAL}", KOHYA, ("unet", DIFFUSERS)),
        (f"unet.{DIFFUSERS}", PEFT, ("unet", DIFFUSERS)),
        (f"lora_unet.{DIFFUSERS}", KOHYA, ("unet", DIFFUSERS)),
        (f"unet.{DIFFUSERS}", ("lora.down.weight", "lora.up.weight"), ("unet", DIFFUSERS)),
        (f"unet.{DIFFUSERS}".replace(".to_q", ".processor.to_q_lora"), OLD, ("unet", DIFFUSERS)),
        (f"unet.{OUT}".replace(".to_out.0", ".processor.to_out_lora"), OLD, ("unet", OUT)),
        (DIFFUSERS, PEFT, ("unet", DIFFUSERS)),
        (f"base_model.model.{DIFFUSERS}", PEFT, ("unet", DIFFUSERS)),
        (f"base_model.model.{DIFFUSERS}", ("lora_A.oft_dora_diff.weight", "lora_B.oft_dora_diff.weight"), ("unet", DIFFUSERS)),
        (f"diffusion_model.{ORIGINAL}", KOHYA, ("unet", DIFFUSERS)),
        ("lora_unet_time_embed_0", KOHYA, ("unet", "time_embedding.linear_1")),
        ("lora_unet_label_emb_0_2", KOHYA, ("unet", "add_embedding.linear_2")),
        ("lora_te1_" + TEXT.replace(".", "_"), KOHYA, ("text_encoder", "encoder.layers.0.self_attn.q_proj")),
        ("lora_te2_" + TEXT.replace(".", "_"), KOHYA, ("text_encoder_2", TEXT)),
        (f"text_encoder_2.{TEXT}", ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"), ("text_encoder_2", TEXT)),
        (f"text_encoder_2.{TEXT}".replace(".q_proj", ".to_q_lora"), OLD, ("text_encoder_2", TEXT)),
        (f"clip_g.{TEXT}", KOHYA, ("text_encoder_2", TEXT)),
        (f"text_encoders.clip_g.transformer.{TEXT}", KOHYA, ("text_encoder_2", TEXT)),
        (f"base_model.model.{TEXT}", PEFT, ("text_encoder_2", TEXT)),
    ],
)
def test_each_trainers_name_means_the_layer(
    pipeline: Any, tmp_path: Path, stem: str, ends: tuple[str, str], place: tuple[str, str]
) -> None:
    layer = getattr(pipeline, place[0]).get_submodule(place[1])
    tensors = {
        f"{stem}.{ends[0]}": torch.ones(2, layer.in_features),
        f"{stem}.{ends[1]}": torch.ones(layer.out_features, 2),
        f"{stem}.alpha": torch.tensor(3.0),
    }

    assert factors(pipeline, tmp_path, tensors) == {place: 1.5}


def test_a_whole_file_in_each_spelling_changes_the_same_layers(pipeline: Any, tmp_path: Path) -> None:
    stems: list[Callable[[str], str]] = [
        lambda name: f"unet.{unet_name(name, 2)}",
        lambda name: f"base_model.model.{name}",
        lambda name: f"lora_unet_{unet_name(name, 2).replace('.', '_')}",
        lambda name: f"lora_unet_{name.replace('.', '_')}",
    ]
    layers = {name: layer for name, layer in pipeline.unet.named_modules() if isinstance(layer, torch.nn.Linear)}
    for stem in stems:
        tensors: Tensors = {}
        for name, layer in layers.items():
            tensors[f"{stem(name)}.lora_A.weight"] = torch.ones(2, layer.in_features)
            tensors[f"{stem(name)}.lora_B.weight"] = torch.ones(layer.out_features, 2)
        assert factors(pipeline, tmp_path, tensors) == {("unet", name): 1.0 for name in layers}


def bundled(word: str, end: str = "clip_l") -> Tensors:
    return {f"bundle_emb.{word}.{end}": torch.randn(4, 8)}


def one_layer() -> Tensors:
    stem = "lora_unet_" + ORIGINAL.replace(".", "_")
    return {f"{stem}.lora_down.weight": torch.ones(2, 64), f"{stem}.lora_up.weight": torch.ones(64, 2)}


@pytest.mark.parametrize(
    "beside",
    [
        bundled("mytag"),
        bundled("soft_focus"),
        bundled("oft_blocks"),
        bundled("my.dotted.tag", "clip_g_out"),
        bundled("hada_w1_a", "string_to_param.*"),
        bundled("double_blocks"),
    ],
)
def test_embeddings_beside_a_lora_are_left_out_with_a_line_whatever_they_are_called(
    pipeline: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, beside: Tensors
) -> None:
    assert factors(pipeline, tmp_path, one_layer() | beside) == {("unet", DIFFUSERS): 1.0}
    assert caplog.messages == ["The LoRA one.safetensors: embeddings bundled with it are left out (1)."]


def test_layers_that_the_model_has_not_are_counted_in_the_log(
    pipeline: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stray = {"lora_unet_nowhere.lora_down.weight": torch.ones(2, 8), "lora_unet_nowhere.lora_up.weight": torch.ones(8, 2)}

    assert factors(pipeline, tmp_path, one_layer() | stray) == {("unet", DIFFUSERS): 1.0}
    assert caplog.messages == ["The LoRA one.safetensors: 1 of its 2 parts fit the model."]


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        (
            {
                f"base_model.model.{TEXT}.lora_A.weight": torch.ones(2, 7),
                f"base_model.model.{TEXT}.lora_B.weight": torch.ones(7, 2),
            },
            "does not fit this model",
        ),
        (
            one_layer()
            | {f"unet.{DIFFUSERS}.lora_A.weight": torch.ones(2, 64), f"unet.{DIFFUSERS}.lora_B.weight": torch.ones(64, 2)},
            "names a layer of the model twice",
        ),
        ({key: value for key, value in one_layer().items() if "lora_up" not in key}, "is incomplete: it lacks the up matrix"),
        ({key: value.to(torch.int8) for key, value in one_layer().items()}, "is quantised (I8)"),
        ({key: value[:1] if "lora_down" in key else value for key, value in one_layer().items()}, "does not fit this model"),
        (
            {key: value[:0] if "lora_down" in key else value[:, :0] for key, value in one_layer().items()},
            "does not fit this model",
        ),
    ],
)
def test_what_cannot_be_one_layers_change_is_refused(pipeline: Any, tmp_path: Path, tensors: Tensors, complaint: str) -> None:
    with pytest.raises(UnusableStyleError, match="can't use the style") as caught:
        factors(pipeline, tmp_path, tensors)
    assert complaint in caught.value.reason


def test_what_a_file_says_of_a_layer_is_understood_or_refused(pipeline: Any, tmp_path: Path) -> None:
    layer = next(iter(one_layer())).removesuffix(".lora_down.weight")
    elsewhere = {"note.of_somebody": torch.ones(1)}
    assert factors(pipeline, tmp_path, one_layer() | elsewhere) == {("unet", DIFFUSERS): 1.0}

    with pytest.raises(UnusableStyleError) as caught:
        factors(pipeline, tmp_path, one_layer() | {f"{layer}.new_trick": torch.ones(1)})
    assert "attn1_to_q.new_trick, which Pastel does not understand" in caught.value.reason


def test_a_sentence_stays_short_whatever_names_a_file_has(pipeline: Any, tmp_path: Path) -> None:
    stem = "lora_unet_" + "x" * 50_000
    with pytest.raises(UnusableStyleError) as caught:
        factors(pipeline, tmp_path, {f"{stem}.lora_down.weight": torch.ones(2, 8), f"{stem}.lora_up.weight": torch.ones(8, 2)})
    assert "does not fit this model" in caught.value.reason
    assert len(caught.value.reason) < 600


def test_a_diverged_training_is_refused_once_until_the_file_is_another(
    pipeline: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {key: value * float("nan") if "lora_up" in key else value for key, value in one_layer().items()}
    style = pastel_style(repo=None, file=write_lora(tmp_path / "nan.safetensors", broken))
    adapters = LoraLoader(pipeline)
    for _ in range(2):
        with pytest.raises(UnusableStyleError) as caught:
            adapters.activate([(style, 1.0)])
        assert "its file nan.safetensors holds what is no number" in caught.value.reason
        monkeypatch.setattr("bot.inference.loras.loader.read_factors", lambda *_: pytest.fail("it was read again"))
    monkeypatch.undo()
    assert len([line for line in caplog.messages if "holds what is no number" in line]) == 1

    write_lora(tmp_path / "nan.safetensors", one_layer() | {"lora_te1_x.alpha": torch.tensor(1.0)})
    assert adapters.activate([(style, 1.0)])
    adapters.activate([])


def test_original_names_and_paths_are_each_others_inverse_on_sdxl() -> None:
    unet = sdxl_unet()
    paths = [name for name, layer in unet.named_modules() if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]

    assert len(paths) > 700
    assert [unet_path(unet_name(path, 2), 2) for path in paths] == paths


@pytest.mark.parametrize("name", ["nowhere", "input_blocks.x.0.op", "middle_block.3.x", "output_blocks", "time_embed.1"])
def test_what_is_no_layer_has_no_path(name: str) -> None:
    with pytest.raises(ValueError, match="is no layer of SDXL's UNet"):
        unet_path(name, 2)


def test_headers_tell_the_same_layers_as_the_loaded_model(pipeline: Any, models: TinyModels) -> None:
    def bare(layers: Any) -> dict[tuple[str, str], tuple[int, ...]]:
        return {(part, path.removeprefix("text_model.")): shape for (part, path), shape in layers.items()}

    loaded = bare(layers_of(pipeline))
    projection = {("text_encoder_2", "text_projection")}  # in a single file it is turned round, and no trainer changes it
    assert bare(layers_of_folder(models.folder, None)) == loaded
    assert (
        bare(layers_of_checkpoint(read_header(models.file))).items()
        == {place: shape for place, shape in loaded.items() if place not in projection}.items()
    )


def test_every_layer_of_the_style_that_ships_is_in_the_model_that_ships() -> None:
    layers = layers_of_folder(SHIPPED_DATA / "models" / "mini", None)
    plan = plan_adapter(read_header(SHIPPED_DATA / "styles" / "pastel-mini.safetensors"), layers)

    assert plan.strangers == ()
    assert len(plan.parts) > 100


def test_no_two_layers_of_sdxl_share_a_name_that_says_its_component() -> None:
    unet = sdxl_unet()
    layers = {
        ("unet", name): tuple(layer.weight.shape)
        for name, layer in unet.named_modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)
    }
    assert [name for name, places in layer_table(layers).items() if len(places) > 1] == []
    assert not any(re.search(r"\.\.|__", name) for name in layer_table(layers))
