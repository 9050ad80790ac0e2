"""What may stand in `profiles/NAME.toml` and `styles/NAME.toml`, and how it becomes domain values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.domain.profile import (
    UPSCALE_STRENGTH,
    ClassifierProfile,
    ImageSize,
    Licence,
    ModelProfile,
    ModelSource,
    Quality,
    Steering,
    Style,
)
from bot.domain.rating_scale import RatingScale
from bot.domain.request import MAX_ADAPTER_WEIGHT, MAX_GUIDANCE, MAX_STEPS, MAX_STRENGTH, MIN_GUIDANCE, MIN_STRENGTH
from bot.domain.safety import Rating
from bot.domain.sampler import SAMPLERS

PICKLE_ENDINGS = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"})
MAX_SIDE = 4096  # pixels; a typing error beyond it would only fail after minutes
MAX_SIZES = 25  # Discord shows at most 25 choices

Resolve = Callable[[str], Path]


def _safetensors(value: str) -> str:
    if Path(value).suffix.lower() in PICKLE_ENDINGS:
        raise ValueError("is a pickle file, which can run code when it is opened; use a .safetensors file")
    if Path(value).suffix.lower() != ".safetensors":
        raise ValueError("must end in .safetensors")
    return value


def _scheduler(value: str) -> str:
    if value not in SAMPLERS:
        raise ValueError(f"must be one of {', '.join(sorted(SAMPLERS))}")
    return value


def _interval(value: list[float]) -> list[float]:
    if not 0 <= value[0] < value[1] <= 1:
        raise ValueError("must be [start, end], two shares of the steps from 0 to 1")
    return value


Number = TypeVar("Number", int, float)
Text = Annotated[str, Field(min_length=1)]
TagLine = Annotated[str, Field(max_length=2000, pattern=r"^[^\r\n]*$")]
Repo = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
WeightsFile = Annotated[str, AfterValidator(_safetensors)]
Scheduler = Annotated[str, AfterValidator(_scheduler)]
Guidance = Annotated[float, Field(ge=MIN_GUIDANCE, le=MAX_GUIDANCE)]
Interval = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_interval)]
Positive = Annotated[int, Field(ge=1, le=MAX_SIDE * 4)]
Side = Annotated[int, Field(ge=64, le=MAX_SIDE, multiple_of=8)]


class Toml(BaseModel):
    """Strict: no unknown keys, and nothing is converted (a number in quotes is a mistake)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SourceToml(Toml):
    """Exactly one of `repo`, `folder` and `file`."""

    repo: Repo | None = None
    revision: Text | None = None
    folder: Text | None = None
    file: WeightsFile | None = None
    config: Text | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("repo", "folder", "file") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of repo, folder and file; it has {' and '.join(given) or 'none'}")
        if self.config is not None and self.file is None:
            raise ValueError("config belongs to file only; a repo or folder has its own")
        if self.revision is not None and self.repo is None:
            raise ValueError("revision belongs to repo only")
        return self

    def source(self, resolve: Resolve) -> ModelSource:
        return ModelSource(
            repo=self.repo,
            revision=self.revision,
            folder=resolve(self.folder) if self.folder else None,
            file=resolve(self.file) if self.file else None,
            config=resolve(self.config) if self.config else None,
        )


class LicenceToml(Toml):
    """The licence's name and a link to its text or to the model's page."""

    name: Text
    url: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""

    def licence(self) -> Licence:
        return Licence(name=self.name, url=self.url)


class ClassifierToml(Toml):
    """A repo or folder in transformers layout, what each of its labels is rated, and from which share on a rating counts."""

    repo: Repo | None = None
    revision: Text | None = None
    folder: Text | None = None
    licence: LicenceToml
    ratings: Annotated[dict[Text, Literal["general", "sensitive", "questionable", "explicit"]], Field(min_length=2)]
    thresholds: dict[Literal["sensitive", "questionable", "explicit"], float] = {}

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.repo is None) == (self.folder is None):
            raise ValueError("needs either repo or folder")
        if self.revision is not None and self.repo is None:
            raise ValueError("revision belongs to repo only")
        self.scale()
        return self

    def scale(self) -> RatingScale:
        """Raises ValueError."""
        return RatingScale(
            labels={label: Rating(rating) for label, rating in self.ratings.items()},
            thresholds={Rating(rating): threshold for rating, threshold in self.thresholds.items()},
        )

    def classifier(self, resolve: Resolve) -> ClassifierProfile:
        folder = resolve(self.folder) if self.folder else None
        source = ModelSource(repo=self.repo, revision=self.revision, folder=folder)
        return ClassifierProfile(source=source, scale=self.scale(), licence=self.licence.licence())


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
    steering: dict[Literal["general", "sensitive", "questionable", "explicit"], SteeringToml] = {}
    quality: dict[Literal["draft", "best"], QualityToml] = {}
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
        """A profile that says nothing would post unseen pictures because of a table that somebody forgot."""
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
        same = ("title", "url", "repo", "revision", "weight_name", "adapter_weight", "trigger_words", "description")
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
