"""A picture's settings as a draft of what can be drawn here: the nearest size, our ranges, a style where its LoRA is ours.

What a quality drew with a distilled LoRA becomes that quality again, as in a remix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.infotext.loose_values import number, whole
from bot.domain.infotext.lora_tags import LoraTag, plain_name
from bot.domain.infotext.pairs import read_pairs
from bot.domain.infotext.picture_settings import PictureSettings
from bot.domain.infotext.variations import chain, read_chain
from bot.domain.profile import Catalog, ImageSize, ModelProfile, QualityName, Style
from bot.domain.quality import ORDER, quality_with, with_quality
from bot.domain.request import (
    MAX_ADAPTER_WEIGHT,
    MAX_GUIDANCE,
    MAX_PROMPT_LENGTH,
    MAX_SEED,
    MAX_STEPS,
    MIN_GUIDANCE,
    Draft,
)
from bot.domain.sampler import SAMPLERS
from bot.errors import InvalidRequestError
from bot.messages import Message, message, translatable

NUMBERS_HINT = translatable(
    "Write the numbers like this: `Steps: 28, CFG scale: 7, Seed: 42`. Leave out what you don't care about."
)
SEED_HINT = translatable("`Variations` only work with their seed. Write its number after `Seed:`, or leave them out.")
UNREAD = translatable("I can't read the format of these settings. Copy what you want from them into `/anime`.")
UNREAD_OF = translatable("{program} wrote these settings in a format I can't read. Copy what you want from them into `/anime`.")
QUALITY, STEPS, GUIDANCE, SEED, WEIGHT = "Quality", "Steps", "CFG scale", "Seed", "Style weight"
VARIATIONS = "Variations"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSettings:
    """What becomes of a picture's settings here: `style` is the draft's, `missing_loras` are those that it does not have.

    `drawn` is the draft with the figures of its quality.
    """

    draft: Draft
    drawn: Draft
    style: Style | None = None
    missing_loras: tuple[str, ...] = ()
    shortened: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureImport:
    """A picture's text, letter for letter, what it means, and what becomes of that here."""

    text: str
    settings: PictureSettings
    imported: ImportedSettings


def unread_sentence(program: str | None) -> Message:
    """Returns the sentence for a text in a form that nobody here reads. `program` has to be ready to be shown."""
    return message(UNREAD) if program is None else message(UNREAD_OF, program=program)


def import_settings(
    found: PictureSettings, profile: ModelProfile, catalog: Catalog, settings: GuildSettings
) -> ImportedSettings:
    """One picture, as near to `found` as the model and the server come; where it says nothing, the draft has a gap.

    A seed beyond ours is a gap too: another number would draw something else.
    """
    offered = [style for style in catalog.styles_for(profile) if settings.offers(style.name)]
    quality, lora = _quality(found, profile, catalog) or (None, None)
    style, weight, missing = _style(found.loras if lora is None else _others(found.loras, lora), offered)
    draft = replace(_draft(found, profile), style=style.name if style else None, adapter_weight=weight)
    if lora is not None and quality is not None:
        draft = _in_quality(quality, draft, profile, has_lora=settings.offers(lora.name))
        missing = missing if settings.offers(lora.name) else (*missing, lora.title)
    return ImportedSettings(
        draft=draft,
        drawn=with_quality(draft, profile, catalog, settings),
        style=style,
        missing_loras=missing,
        shortened=max(len(_one_line(found.prompt)), len(_one_line(found.negative_prompt))) > MAX_PROMPT_LENGTH,
    )


def _draft(found: PictureSettings, profile: ModelProfile) -> Draft:
    prompt, negative_prompt = _one_line(found.prompt), _one_line(found.negative_prompt)
    seed = found.seed if found.seed is not None and found.seed <= MAX_SEED else None
    return Draft(
        prompt=prompt[:MAX_PROMPT_LENGTH],
        negative_prompt=negative_prompt[:MAX_PROMPT_LENGTH],
        size=None if found.size is None else nearest_size(found.size, profile).name,
        num_images=1,
        num_inference_steps=None if found.steps is None else max(1, min(found.steps, MAX_STEPS)),
        guidance_scale=None if found.guidance_scale is None else max(MIN_GUIDANCE, min(found.guidance_scale, MAX_GUIDANCE)),
        seed=seed,
        blends=found.variations if seed is not None else (),
    )


def nearest_size(wanted: tuple[int, int], profile: ModelProfile) -> ImageSize:
    """By shape first, then by area: a portrait stays one, however large it was."""
    width, height = wanted

    def distance(size: ImageSize) -> tuple[float, float]:
        shape = math.log(size.width / size.height) - math.log(width / height)
        area = math.log(size.width * size.height) - math.log(width * height)
        return round(abs(shape), 2), abs(area)

    return min(profile.sizes, key=distance)


