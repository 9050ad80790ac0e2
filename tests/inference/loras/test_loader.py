"""LoRAs on a real (tiny) model: what is applied, what is refused with which sentence, and that a refusal leaves no trace."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.domain.profile import ModelSource
from bot.errors import GenerationError
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.loader import MAX_LOADED, LoraLoader, UnusableStyleError
from bot.inference.loras.merging import COMPONENTS, Factor, MergedWeights
from tests.inference.loading.test_pickles import Canary
from tests.tiny_sdxl import LORA_FILE, LORA_REPO, TinyModels, hub_folder, kohya_lora, pastel_style, tiny_profile, write_lora

Tensors = dict[str, torch.Tensor]
DOWN, UP = "lora_down.weight", "lora_up.weight"


@pytest.fixture(scope="module")
def loaded(models: TinyModels) -> Any:
    return load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img


@pytest.fixture
def pipeline(loaded: Any) -> Iterator[Any]:
    """Bare before and after each test."""
    bare = {name: getattr(loaded, name).state_dict() for name in COMPONENTS}
    kept = {name: {key: value.clone() for key, value in state.items()} for name, state in bare.items()}
    yield loaded
    for name in COMPONENTS:
        getattr(loaded, name).load_state_dict(kept[name])


@pytest.fixture
def lora(loaded: Any) -> Tensors:
    return kohya_lora(loaded)


def render(pipeline: Any) -> bytes:
    """A picture's bits; equal only if every weight that took part is."""
    with torch.no_grad():
        latents = pipeline(
            "1girl",
            width=64,
            height=64,
            num_inference_steps=2,
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
        ).images
    return latents.numpy().tobytes()


def adapters_of(pipeline: Any, models: TinyModels | None = None, cache_dir: Path | None = None) -> LoraLoader:
    return LoraLoader(pipeline, cache_dir=models.cache_dir if models else cache_dir)


def refusal(pipeline: Any, style: Any, cache_dir: Path | None = None) -> str:
    """The reason; and after it the model is as it was before, bit for bit."""
    before = render(pipeline)
    adapters = adapters_of(pipeline, cache_dir=cache_dir)
    with pytest.raises(UnusableStyleError) as caught:
        adapters.activate([(style, 1.0)])
    assert not caught.value.retryable
    assert f"the style **{style.title}**" in str(caught.value)
    assert "Choose another style" in str(caught.value)
    assert render(pipeline) == before
    return caught.value.reason


def test_weight_0_and_no_style_are_the_bare_model_bit_for_bit_and_weights_are_per_request(
    pipeline: Any, models: TinyModels
) -> None:
    adapters, bare = adapters_of(pipeline, models), render(pipeline)

    def drawn(weight: float, style: Any) -> bytes:
        adapters.activate([(style, weight)] if style else [])
        return render(pipeline)

    never_loaded = drawn(0, pastel_style())
    full, half = drawn(1.0, pastel_style()), drawn(0.5, pastel_style())
    assert len({bare, full, half}) == 3
    assert never_loaded == bare
    assert drawn(0, pastel_style()) == bare
    assert drawn(1.0, None) == bare
    assert drawn(1.0, pastel_style()) == full


def test_every_part_of_the_kohya_file_is_applied_to_unet_and_both_text_encoders(pipeline: Any, models: TinyModels) -> None:
    before = {name: [weight.clone() for weight in getattr(pipeline, name).parameters()] for name in COMPONENTS}
    (adapter,) = adapters_of(pipeline, models).activate([(pastel_style(), 1.0)])

    for name in COMPONENTS:
        changed = sum(not torch.equal(a, b) for a, b in zip(before[name], getattr(pipeline, name).parameters(), strict=True))
        assert changed == sum(factor.place[0] == name for factor in adapter.factors) > 0
    assert len(adapter.hash) == 12


def test_two_loras_do_not_mix_and_the_oldest_makes_room(pipeline: Any, lora: Tensors, tmp_path: Path) -> None:
    styles = [
        pastel_style(
            name=f"s{seed}", repo=None, file=write_lora(tmp_path / f"{seed}.safetensors", kohya_lora(pipeline, seed=seed))
        )
        for seed in range(MAX_LOADED + 2)
    ]
    adapters = adapters_of(pipeline)

    def drawn(style: Any) -> bytes:
        adapters.activate([(style, 1.0)])
        return render(pipeline)

    first = [drawn(style) for style in styles]
    again = [drawn(style) for style in styles]

    assert len(set(first)) == len(styles)
    assert again == first
    assert len(adapters._loaded) == MAX_LOADED


