"""The prompt as the model sees it: quality tags, trigger words and the default negative prompt around the member's words."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.domain.infotext.lora_tags import taken_out
from bot.domain.profile import UNSTEERED, Catalog, ModelProfile, QualityName, Style
from bot.domain.quality import distilled_quality, with_quality
from bot.domain.request import MAX_SEED, Draft, GenerationRequest, Number, StyleChoice, given
from bot.domain.sampler import check_steps
from bot.domain.style_tags import with_tagged_styles


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedPrompt:
    """What is handed to the text encoders."""

    prompt: str
    negative_prompt: str


def words_of(request: GenerationRequest) -> tuple[str, str]:
    """Prompt and negative prompt of the member as they are drawn: without the LoRA tags of requests that are older than
    `bot.domain.style_tags`, which to the model are no more than letters.
    """
    return taken_out(request.prompt)[0], taken_out(request.negative_prompt)[0]


def compose(request: GenerationRequest, profile: ModelProfile, styles: Sequence[Style]) -> ComposedPrompt:
    """Add the profile's tags, those that keep to the request's rating, and the styles' trigger words, each tag once, and the
    default negative prompt.
    """
    prompt, negative_prompt = words_of(request)
    triggers = [style.trigger_words for style in styles]
    steering = profile.steering.get(request.rating, UNSTEERED) if request.rating else UNSTEERED
    return ComposedPrompt(
        prompt=_join_new(profile.prompt_prefix, steering.prompt, *triggers, around=prompt, suffix=profile.prompt_suffix),
        negative_prompt=_join_new(steering.negative_prompt, profile.negative_prompt, around=negative_prompt),
    )


def resolve(draft: Draft, profile: ModelProfile, catalog: Catalog) -> GenerationRequest:
    """Fill the draft's gaps from its quality and the profile and check it; a missing seed is drawn at random.

    A LoRA tag that is still in the prompt is a style, wherever it is offered. Raises InvalidRequestError with a sentence for
    the member.
    """
    draft = with_quality(with_tagged_styles(draft, profile, catalog), profile, catalog)
    size = profile.size(draft.size)
    style = catalog.style(draft.style, profile) if draft.style and draft.style.strip() else None
    steps = given(draft.num_inference_steps, profile.num_inference_steps)
    check_steps(draft.scheduler or profile.scheduler, steps)
    return GenerationRequest(
        profile=profile.name,
        prompt=draft.prompt,
        negative_prompt=draft.negative_prompt,
        width=size.width,
        height=size.height,
        num_images=1 if draft.num_images is None else draft.num_images,
        num_inference_steps=steps,
        guidance_scale=given(draft.guidance_scale, profile.guidance_scale),
        seed=random_seed() if draft.seed is None else draft.seed,
        style=style.name if style else None,
        adapter_weight=given(draft.adapter_weight, style.adapter_weight if style else 1.0),
        more_styles=tuple(chosen_style(one.name, one.weight, profile, catalog) for one in draft.more_styles),
        scheduler=draft.scheduler,
        guidance_interval=draft.guidance_interval or profile.guidance_interval,
        blends=draft.blends,
    )


def chosen_style(name: str, weight: float | None, profile: ModelProfile, catalog: Catalog) -> StyleChoice:
    """A member's words for one more LoRA; `weight` None is the style's own. Raises InvalidRequestError."""
    style = catalog.style(name, profile)
    return StyleChoice(name=style.name, weight=given(weight, style.adapter_weight))


def styles_of(request: GenerationRequest, profile: ModelProfile, catalog: Catalog) -> tuple[tuple[Style, float], ...]:
    """The request's LoRAs with their weights. Raises InvalidRequestError for one that does not fit the model, or is gone."""
    return tuple((catalog.style(chosen.name, profile), chosen.weight) for chosen in request.styles)


def to_draft(request: GenerationRequest, profile: ModelProfile) -> Draft:
    """The request as a draft, to fill a form with; the seed is left open so that a remix is a new picture.

    What a distilled LoRA drew has its quality in place of the LoRA and of its figures, which suit no other LoRA.
    """
    sizes = (size.name for size in profile.sizes if (size.width, size.height) == (request.width, request.height))
    draft = Draft(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        size=next(sizes, None),
        num_images=request.num_images,
    )
    if (name := distilled_quality(request, profile)) is not None:
        return _in_quality(name, draft, request, profile)
    return replace(
        draft,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        style=request.style,
        adapter_weight=request.adapter_weight if request.style else None,
        more_styles=request.more_styles,
        scheduler=request.scheduler,
        guidance_interval=request.guidance_interval,
    )


def _in_quality(name: QualityName, draft: Draft, request: GenerationRequest, profile: ModelProfile) -> Draft:
    quality = profile.quality[name]
    is_first = request.style == quality.style
    return replace(
        draft,
        quality=name,
        num_inference_steps=_unless(request.num_inference_steps, quality.num_inference_steps),
        guidance_scale=_unless(request.guidance_scale, quality.guidance_scale),
        style=None if is_first else request.style,
        adapter_weight=None if is_first else request.adapter_weight,
        more_styles=tuple(style for style in request.more_styles if style.name != quality.style),
    )


def reseeded(request: GenerationRequest) -> GenerationRequest:
    """The same request with a new seed and without its variations: a reroll."""
    return replace(request, seed=random_seed(), blends=())


def random_seed() -> int:
    """A seed from the operating system's generator."""
    return secrets.randbelow(MAX_SEED + 1)


def _unless(value: Number, default: Number | None) -> Number | None:
    return None if value == default else value


def _join_new(*before: str, around: str, suffix: str = "") -> str:
    """Join comma-separated parts, leaving out tags of the additions that the member wrote already."""
    own = {tag.strip().casefold() for tag in around.split(",")}

    def new(part: str) -> str:
        return ", ".join(tag.strip() for tag in part.split(",") if tag.strip() and tag.strip().casefold() not in own)

    return ", ".join(part for part in (*(new(part) for part in before), around, new(suffix)) if part)