def numbers_line(draft: Draft) -> str:
    """Quality, steps, guidance, seed, weight and variations of a draft on one line in A1111's fashion, for `with_numbers`."""
    numbers = {
        STEPS: draft.num_inference_steps,
        GUIDANCE: draft.guidance_scale,
        SEED: draft.seed,
        WEIGHT: draft.adapter_weight,
        VARIATIONS: chain(draft.blends) or None,
    }
    given = ((key, value) for key, value in {QUALITY: draft.quality, **numbers}.items() if value is not None)
    return ", ".join(f"{key}: {value:g}" if isinstance(value, float) else f"{key}: {value}" for key, value in given)


def with_numbers(draft: Draft, line: str) -> Draft:
    """`draft` with the numbers of a line that a member may have changed; what they left out stays open.

    Raises InvalidRequestError for a line that cannot be understood; whether the numbers are possible is checked later.
    """
    pairs = read_pairs(line)
    steps, seed = whole(pairs.get(STEPS.casefold(), "")), whole(pairs.get(SEED.casefold(), ""))
    guidance, weight = number(pairs.get(GUIDANCE.casefold(), "")), number(pairs.get(WEIGHT.casefold(), ""))
    quality = next((name for name in ORDER if name == pairs.get(QUALITY.casefold(), "").casefold()), None)
    blends = read_chain(pairs[VARIATIONS.casefold()]) if VARIATIONS.casefold() in pairs else None
    named = [key for key in (QUALITY, STEPS, GUIDANCE, SEED, WEIGHT, VARIATIONS) if key.casefold() in pairs]
    understood = [value for value in (quality, steps, guidance, seed, weight, blends) if value is not None]
    if line.strip() and (not named or len(understood) < len(named)):
        raise InvalidRequestError(NUMBERS_HINT)
    if blends and seed is None:
        raise InvalidRequestError(SEED_HINT)
    return replace(
        draft,
        quality=quality,
        num_inference_steps=steps,
        guidance_scale=guidance,
        seed=seed,
        adapter_weight=weight,
        blends=blends or (),
    )


def _quality(found: PictureSettings, profile: ModelProfile, catalog: Catalog) -> tuple[QualityName, Style] | None:
    """The quality whose LoRA and sampler drew the picture, and the LoRA."""
    sampler = (found.sampler or "").casefold()
    scheduler = next((key for key, known in SAMPLERS.items() if known.title.casefold() == sampler), "")
    for lora in catalog.quality_styles(profile):
        name = quality_with({lora.name}, scheduler, profile)
        if name is not None and len(_others(found.loras, lora)) < len(found.loras):
            return name, lora
    return None


def _in_quality(name: QualityName, draft: Draft, profile: ModelProfile, *, has_lora: bool) -> Draft:
    """The draft without the quality's own figures; without its LoRA, others that only suited that go too."""
    quality = profile.quality[name]
    own_steps = has_lora and draft.num_inference_steps != quality.num_inference_steps
    own_guidance = has_lora and draft.guidance_scale != quality.guidance_scale
    return replace(
        draft,
        quality=name,
        num_inference_steps=draft.num_inference_steps if own_steps else None,
        guidance_scale=draft.guidance_scale if own_guidance else None,
    )


def _others(loras: Sequence[LoraTag], style: Style) -> tuple[LoraTag, ...]:
    """Those that are not the style's."""
    names = {plain_name(name) for name in style.known_as}
    return tuple(tag for tag in loras if plain_name(tag.name) not in names)


def _style(loras: Sequence[LoraTag], styles: Sequence[Style]) -> tuple[Style | None, float | None, tuple[str, ...]]:
    """The first style whose LoRA was used, its weight there, and the other LoRAs: the form has room for one style."""
    ours = {plain_name(name): style for style in styles for name in style.known_as}
    chosen = next((tag for tag in loras if plain_name(tag.name) in ours), None)
    missing = tuple(dict.fromkeys(tag.name for tag in loras if tag is not chosen))
    if chosen is None:
        return None, None, missing
    style = ours[plain_name(chosen.name)]
    weight = style.adapter_weight if chosen.weight is None else chosen.weight
    return style, max(0.0, min(weight, MAX_ADAPTER_WEIGHT)), missing


def _one_line(text: str) -> str:
    """Without the commas at the end, too, that LoRA tags leave over there."""
    return " ".join(text.split()).rstrip(" ,")
