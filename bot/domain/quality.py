"""A member's choice of quality, as the figures that it stands for.

A quality that draws with a distilled LoRA does so where the server offers the LoRA, which then goes along with the member's own
styles; else the profile's own sampler and guidance stay, and half of its steps are run.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import get_args

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.profile import Catalog, ModelProfile, Quality, QualityName, Style
from bot.domain.request import MAX_STYLES, Draft, GenerationRequest, StyleChoice
from bot.errors import InvalidRequestError
from bot.messages import translatable

WEIGHT_OF_NOTHING = translatable("`style_weight` only works with a `style`. Choose one, or leave `style_weight` out.")
ORDER: tuple[QualityName, ...] = get_args(QualityName)


def names_of(profile: ModelProfile) -> tuple[QualityName, ...]:
    """The qualities that a member can choose from, from the quickest on."""
    return tuple(name for name in ORDER if name == "standard" or name in profile.quality)


def with_quality(draft: Draft, profile: ModelProfile, catalog: Catalog, settings: GuildSettings | None = None) -> Draft:
    """The draft with its quality's figures in its gaps, and without the name. `settings` None: every LoRA may be used.

    Raises InvalidRequestError for a quality that the model does not have, for a style's weight where the LoRA is no style, and
    where the LoRA has no room beside the member's styles.
    """
    if draft.quality is None:
        return draft
    quality = _called(draft.quality, profile)
    if quality.style is not None and not (settings is None or settings.offers(quality.style)):
        quality = Quality(num_inference_steps=(profile.num_inference_steps + 1) // 2)
    filled = replace(
        draft,
        quality=None,
        num_inference_steps=quality.num_inference_steps if draft.num_inference_steps is None else draft.num_inference_steps,
        guidance_scale=quality.guidance_scale if draft.guidance_scale is None else draft.guidance_scale,
        guidance_interval=draft.guidance_interval or quality.guidance_interval,
        scheduler=draft.scheduler or quality.scheduler,
    )
    return filled if quality.style is None else _with_lora(filled, quality, catalog.style(quality.style, profile))


def distilled_quality(request: GenerationRequest, profile: ModelProfile) -> QualityName | None:
    """The quality whose LoRA drew `request`: a remix without that LoRA must not keep the figures that only suit it."""
    return quality_with({style.name for style in request.styles}, request.scheduler or profile.scheduler, profile)


def quality_with(loras: Collection[str], scheduler: str, profile: ModelProfile) -> QualityName | None:
    """The quality that draws with one of the LoRAs, called as our styles are, and with that sampler."""
    for name, quality in profile.quality.items():
        if quality.style in loras and (quality.scheduler or profile.scheduler) == scheduler:
            return name
    return None


def _with_lora(draft: Draft, quality: Quality, lora: Style) -> Draft:
    own = [name.strip().casefold() for name in (draft.style, *(style.name for style in draft.more_styles)) if name]
    own = [name for name in own if name]
    if {lora.name.casefold(), lora.title.casefold()} & set(own):
        return draft
    if len(own) >= MAX_STYLES:
        raise InvalidRequestError(
            "That quality adds a style of its own, and I can combine up to {limit}. Leave one out, or choose another quality.",
            limit=MAX_STYLES,
        )
    if draft.style is None or not draft.style.strip():
        if draft.adapter_weight is not None:
            raise InvalidRequestError(WEIGHT_OF_NOTHING)
        return replace(draft, style=lora.name, adapter_weight=quality.adapter_weight)
    weight = lora.adapter_weight if quality.adapter_weight is None else quality.adapter_weight
    return replace(draft, more_styles=(*draft.more_styles, StyleChoice(name=lora.name, weight=weight)))


def _called(name: QualityName, profile: ModelProfile) -> Quality:
    if name == "standard":
        return Quality(num_inference_steps=profile.num_inference_steps)
    try:
        return profile.quality[name]
    except KeyError:
        names = ", ".join(f"`{name}`" for name in names_of(profile))
        raise InvalidRequestError("This model doesn't have that quality. You can use {qualities}.", qualities=names) from None
