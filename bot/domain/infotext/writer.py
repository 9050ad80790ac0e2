"""The text that tells how a picture was made, in the form that A1111, Civitai and their readers know."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bot import __version__
from bot.domain.infotext.prompt_fit import PromptFit
from bot.domain.infotext.style_reading import reading_pairs
from bot.domain.infotext.variations import variation_pairs
from bot.domain.profile import ModelProfile, Style
from bot.domain.prompt import compose
from bot.domain.request import GenerationRequest
from bot.domain.sampler import SAMPLER_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides picture `index` of `request`; hashes where they are known.

    `styles` are LoRAs with their weights; `adapter_hashes` those of the ones whose weight is not 0, in their order.
    `precision` is what UNet and VAE compute in, where it is not what the model is loaded in.
    """

    request: GenerationRequest
    index: int
    profile: ModelProfile
    styles: tuple[tuple[Style, float], ...] = ()
    model_hash: str | None = None
    adapter_hashes: tuple[str, ...] = ()
    fit: PromptFit | None = None
    precision: str | None = None


def parameters_text(recipe: Recipe) -> str:
    """Prompt, negative prompt, and one line of `key: value` pairs (A1111's infotext).

    A newline in a prompt could forge the lines below it; GenerationRequest lets none through.
    """
    composed = compose(recipe.request, recipe.profile, [style for style, _ in recipe.styles])
    tags = "".join(f" <lora:{style.lora_name}:{weight:g}>" for style, weight in _active(recipe))
    lines = [composed.prompt + tags]
    if composed.negative_prompt:
        lines.append(f"Negative prompt: {composed.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in _fields(recipe).items() if value is not None))
    return "\n".join(lines)


def _fields(recipe: Recipe) -> dict[str, str | int | None]:
    request, profile = recipe.request, recipe.profile
    scheduler = request.scheduler or profile.scheduler
    seeds = request.image_seeds(recipe.index)
    named = zip((style.lora_name for style, _ in _active(recipe)), recipe.adapter_hashes, strict=False)
    hashes = ", ".join(f"{name}: {digest}" for name, digest in named) or None
    return {
        "Steps": request.num_inference_steps,
        "Sampler": SAMPLER_NAMES.get(scheduler, scheduler),
        "CFG scale": f"{request.guidance_scale:g}",
        "Seed": seeds.seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": recipe.model_hash,
        "Model": profile.name,
        "Clip skip": profile.clip_skip + 2 if profile.clip_skip is not None else None,  # A1111's 2 is diffusers' None
        "CFG Rescale": f"{profile.guidance_rescale:g}" if profile.guidance_rescale else None,
        "Guidance interval": f"{interval[0]:g} to {interval[1]:g}" if (interval := request.guidance_interval) else None,
        "Denoising strength": f"{request.init_image.strength:g}" if request.init_image else None,
        **variation_pairs(seeds.blends),
        **reading_pairs(hashes),
        **(recipe.fit.pairs() if recipe.fit else {}),
        "RNG": "CPU",
        "Precision": recipe.precision,
        "Version": f"Pastel {__version__}",
    }


def _active(recipe: Recipe) -> list[tuple[Style, float]]:
    return [(style, weight) for style, weight in recipe.styles if weight]


def _quoted(value: str | int) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(char in text for char in ',:\n"') else text
