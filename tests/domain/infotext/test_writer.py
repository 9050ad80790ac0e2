from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from bot import __version__
from bot.domain.infotext.prompt_fit import PromptFit
from bot.domain.infotext.style_reading import was_read_less_exactly
from bot.domain.infotext.writer import Recipe, parameters_text
from bot.domain.request import GenerationRequest, InitImage, NoiseBlend, NoiseDraws
from tests import examples

PROFILE = replace(examples.PROFILE, name="animagine-xl", prompt_prefix="masterpiece")
PASTEL = replace(examples.PASTEL, weight_name="pastel-anime-xl.safetensors")


def request(**changes: Any) -> GenerationRequest:
    return examples.request(**({"prompt": "1girl, green hair", "seed": 42} | changes))


def text_of(asked: GenerationRequest | None = None, *, index: int = 0, profile: Any = PROFILE, **more: Any) -> str:
    return parameters_text(Recipe(request=asked or request(), index=index, profile=profile, **more))


def test_a_plain_picture_has_three_lines_in_a1111s_form() -> None:
    assert text_of() == (
        "masterpiece, 1girl, green hair\n"
        "Negative prompt: lowres, bad anatomy\n"
        "Steps: 4, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 64x64, Model: animagine-xl, RNG: CPU, "
        f"Version: Pastel {__version__}"
    )


def test_each_picture_of_a_request_names_its_own_seed() -> None:
    assert "Seed: 44," in text_of(request(num_images=3), index=2)


def test_lora_hashes_are_quoted_and_the_prompt_carries_a1111s_tag_with_the_weight() -> None:
    text = text_of(
        request(style="pastel", adapter_weight=0.75),
        styles=((PASTEL, 0.75),),
        adapter_hashes=("0123456789ab",),
        model_hash="abc",
    )

    assert text.splitlines()[0].endswith("<lora:pastel-anime-xl:0.75>")
    assert 'Lora hashes: "pastel-anime-xl: 0123456789ab", Lora scale: by layer' in text
    assert not was_read_less_exactly(text)
    assert "Model hash: abc, Model: animagine-xl" in text


def test_a_style_of_weight_0_leaves_no_tag() -> None:
    assert "<lora:" not in text_of(request(style="pastel", adapter_weight=0), styles=((PASTEL, 0.0),))


def test_variations_and_img2img_are_told() -> None:
    blends = (NoiseBlend(seed=7, strength=0.15, draws=NoiseDraws.FIRST), NoiseBlend(seed=8, strength=0.5))
    text = text_of(request(blends=blends, init_image=InitImage(key="x", strength=0.6), num_images=2), index=1)

    assert "Denoising strength: 0.6, Variation seed: 9, Variation seed strength: 0.5" in text
    assert "Variation chain: 7 0.15; 9 0.5 every" in text
    assert "Seed: 42" in text


def test_clip_skip_counts_as_a1111_does() -> None:
    assert "Clip skip: 3" in text_of(profile=replace(PROFILE, clip_skip=1, guidance_rescale=0.2))


def test_how_much_of_the_prompt_was_read_is_told_and_can_be_read_back() -> None:
    fit = PromptFit(tokens=301, dropped_words=14, dropped_negative_words=2)

    assert "Tokens: 301, Dropped words: 14, Dropped negative words: 2, " in text_of(fit=fit)
    assert PromptFit.read(text_of(fit=fit)) == fit
    assert "Dropped" not in text_of(fit=PromptFit(tokens=3))
    assert PromptFit.read(text_of()) is None


def test_what_a_picture_was_drawn_in_is_told_where_it_is_not_the_models_own() -> None:
    assert f"RNG: CPU, Precision: bfloat16, Version: Pastel {__version__}" in text_of(precision="bfloat16")
    assert "Precision" not in text_of()


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\u2028", "\u0085", "\x0b"])
def test_a_prompt_cannot_forge_a_line_of_its_own(separator: str) -> None:
    forged = f"1girl{separator}Negative prompt: nothing{separator}Steps: 1, Seed: 1"
    lines = text_of(request(prompt=forged)).splitlines()

    assert len(lines) == 3
    assert lines[1] == "Negative prompt: lowres, bad anatomy"
    assert re.search(r"Seed: 42\b", lines[2])
