"""The rules of a server, and the bot's own, applied to one request: where, who, how much, whose, and how it may be shown.

Everything here is pure and raises NotAllowedError or NotFoundError with a sentence for the member.
"""

from __future__ import annotations

from collections.abc import Collection

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Job, Origin, Place
from bot.domain.profile import ModelProfile
from bot.domain.quota import counted
from bot.domain.request import GenerationRequest
from bot.domain.safety import HIGHEST_OF_YOUNG, Showing
from bot.errors import NotAllowedError, NotFoundError

JOB_GONE = "This picture was deleted or is no longer known here. Start a new one with `/anime`."
OTHERS_MAY_NOT = "The moderators of this server let only the member who asked for a picture draw from it again."
MIN_UNSEEN_STRENGTH = 0.5  # half of the steps draw anew; below, what comes out may be what was given, whatever that shows
MAX_NAMED = 5  # channels or roles in a sentence; Discord shows them by name, and a mention in it pings nobody


def check_place(settings: GuildSettings, place: Place) -> None:
    """Whether Pastel draws there. A thread counts as its channel, or as itself where it was allowed by itself."""
    allowed = settings.allowed_channels
    if allowed and allowed.isdisjoint({place.channel_id, place.parent_id}):
        raise NotAllowedError(f"The moderators of this server let me draw only in {_named('#', allowed)}. Ask there again.")


def check_roles(settings: GuildSettings, role_ids: Collection[int]) -> None:
    """Whether a member with these roles may draw."""
    allowed = settings.allowed_roles
    if allowed and allowed.isdisjoint(role_ids):
        raise NotAllowedError(
            f"In this server only members with {_named('@&', allowed)} may draw. Ask a moderator for the role."
        )


def check_amount(settings: GuildSettings, request: GenerationRequest) -> None:
    """Whether the request keeps within the server's limits."""
    if settings.max_pixels is not None and request.width * request.height > settings.max_pixels:
        cure = "This picture cannot be upscaled here." if request.is_upscale else "Choose a smaller size."
        raise NotAllowedError(
            f"{request.width} × {request.height} pixels are more than this server allows ({settings.max_pixels:,} pixels). "
            f"{cure}"
        )
    if settings.max_steps is not None and request.num_inference_steps > settings.max_steps:
        raise NotAllowedError(f"This server allows at most {counted(settings.max_steps, 'step')}. Use fewer.")
    if settings.max_images is not None and request.num_images > settings.max_images:
        raise NotAllowedError(f"This server allows at most {counted(settings.max_images, 'picture')} at once. Ask for fewer.")


def check_style(settings: GuildSettings, request: GenerationRequest) -> None:
    """Whether the server offers the styles."""
    if not all(settings.offers(style.name) for style in request.styles):
        names = ", ".join(f"`{name}`" for name in sorted(settings.allowed_styles))
        raise NotAllowedError(f"This server does not offer that style. Choose another ({names}), or none.")


def check_start(request: GenerationRequest, profile: ModelProfile) -> None:
    """Whether a member's picture that the request starts from changes enough, where no classifier looks at what comes out."""
    start = request.init_image
    if start is None or start.drawn_here or profile.classifier is not None:
        return
    if start.strength < MIN_UNSEEN_STRENGTH:
        raise NotAllowedError(
            f"Nobody checks what {profile.title} draws, so at least half of a given picture has to change. "
            f"Use `/anime` with the picture and a `strength` of {MIN_UNSEEN_STRENGTH:g} or more."
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


def _named(sign: str, ids: Collection[int]) -> str:
    named = ", ".join(f"<{sign}{number}>" for number in sorted(ids)[:MAX_NAMED])
    return named if len(ids) <= MAX_NAMED else f"{named} and {len(ids) - MAX_NAMED} more"