def test_several_loras_add_up_whatever_their_order_and_leave_no_trace(pipeline: Any, tmp_path: Path) -> None:
    one, two = (
        pastel_style(name=f"s{n}", repo=None, file=write_lora(tmp_path / f"{n}.safetensors", kohya_lora(pipeline, seed=n)))
        for n in (1, 2)
    )
    adapters, bare = adapters_of(pipeline), render(pipeline)
    weight = pipeline.unet.get_parameter("mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight")
    start = weight.clone()

    def moved(*styles: tuple[Any, float]) -> torch.Tensor:
        adapters.activate(styles)
        return weight - start

    first, second, both = moved((one, 0.5)), moved((two, 1.2)), moved((one, 0.5), (two, 1.2))
    torch.testing.assert_close(both, first + second)
    torch.testing.assert_close(moved((two, 1.2), (one, 0.5)), both)
    torch.testing.assert_close(moved((one, 1.0)), 2 * first)
    adapters.activate([])
    assert torch.equal(weight, start)
    assert render(pipeline) == bare


def test_a_thousand_switches_in_float16_drift_nowhere(models: TinyModels) -> None:
    pipeline = load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img
    pipeline.to(torch.float16)
    adapters = adapters_of(pipeline, models)
    bare = [weight.clone() for weight in pipeline.unet.parameters()]
    (adapter,) = adapters.activate([(pastel_style(), 0.7)])
    styled = [weight.clone() for weight in pipeline.unet.parameters()]
    merged = MergedWeights(pipeline)
    adapters.activate([])
    for turn in range(1000):
        merged.apply([(adapter.factors[:4], 0.1 * (turn % 10))])
    merged.apply([])
    assert all(torch.equal(a, b) for a, b in zip(bare, pipeline.unet.parameters(), strict=True))
    adapters.activate([(pastel_style(), 0.7)])
    assert all(torch.equal(a, b) for a, b in zip(styled, pipeline.unet.parameters(), strict=True))


def test_a_merge_that_fails_half_way_leaves_the_bare_model(
    pipeline: Any, models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters, bare = adapters_of(pipeline, models), render(pipeline)
    adapters.activate([(pastel_style(), 1.0)])
    delta, calls = Factor.delta, list[int]()

    def runs_out(factor: Factor, weight: float) -> torch.Tensor:
        calls.append(1)
        if len(calls) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return delta(factor, weight)

    monkeypatch.setattr(Factor, "delta", runs_out)
    with pytest.raises(torch.OutOfMemoryError):
        adapters.activate([(pastel_style(), 0.5)])

    assert render(pipeline) == bare


def test_a_lora_in_diffusers_own_format_is_applied(pipeline: Any, tmp_path: Path) -> None:
    stem = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    tensors = {f"{stem}.lora_A.weight": torch.ones(4, 80), f"{stem}.lora_B.weight": torch.ones(64, 4)}
    bare = render(pipeline)
    adapters_of(pipeline).activate([(pastel_style(repo=None, file=write_lora(tmp_path / "d.safetensors", tensors)), 1.0)])

    assert render(pipeline) != bare


def test_a_missing_file_is_refused_with_the_files_that_the_repo_has(pipeline: Any, models: TinyModels) -> None:
    told = refusal(pipeline, pastel_style(weight_name="pastel-anime-xl-latest.safetensors"), models.cache_dir)

    assert f"{LORA_REPO} has no file pastel-anime-xl-latest.safetensors; it has {LORA_FILE}" in told


def test_a_repo_that_is_not_here_and_a_local_file_that_is_not_there_are_refused(pipeline: Any, tmp_path: Path) -> None:
    assert f"{LORA_REPO} is not on this machine" in refusal(pipeline, pastel_style(), tmp_path)
    assert "gone.safetensors does not exist" in refusal(pipeline, pastel_style(repo=None, file=tmp_path / "gone.safetensors"))


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key.replace(old, new): tensor for key, tensor in tensors.items()}


def also(ending: str) -> Callable[[Tensors], Tensors]:
    """One module gets one tensor more."""
    stem = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    return lambda tensors: tensors | {f"{stem}.{ending}": torch.ones(4, 4)}


def for_width(width: int) -> Callable[[Tensors], Tensors]:
    """As if trained on a UNet that sees text of this width."""

    def change(tensors: Tensors) -> Tensors:
        cross = {key for key in tensors if "attn2_to_k" in key and key.endswith(DOWN)}
        return {key: torch.ones(4, width) if key in cross else tensor for key, tensor in tensors.items()}

    return change


