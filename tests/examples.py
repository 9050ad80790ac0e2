"""Values that tests start from; each function takes what the test is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.domain.job import Job, JobStatus, NewJob, Origin, Place, ReplyTarget
from bot.domain.profile import Catalog, ClassifierProfile, ImageSize, Licence, ModelProfile, ModelSource, Quality, Style
from bot.domain.rating_scale import RatingScale
from bot.domain.request import GenerationRequest
from bot.domain.safety import Rating
from tests.fakes import START

MEMBER, OTHER, MODERATOR = 10, 11, 12
GUILD, CHANNEL, MESSAGE = 20, 30, 40

PROFILE = ModelProfile(
    name="test",
    title="Test Model",
    family="sdxl",
    source=ModelSource(repo="someone/model"),
    licence=Licence(name="MIT"),
    num_inference_steps=4,
    guidance_scale=7.0,
    sizes=(
        ImageSize(name="square", width=64, height=64),
        ImageSize(name="portrait", width=64, height=96),
    ),
    default_size="square",
    prompt_prefix="masterpiece, best quality",
    negative_prompt="lowres, bad anatomy",
    quality={"draft": Quality(num_inference_steps=2), "best": Quality(num_inference_steps=6, guidance_scale=8.0)},
)
CLASSIFIED_PROFILE = replace(
    PROFILE,
    classifier=ClassifierProfile(
        source=ModelSource(repo="someone/classifier"),
        scale=RatingScale(labels={"fine": Rating.GENERAL, "bare": Rating.EXPLICIT}),
        licence=Licence(name="MIT"),
    ),
)
OTHER_PROFILE = replace(PROFILE, name="older", title="Older Model")
PASTEL = Style(
    name="pastel",
    title="Pastel Anime",
    families=("sdxl",),
    licence=Licence(name="MIT"),
    repo="someone/lora",
    weight_name="lora.safetensors",
    adapter_weight=0.8,
    trigger_words="pastel colors",
)
FOREIGN = Style(name="pixel", title="Pixel Art", families=("mini",), licence=Licence(name="MIT"))
CATALOG = Catalog(
    profiles={PROFILE.name: PROFILE, OTHER_PROFILE.name: OTHER_PROFILE},
    styles={PASTEL.name: PASTEL, FOREIGN.name: FOREIGN},
)


def request(**changes: Any) -> GenerationRequest:
    """A small request of the test profile."""
    values: dict[str, Any] = {
        "profile": PROFILE.name,
        "prompt": "green hair, beanie, night",
        "width": 64,
        "height": 64,
        "num_inference_steps": 4,
        "guidance_scale": 7.0,
        "seed": 1000,
    }
    return GenerationRequest(**(values | changes))


def origin(interaction_id: int = 1, user_id: int = MEMBER, guild_id: int | None = GUILD) -> Origin:
    """Somebody who asks in a channel that is not age-restricted."""
    return Origin(interaction_id=interaction_id, user_id=user_id, guild_id=guild_id, place=Place(channel_id=CHANNEL))


def reply(**changes: Any) -> ReplyTarget:
    """A card whose token lives for 14 minutes from the start of the fake clock."""
    target = ReplyTarget(
        channel_id=CHANNEL,
        message_id=MESSAGE,
        application_id=50,
        token="secret-token",
        token_expires_at=START + timedelta(minutes=14),
    )
    return replace(target, **changes)


def new_job(interaction_id: int = 1, **changes: Any) -> NewJob:
    return replace(NewJob(request=request(), origin=origin(interaction_id), reply=reply()), **changes)


def job(**changes: Any) -> Job:
    """A stored job that waits."""
    values = Job(
        id="0123456789abcdef",
        status=JobStatus.QUEUED,
        request=request(),
        origin=origin(),
        reply=reply(),
        price=1,
        created_at=START,
    )
    return replace(values, **changes)
