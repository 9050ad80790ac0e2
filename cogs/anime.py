"""`/anime`: makes a job from a prompt."""

from __future__ import annotations

from typing import Any, cast

import discord
from discord import app_commands
from discord.app_commands import Choice, Range, locale_str
from discord.ext import commands

from bot.chat.attachments import MAX_BYTES
from bot.chat.client import PastelBot
from bot.chat.command_translator import filled
from bot.chat.replies import origin_of
from bot.chat.views.choice_labels import size_text
from bot.domain.job import Origin
from bot.domain.profile import QualityName
from bot.domain.prompt import chosen_style
from bot.domain.quality import WEIGHT_OF_NOTHING
from bot.domain.request import (
    MAX_ADAPTER_WEIGHT,
    MAX_GUIDANCE,
    MAX_IMAGES,
    MAX_SEED,
    MAX_STEPS,
    MAX_STRENGTH,
    MIN_GUIDANCE,
    MIN_STRENGTH,
    Draft,
    StyleChoice,
)
from bot.errors import InvalidRequestError
from bot.messages import message
from bot.services.generation import GenerationService, Start
from bot.services.request_builder import PreparedJob
from cogs._choices import quality_choices, size_choices, style_choices
from cogs._submit import take_in, take_in_with_picture
from cogs._uploads import check_upload

DEFAULT_STRENGTH = 0.6  # img2img: keeps the composition, redraws the rest


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Anime(bot, bot.require(GenerationService)))


class Anime(commands.Cog):
    """Adds `/anime` to the tree; built at run time, since its sizes are those of the model."""

    def __init__(self, bot: PastelBot, generation: GenerationService) -> None:
        self._bot = bot
        self._generation = generation
        self._command = anime_command(generation)

    async def cog_load(self) -> None:
        self._bot.tree.add_command(self._command)

    async def cog_unload(self) -> None:
        self._bot.tree.remove_command(self._command.name)


def anime_command(generation: GenerationService) -> app_commands.Command[Any, ..., None]:
    """Returns the command with the sizes and styles of the active model."""
    profile = generation.profile

    async def styles(interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        return style_choices(await generation.styles(origin_of(interaction)), current)

    @app_commands.describe(
        prompt=locale_str("What to draw: tags or words, such as 1girl, green hair, beanie, night"),
        negative_prompt=locale_str("What to leave out of the picture"),
        size=filled(message("Default: {size}", size=size_text(profile.size(None)))),
        images=locale_str("How many pictures to draw (default 1)"),
        seed=locale_str("Same seed + same prompt = same picture (default: random)"),
        steps=filled(
            message(
                "More steps take longer and can add detail (1 to {limit}, default {count})",
                limit=MAX_STEPS,
                count=profile.num_inference_steps,
            )
        ),
        quality=locale_str("Draft is quick, best is slow. Your own steps and guidance come first"),
        guidance_scale=filled(message("How closely to follow your prompt (default {scale:g})", scale=profile.guidance_scale)),
        style=locale_str("A style on top of the model. Type to search"),
        style_weight=filled(message("How strong the style is (0 to {limit:g})", limit=MAX_ADAPTER_WEIGHT)),
        second_style=locale_str("A second style next to the first. Type to search"),
        second_style_weight=filled(message("How strong the second style is (0 to {limit:g})", limit=MAX_ADAPTER_WEIGHT)),
        image=filled(message("A picture to start from (PNG, JPEG or WebP, up to {limit} MiB)", limit=MAX_BYTES // 2**20)),
        strength=filled(message("How much of your picture may change (default {strength:g})", strength=DEFAULT_STRENGTH)),
    )
    @app_commands.choices(size=size_choices(profile), quality=quality_choices(profile))
    @app_commands.autocomplete(style=styles, second_style=styles)
    async def anime(  # noqa: PLR0913 - discord.py makes an option of every parameter
        interaction: discord.Interaction,
        prompt: str,
        negative_prompt: str = "",
        size: str | None = None,
        images: Range[int, 1, MAX_IMAGES] | None = None,
        seed: Range[int, 0, MAX_SEED] | None = None,
        quality: str | None = None,
        steps: Range[int, 1, MAX_STEPS] | None = None,
        guidance_scale: Range[float, MIN_GUIDANCE, MAX_GUIDANCE] | None = None,
        style: str | None = None,
        style_weight: Range[float, 0.0, MAX_ADAPTER_WEIGHT] | None = None,
        second_style: str | None = None,
        second_style_weight: Range[float, 0.0, MAX_ADAPTER_WEIGHT] | None = None,
        image: discord.Attachment | None = None,
        strength: Range[float, MIN_STRENGTH, MAX_STRENGTH] | None = None,
    ) -> None:
        draft = Draft(
            prompt=prompt,
            negative_prompt=negative_prompt,
            size=size,
            num_images=images,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            seed=seed,
            quality=cast("QualityName | None", quality),  # another one is refused where it is looked up
            style=style,
            adapter_weight=style_weight,
            more_styles=_more_styles(generation, second_style, second_style_weight),
        )
        await draw(generation, interaction, draft, image, strength)

    return app_commands.Command(name="anime", description=locale_str("Draw an anime picture from your words"), callback=anime)


def _more_styles(generation: GenerationService, name: str | None, weight: float | None) -> tuple[StyleChoice, ...]:
    if name is None or not name.strip():
        if weight is not None:
            raise InvalidRequestError(
                "`second_style_weight` only works with a `second_style`. Choose one, or leave the weight out."
            )
        return ()
    return (chosen_style(name, weight, generation.profile, generation.catalog),)


async def draw(
    generation: GenerationService,
    interaction: discord.Interaction,
    draft: Draft,
    image: discord.Attachment | None,
    strength: float | None,
) -> None:
    """Submits the request; the words are checked before the first answer, a picture to start from is fetched after it."""

    async def propose(origin: Origin) -> PreparedJob:
        proposal = await generation.propose(draft, origin)
        if draft.adapter_weight is not None and proposal.request.style is None:
            raise InvalidRequestError(WEIGHT_OF_NOTHING)
        return proposal

    if image is None:
        if strength is not None:
            raise InvalidRequestError("`strength` only works with an `image`. Attach one, or leave `strength` out.")
        await take_in(generation, interaction, propose)
        return
    check_upload(image)
    start = Start(url=image.url, strength=DEFAULT_STRENGTH if strength is None else strength)
    await take_in_with_picture(generation, interaction, propose, start)