def wrong_inner_shapes(tensors: Tensors) -> Tensors:
    """No cross attention in the file to judge it by, and shapes that fit nothing."""
    kept = {key: tensor for key, tensor in tensors.items() if "attn1" in key and "unet" in key}
    return {key: torch.ones(4, 320) if key.endswith(DOWN) else tensor for key, tensor in kept.items()}


def fails_in_the_second_encoder(tensors: Tensors) -> Tensors:
    """The UNet and the first encoder are patched before the fault is met."""
    return {key: torch.ones(4, 9) if "te2" in key and key.endswith(DOWN) else tensor for key, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (renamed(DOWN, "hada_w1_a"), "is in the format LoHa (LyCORIS), which cannot be used"),
        (renamed(DOWN, "lokr_w1"), "is in the format LoKr (LyCORIS)"),
        (also("lora_mid.weight"), "is in the format LoCon with Tucker decomposition"),
        (also("dora_scale"), "is in the format DoRA"),
        (also("lora_magnitude_vector"), "is in the format DoRA"),
        (renamed(DOWN, "oft_blocks"), "is in the format OFT"),
        (renamed(DOWN, "vera_lambda_b"), "is in the format VeRA"),
        (renamed(DOWN, "on_input"), "is in the format IA3 (LyCORIS)"),
        (renamed(DOWN, "a1.weight"), "is in the format GLoRA (LyCORIS)"),
        (renamed(DOWN, "diff"), "is in the format full weights (LyCORIS)"),
        (also("diff_b"), "is in the format full weights (LyCORIS)"),
        (also("w_norm"), "is in the format norms (LyCORIS)"),
        (lambda _: {"emb_params": torch.ones(4, 8)}, "is in the format textual inversion"),
        (renamed("lora_unet_", "lora_transformer_"), "was made for another architecture"),
        (renamed("lora_unet_input_blocks", "lora_unet_double_blocks"), "was made for another architecture"),
        (for_width(768), "was made for Stable Diffusion 1.x, not for this model"),
        (for_width(2048), "was made for SDXL, not for this model"),
        (wrong_inner_shapes, "does not fit this model"),
        (fails_in_the_second_encoder, "does not fit this model"),
        (lambda _: {"elsewhere.lora_A.weight": torch.ones(4, 8), "elsewhere.lora_B.weight": torch.ones(8, 4)}, "does not fit"),
        (renamed("lora_", "nothing_"), "holds no LoRA weights"),
        (lambda _: {"model.diffusion_model.out.0.weight": torch.ones(1)}, "is a whole checkpoint, not a LoRA"),
        (
            lambda _: {"unet.nowhere.lora_A.weight": torch.ones(4, 8), "unet.nowhere.lora_B.weight": torch.ones(8, 4)},
            "does not fit",
        ),
    ],
)
def test_a_lora_that_cannot_be_used_is_refused_with_its_reason_and_leaves_no_trace(
    pipeline: Any, lora: Tensors, tmp_path: Path, change: Callable[[Tensors], Tensors], complaint: str
) -> None:
    file = write_lora(tmp_path / "odd.safetensors", change(lora))

    assert complaint in refusal(pipeline, pastel_style(repo=None, file=file))


def test_after_a_refusal_the_sound_lora_draws_as_before(
    pipeline: Any, lora: Tensors, models: TinyModels, tmp_path: Path
) -> None:
    adapters = adapters_of(pipeline, models)
    adapters.activate([(pastel_style(), 1.0)])
    before = render(pipeline)
    broken = write_lora(tmp_path / "odd.safetensors", fails_in_the_second_encoder(lora))
    with pytest.raises(GenerationError):
        adapters.activate([(pastel_style(repo=None, file=broken), 1.0)])
    adapters.activate([(pastel_style(), 1.0)])

    assert render(pipeline) == before


def test_a_cut_file_and_a_pickle_are_refused_and_the_pickle_is_not_opened(
    pipeline: Any, models: TinyModels, tmp_path: Path
) -> None:
    sound = hub_folder(models.cache_dir, LORA_REPO) / LORA_FILE
    (tmp_path / "cut.safetensors").write_bytes(sound.read_bytes()[:-8])
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Canary(tmp_path / "nest")))
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Canary(tmp_path / "nest")))

    for name, complaint in (("cut.safetensors", "damaged"), ("evil.pt", "pickle file"), ("evil.safetensors", "damaged")):
        assert complaint in refusal(pipeline, pastel_style(repo=None, file=tmp_path / name))
    assert not (tmp_path / "nest").exists()
