"""The rules of a server, and the bot's own, applied to one request: where, who, how much, whose, and how it may be shown.

Everything here is pure and raises NotAllowedError or NotFoundError with a sentence for the member.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Job, Origin, Place
from bot.domain.profile import ModelProfile, Style, titles
from bot.domain.request import GenerationRequest
from bot.domain.safety import HIGHEST_OF_YOUNG, Showing
from bot.errors import NotAllowedError, NotFoundError
from bot.messages import Message, counted, listed, translatable

JOB_GONE = translatable("This picture is gone. Start a new one with `/anime`.")
OTHERS_MAY_NOT = translatable("In this server, only the person who made a picture can use its buttons.")
MIN_UNSEEN_STRENGTH = 0.5  # half of the steps draw anew; below, what comes out may be what was given, whatever that shows
MAX_NAMED = 5  # channels or roles in a sentence; Discord shows them by name, and a mention in it pings nobody


def check_place(settings: GuildSettings, place: Place) -> None:
    """Whether Pastel draws there. A thread counts as its channel, or as itself where it was allowed by itself."""
    allowed = settings.allowed_channels
    if allowed and allowed.isdisjoint({place.channel_id, place.parent_id}):
        raise NotAllowedError("I can only draw in {channels} here. Try it there!", channels=_mentions("#", allowed))


def check_roles(settings: GuildSettings, role_ids: Collection[int]) -> None:
    """Whether a member with these roles may draw."""
    allowed = settings.allowed_roles
    if allowed and allowed.isdisjoint(role_ids):
        roles = _mentions("@&", allowed)
        if len(allowed) == 1:
            raise NotAllowedError("You need the {role} role to draw here. Ask a moderator for it.", role=roles)
        raise NotAllowedError("You need one of these roles to draw here: {roles}. Ask a moderator for one.", roles=roles)


def check_amount(settings: GuildSettings, request: GenerationRequest) -> None:
    """Whether the request keeps within the server's limits."""
    if settings.max_pixels is not None and request.width * request.height > settings.max_pixels:
        if request.is_upscale:
            raise NotAllowedError(
                "An upscale of this would be {width} × {height}. That's more than the {limit:,} pixels this server allows.",
                width=request.width,
                height=request.height,
                limit=settings.max_pixels,
            )
        raise NotAllowedError(
            "{width} × {height} is more than the {limit:,} pixels this server allows. Choose a smaller size.",
            width=request.width,
            height=request.height,
            limit=settings.max_pixels,
        )
    if settings.max_steps is not None and request.num_inference_steps > settings.max_steps:
        raise NotAllowedError(
            counted("This server allows up to {count} step.", "This server allows up to {count} steps.", settings.max_steps)
        )
    if settings.max_images is not None and request.num_images > settings.max_images:
        raise NotAllowedError(
            counted(
                "This server allows up to {count} picture at once.",
                "This server allows up to {count} pictures at once.",
                settings.max_images,
            )
        )


def check_style(settings: GuildSettings, request: GenerationRequest, offered: Sequence[Style]) -> None:
    """Whether the server offers the styles; the sentence names those of `offered` that it does."""
    if all(settings.offers(style.name) for style in request.styles):
        return
    if left := [style for style in offered if settings.offers(style.name)]:
        raise NotAllowedError("This server doesn't offer that style. You can use {styles}, or none.", styles=titles(left))
    raise NotAllowedError("This server doesn't offer that style. Draw without one.")


def check_start(request: GenerationRequest, profile: ModelProfile) -> None:
    """Whether a member's picture that the request starts from changes enough, where no classifier looks at what comes out."""
    start = request.init_image
    if start is None or start.drawn_here or profile.classifier is not None:
        return
    if start.strength < MIN_UNSEEN_STRENGTH:
        raise NotAllowedError(
            "Nobody checks what {model} draws, so at least half of your picture has to change. "
            "Use `/anime` with it and a `strength` of {strength:g} or more.",
            model=profile.title,
            strength=MIN_UNSEEN_STRENGTH,
        )


def showing(settings: GuildSettings, place: Place, *, spoiler: bool, young: bool) -> Showing:
    """How far pictures may go there, and whether they are hidden.

    `spoiler`: the member wants that in any case. `young`: a child is drawn, so no channel lets it go beyond HIGHEST_OF_YOUNG.
    """
    highest = settings.safety.highest_rating(age_restricted=place.age_restricted)
    return Showing(
        rating=highest.stricter(HIGHEST_OF_YOUNG) if young else highest,
        spoiler=spoiler or settings.spoilers.hides(age_restricted=place.age_restricted),
    )


def check_visible(job: Job, asking: Origin) -> None:
    """Whether they may know of the job: its owner may everywhere, others in its server alone, if they see its card's channel.

    A custom id can be forged, so a job of elsewhere is as good as none; the sentence gives nothing away.
    """
    if asking.user_id == job.origin.user_id:
        return
    here = asking.guild_id is not None and asking.guild_id == job.origin.guild_id
    if not here or not asking.sees(job.reply.channel_id):
        raise NotFoundError(JOB_GONE)


def check_reuse(settings: GuildSettings, job: Job, origin: Origin) -> None:
    """Whether they may reroll, vary or remix the job."""
    if not settings.others_may_reuse and origin.user_id != job.origin.user_id:
        raise NotAllowedError(OTHERS_MAY_NOT)


def _mentions(sign: str, ids: Collection[int]) -> str | Message:
    return listed((f"<{sign}{number}>" for number in sorted(ids)), MAX_NAMED)
