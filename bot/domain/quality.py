"""A member's choice of quality, as the figures that it stands for.

A picture has one style. A quality that draws with a distilled LoRA does so where the picture has no other style and the server
offers the LoRA; else the profile's own sampler and guidance stay, and half of its steps are run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from bot.domain.house_rules import GuildSettings
from bot.domain.profile import ModelProfile, Quality, QualityName
from bot.domain.request import Draft, GenerationRequest
from bot.errors import InvalidRequestError

WEIGHT_OF_NOTHING = "`style_weight` needs a `style`. Choose one, or leave the weight out."
ORDER: tuple[QualityName, ...] = get_args(QualityName)


def names_of(profile: ModelProfile) -> tuple[QualityName, ...]:
    """The qualities that a member can choose from, from the quickest on."""
    return tuple(name for name in ORDER if name == "standard" or name in profile.quality)


def with_quality(draft: Draft, profile: ModelProfile, settings: GuildSettings | None = None) -> Draft:
    """The draft with its quality's figures in its gaps, and without the name. `settings` None: every LoRA may be used.

    Raises InvalidRequestError for a quality that the model does not have, and for a style's weight where the LoRA is no style.
    """
    if draft.quality is None:
        return draft
    quality = _called(draft.quality, profile)
    has_style = draft.style is not None and bool(draft.style.strip())
    if quality.style is not None and (has_style or not (settings is None or settings.offers(quality.style))):
        quality = Quality(num_inference_steps=(profile.num_inference_steps + 1) // 2)
    if quality.style is not None and draft.adapter_weight is not None:
        raise InvalidRequestError(WEIGHT_OF_NOTHING)
    filled = replace(
        draft,
        quality=None,
        num_inference_steps=quality.num_inference_steps if draft.num_inference_steps is None else draft.num_inference_steps,
        guidance_scale=quality.guidance_scale if draft.guidance_scale is None else draft.guidance_scale,
        guidance_interval=draft.guidance_interval or quality.guidance_interval,
        scheduler=draft.scheduler or quality.scheduler,
    )
    return filled if quality.style is None else replace(filled, style=quality.style, adapter_weight=quality.adapter_weight)


def distilled_quality(request: GenerationRequest, profile: ModelProfile) -> QualityName | None:
    """The quality whose LoRA drew `request`: a remix in another style must not keep the figures that only suit that LoRA."""
    for name, quality in profile.quality.items():
        if quality.style is not None and (quality.style, quality.scheduler) == (request.style, request.scheduler):
            return name
    return None


def _called(name: QualityName, profile: ModelProfile) -> Quality:
    if name == "standard":
        return Quality(num_inference_steps=profile.num_inference_steps)
    try:
        return profile.quality[name]
    except KeyError:
        names = ", ".join(f"`{name}`" for name in names_of(profile))
        raise InvalidRequestError(f"This model does not have that quality. Choose one of: {names}.") from None
