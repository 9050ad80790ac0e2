"""Schemas of `profiles/NAME.toml` and `styles/NAME.toml`, and their conversion to domain values."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

from bot.domain.profile import UPSCALE_STRENGTH, ImageSize, ModelProfile, Quality, Steering, Style
from bot.domain.request import (
    MAX_ADAPTER_WEIGHT,
    MAX_GUIDANCE,
    MAX_STEPS,
    MAX_STRENGTH,
    MIN_GUIDANCE,
    MIN_STRENGTH,
    is_interval,
)
from bot.domain.safety import Rating
from bot.domain.sampler import SAMPLERS
from bot.storage.catalog_sources import (
    ClassifierToml,
    LicenceToml,
    RatingName,
    Repo,
    Resolve,
    Sha256,
    SourceToml,
    Text,
    Toml,
    WeightsFile,
)

MAX_SIDE = 4096  # pixels; a typing error beyond it would only fail after minutes
MAX_SIZES = 25  # Discord shows at most 25 choices


def _scheduler(value: str) -> str:
    if value not in SAMPLERS:
        raise ValueError(f"must be one of {', '.join(sorted(SAMPLERS))}")
    return value


def _interval(value: list[float]) -> list[float]:
    if not is_interval(value[0], value[1]):
        raise ValueError("must be [start, end], two shares of the steps from 0 to 1")
    return value


Number = TypeVar("Number", int, float)
TagLine = Annotated[str, Field(max_length=2000, pattern=r"^[^\r\n]*$")]
Scheduler = Annotated[str, AfterValidator(_scheduler)]
Guidance = Annotated[float, Field(ge=MIN_GUIDANCE, le=MAX_GUIDANCE)]
Interval = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_interval)]
Positive = Annotated[int, Field(ge=1, le=MAX_SIDE * 4)]
Side = Annotated[int, Field(ge=64, le=MAX_SIDE, multiple_of=8)]


class SteeringToml(Toml):
    """Tags for pictures that may go as far as one rating; see Steering."""

    prompt: TagLine = ""
    negative_prompt: TagLine = ""


class QualityToml(Toml):
    """`[quality.draft]` or `[quality.best]`; see Quality."""

    num_inference_steps: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    guidance_scale: Guidance | None = None
    guidance_interval: Interval | None = None
    scheduler: Scheduler | None = None
    style: Text | None = None
    adapter_weight: Annotated[float, Field(ge=0, le=MAX_ADAPTER_WEIGHT)] | None = None

    @model_validator(mode="after")
    def _weight_of_something(self) -> Self:
        if self.adapter_weight is not None and self.style is None:
            raise ValueError("adapter_weight belongs to style")
        return self

    def quality(self) -> Quality:
        return Quality(
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            guidance_interval=_pair(self.guidance_interval),
            scheduler=self.scheduler,
            style=self.style,
            adapter_weight=self.adapter_weight,
        )


class ProfileToml(Toml):
    """`profiles/NAME.toml`; see ModelProfile for the meaning of each field. Sizes are `name = [width, height]`."""

    title: Text
    family: Text
    url: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""
    source: SourceToml
    vae: SourceToml | None = None
    licence: LicenceToml
    variant: Annotated[str, Field(pattern=r"^\w+$")] | None = None
    scheduler: Scheduler = "EulerAncestralDiscreteScheduler"
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    rescale_betas_zero_snr: bool = False
    guidance_rescale: Annotated[float, Field(ge=0, le=1)] = 0.0
    clip_skip: Annotated[int, Field(ge=1, le=8)] | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    guidance_scale: Guidance
    guidance_interval: Interval | None = None
    sizes: Annotated[dict[str, list[Side]], Field(min_length=1, max_length=MAX_SIZES)]
    default_size: Text
    prompt_prefix: TagLine = ""
    prompt_suffix: TagLine = ""
    negative_prompt: TagLine = ""
    original_size: Annotated[list[Positive], Field(min_length=2, max_length=2)] | None = None
    target_size: Annotated[list[Positive], Field(min_length=2, max_length=2)] | None = None
    classifier: ClassifierToml | None = None
    unclassified: Annotated[TagLine, Field(min_length=1)] | None = None
    steering: dict[RatingName, SteeringToml] = Field(default={})
    quality: dict[Literal["draft", "best"], QualityToml] = Field(default={})
    upscale_strength: Annotated[float, Field(ge=MIN_STRENGTH, le=MAX_STRENGTH)] = UPSCALE_STRENGTH

    @field_validator("sizes")
    @classmethod
    def _pairs(cls, sizes: dict[str, list[int]]) -> dict[str, list[int]]:
        for name, sides in sizes.items():
            if not name.strip() or len(name) > 32:
                raise ValueError(f"the name {name[:40]!r} must have 1 to 32 characters")
            if len(sides) != 2:
                raise ValueError(f"{name} must be [width, height]")
        return sizes

    @model_validator(mode="after")
    def _default_exists(self) -> Self:
        if self.default_size not in self.sizes:
            raise ValueError(f"default_size must be one of {', '.join(self.sizes)}")
        return self

    @model_validator(mode="after")
    def _classified_or_not_for_a_reason(self) -> Self:
        """Raises ValueError for neither or both: by a forgotten table alone, unchecked pictures would be posted."""
        if self.classifier is None and self.unclassified is None:
            raise ValueError('needs a [classifier] that looks at its pictures, or unclassified = "why nobody needs to"')
        if self.classifier is not None and self.unclassified is not None:
            raise ValueError("has both a [classifier] and unclassified; keep one of them")
        return self

    def profile(self, name: str, resolve: Resolve) -> ModelProfile:
        same = ("title", "family", "url", "variant", "scheduler", "prediction_type", "rescale_betas_zero_snr")
        same += ("guidance_rescale", "clip_skip", "num_inference_steps", "guidance_scale", "default_size")
        same += ("prompt_prefix", "prompt_suffix", "negative_prompt", "upscale_strength")
        return ModelProfile(
            name=name,
            source=self.source.source(resolve),
            vae=self.vae.source(resolve) if self.vae else None,
            licence=self.licence.licence(),
            sizes=tuple(ImageSize(name=size, width=w, height=h) for size, (w, h) in self.sizes.items()),
            original_size=_pair(self.original_size),
            target_size=_pair(self.target_size),
            classifier=self.classifier.classifier(resolve) if self.classifier else None,
            unclassified=self.unclassified or "",
            steering={
                Rating(rating): Steering(prompt=tags.prompt, negative_prompt=tags.negative_prompt)
                for rating, tags in self.steering.items()
            },
            guidance_interval=_pair(self.guidance_interval),
            quality={name: quality.quality() for name, quality in self.quality.items()},
            **{field: getattr(self, field) for field in same},
        )


class StyleToml(Toml):
    """`styles/NAME.toml`: a LoRA as repo + weight_name, or as file."""

    title: Text
    families: Annotated[list[Text], Field(min_length=1)]
    licence: LicenceToml
    url: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""
    repo: Repo | None = None
    revision: Text | None = None
    weight_name: WeightsFile | None = None
    file: WeightsFile | None = None
    sha256: Sha256 | None = None
    adapter_weight: Annotated[float, Field(ge=0, le=MAX_ADAPTER_WEIGHT)] = 1.0
    trigger_words: TagLine = ""
    description: TagLine = ""
    is_distilled: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.repo is None) == (self.file is None):
            raise ValueError("needs either repo and weight_name, or file")
        if (self.repo is None) != (self.weight_name is None):
            raise ValueError("weight_name (a .safetensors file of the repo) belongs to repo, and repo to it")
        return self

    def style(self, name: str, resolve: Resolve) -> Style:
        same = ("title", "url", "repo", "revision", "weight_name", "sha256", "adapter_weight", "trigger_words", "description")
        same += ("is_distilled",)
        return Style(
            name=name,
            families=tuple(self.families),
            licence=self.licence.licence(),
            file=resolve(self.file) if self.file else None,
            **{field: getattr(self, field) for field in same},
        )


def _pair(values: list[Number] | None) -> tuple[Number, Number] | None:
    return (values[0], values[1]) if values else None
