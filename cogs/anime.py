"""`/anime`: a prompt becomes a job."""

from __future__ import annotations

from typing import Any, cast

import discord
from discord import app_commands
from discord.app_commands import Choice, Range
from discord.ext import commands

from bot.chat.client import PastelBot
from bot.chat.replies import origin_of
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
from bot.services.generation import GenerationService, Start
from bot.services.request_builder import PreparedJob
from cogs._choices import quality_choices, size_choices, style_choices
from cogs._submit import take_in, take_in_with_picture
from cogs._uploads import check_upload

DEFAULT_STRENGTH = 0.6  # img2img: keeps the composition, redraws the rest


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Anime(bot, bot.require(GenerationService)))


class Anime(commands.Cog):
    """Puts `/anime` into the tree; built at run time, since its sizes are those of the model."""

    def __init__(self, bot: PastelBot, generation: GenerationService) -> None:
        self._bot = bot
        self._generation = generation
        self._command = anime_command(generation)

    async def cog_load(self) -> None:
        self._bot.tree.add_command(self._command)

    async def cog_unload(self) -> None:
        self._bot.tree.remove_command(self._command.name)


def anime_command(generation: GenerationService) -> app_commands.Command[Any, ..., None]:
    """The command with the sizes and styles of the active model."""
    profile = generation.profile

    async def styles(interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        return style_choices(await generation.styles(origin_of(interaction)), current)

    @app_commands.describe(
        prompt="What to draw: tags or words, such as 1girl, green hair, beanie, night",
        negative_prompt="What to leave out",
        size=f"Default: {profile.default_size}",
        images="How many pictures at once (default 1)",
        seed="The same seed with the same words gives the same picture (default: random)",
        steps=f"More steps take longer and may be finer (default {profile.num_inference_steps})",
        quality="Draft is quick, best takes its time (default standard); steps and guidance of your own win",
        guidance_scale=f"How closely to follow the prompt (default {profile.guidance_scale:g})",
        style="A style on top of the model; type to search",
        style_weight="How strongly the style shows (default: its own)",
        second_style="Another style beside the first; type to search",
        second_style_weight="How strongly the second style shows (default: its own)",
        image="A picture to start from (PNG, JPEG or WebP, up to 10 MiB)",
        strength=f"How much of your picture may change (default {DEFAULT_STRENGTH:g})",
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

    return app_commands.Command(name="anime", description="Draw an anime picture from your words", callback=anime)


def _more_styles(generation: GenerationService, name: str | None, weight: float | None) -> tuple[StyleChoice, ...]:
    if name is None or not name.strip():
        if weight is not None:
            raise InvalidRequestError("`second_style_weight` needs a `second_style`. Choose one, or leave the weight out.")
        return ()
    return (chosen_style(name, weight, generation.profile, generation.catalog),)


async def draw(
    generation: GenerationService,
    interaction: discord.Interaction,
    draft: Draft,
    image: discord.Attachment | None,
    strength: float | None,
) -> None:
    """Hand the words over; a picture to start from is fetched after the first answer, the words are checked before it."""

    async def propose(origin: Origin) -> PreparedJob:
        proposal = await generation.propose(draft, origin)
        if draft.adapter_weight is not None and proposal.request.style is None:
            raise InvalidRequestError(WEIGHT_OF_NOTHING)
        return proposal

    if image is None:
        if strength is not None:
            raise InvalidRequestError("`strength` needs an `image` to start from. Attach one, or leave the strength out.")
        await take_in(generation, interaction, propose)
        return
    check_upload(image)
    start = Start(url=image.url, strength=DEFAULT_STRENGTH if strength is None else strength)
    await take_in_with_picture(generation, interaction, propose, start)
