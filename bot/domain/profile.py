"""Model profiles and styles: what the TOML files under `profiles/` and `styles/` say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from bot.domain.prompt_rules.young_list import YoungList, shipped_young
from bot.domain.rating_scale import RatingScale
from bot.domain.safety import Rating
from bot.errors import InvalidRequestError, ModelError
from bot.messages import Message, listed

PredictionType = Literal["epsilon", "v_prediction"]
QualityName = Literal["draft", "standard", "best"]
"""How much work a member wants in a picture; what that means is the profile's to say."""

MAX_NAMED = 5  # styles in a sentence
PICKLE_ENDINGS = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"})  # files that may run code when opened
UPSCALE_STRENGTH = 0.35  # of SDXL's hires passes: with less they stay soft, from about a half on faces change


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSize:
    """A size by name, in pixels; both sides are multiples of 8 (diffusers refuses others)."""

    name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A licence and where its text, or the model's page, can be read.

    `offer_source`: it asks whoever serves people over a network to offer them the source of what they use.
    """

    name: str
    url: str = ""
    offer_source: bool = False


def _no_pins() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where weights come from: exactly one of `repo` (hub id), `folder` (diffusers layout) or `file` (.safetensors).

    `revision` is a commit of the repo, or a branch. `sha256` says what files must be, by their paths in repo or folder (a
    single file: by its name). `config` is a local diffusers folder whose JSON files describe a single-file checkpoint, for use
    without the hub.
    """

    repo: str | None = None
    revision: str | None = None
    folder: Path | None = None
    file: Path | None = None
    config: Path | None = None
    sha256: Mapping[str, str] = field(default_factory=_no_pins)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierProfile:
    """The model that looks at finished pictures: `source` is a repo or a folder in transformers layout."""

    source: ModelSource
    scale: RatingScale
    licence: Licence


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """Comma-separated tags that keep a model within a rating: said in the prompt, and in the negative prompt."""

    prompt: str = ""
    negative_prompt: str = ""


UNSTEERED = Steering()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What a member's choice of quality means for a model; None is as the profile has it.

    `style` is a LoRA that was distilled to draw in few steps (Style.is_distilled), `adapter_weight` its weight (None: its own).
    `bot.domain.quality` says what happens where a server does not offer it.
    """

    num_inference_steps: int
    guidance_scale: float | None = None
    guidance_interval: tuple[float, float] | None = None
    scheduler: str | None = None
    style: str | None = None
    adapter_weight: float | None = None


def _no_steering() -> Mapping[Rating, Steering]:
    return MappingProxyType({})


def _no_quality() -> Mapping[QualityName, Quality]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """One model with everything that its pictures depend on.

    `family` says which styles fit ("sdxl", "mini"). `original_size` and `target_size` are (height, width) micro-conditioning,
    None = the picture's own size. `prompt_prefix` and `prompt_suffix` are comma-separated quality tags. `scheduler` is a key of
    `bot.domain.sampler.SAMPLERS`. `clip_skip` counts as diffusers does (None is A1111's 2). Without a `classifier` nobody looks
    at what the pictures show, and `unclassified` says why nobody needs to; a profile's file must give one of the two.
    `steering` holds the tags for pictures that may go as far as a rating. `guidance_interval` is as in GenerationRequest.
    `quality` says what members may choose beside the profile's own figures, which are "standard". `upscale_strength` is the
    share of the steps that an upscale draws anew.
    """

    name: str
    title: str
    family: str
    source: ModelSource
    licence: Licence
    url: str = ""
    variant: str | None = None
    vae: ModelSource | None = None
    scheduler: str = "EulerAncestralDiscreteScheduler"
    prediction_type: PredictionType = "epsilon"
    rescale_betas_zero_snr: bool = False
    guidance_rescale: float = 0.0
    clip_skip: int | None = None
    num_inference_steps: int
    guidance_scale: float
    guidance_interval: tuple[float, float] | None = None
    sizes: tuple[ImageSize, ...]
    default_size: str
    prompt_prefix: str = ""
    prompt_suffix: str = ""
    negative_prompt: str = ""
    original_size: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    classifier: ClassifierProfile | None = None
    unclassified: str = ""
    steering: Mapping[Rating, Steering] = field(default_factory=_no_steering)
    quality: Mapping[QualityName, Quality] = field(default_factory=_no_quality)
    upscale_strength: float = UPSCALE_STRENGTH

    def size(self, name: str | None) -> ImageSize:
        """The size called `name` (None: the default). Raises InvalidRequestError that lists the names."""
        wanted = self.default_size if name is None else name.strip().casefold()
        for size in self.sizes:
            if size.name.casefold() == wanted:
                return size
        names = ", ".join(f"`{size.name}`" for size in self.sizes)
        raise InvalidRequestError("I don't know that size. You can use {sizes}.", sizes=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A LoRA that a member picks by name: hub `repo` + `weight_name`, or a local `file`. It must have `sha256`, if given.

    One that `is_distilled` is no look: it lets a model draw in few steps, is named by a profile's quality and not offered.
    """

    name: str
    title: str
    families: tuple[str, ...]
    licence: Licence
    url: str = ""
    repo: str | None = None
    revision: str | None = None
    weight_name: str | None = None
    file: Path | None = None
    sha256: str | None = None
    adapter_weight: float = 1.0
    trigger_words: str = ""
    description: str = ""
    is_distilled: bool = False

    @property
    def lora_name(self) -> str:
        """The LoRA's file name without its ending: what A1111 finds it by."""
        if self.file is not None:
            return self.file.stem
        return (self.weight_name or self.name).rsplit("/", 1)[-1].removesuffix(".safetensors")

    @property
    def known_as(self) -> tuple[str, str, str]:
        """What a LoRA tag may call it."""
        return self.title, self.name, self.lora_name


def titles(styles: Sequence[Style]) -> str | Message:
    """Returns the styles as a sentence names them."""
    return listed((f"**{style.title}**" for style in styles), MAX_NAMED)


def unknown_style(offered: Sequence[Style]) -> InvalidRequestError:
    """Returns the error for a style that nobody here knows; it names those that members may pick."""
    if not offered:
        return InvalidRequestError("I don't know that style, and this model has none. Draw without one.")
    return InvalidRequestError("I don't know that style. You can use {styles}.", styles=titles(offered))


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All profiles and styles that were found, and who is drawn as a child; shipped ones and the operator's own."""

    profiles: Mapping[str, ModelProfile] = field(default_factory=dict[str, ModelProfile])
    styles: Mapping[str, Style] = field(default_factory=dict[str, Style])
    young: YoungList = field(default_factory=shipped_young)

    def profile(self, name: str) -> ModelProfile:
        """Raises ModelError that lists the names."""
        try:
            return self.profiles[name]
        except KeyError:
            names = ", ".join(sorted(self.profiles)) or "none"
            raise ModelError(f"There is no model profile called {name!r}. Set MODEL to one of: {names}.") from None

    def styles_for(self, profile: ModelProfile) -> tuple[Style, ...]:
        """The styles that members may pick with `profile`, by title."""
        return tuple(style for style in self._fitting(profile) if not style.is_distilled)

    def style(self, name: str, profile: ModelProfile) -> Style:
        """Any style that fits `profile`. Raises InvalidRequestError with the names of those that members may pick."""
        wanted = name.strip().casefold()
        for style in self._fitting(profile):
            if wanted in {style.name.casefold(), style.title.casefold()}:
                return style
        raise unknown_style(self.styles_for(profile))

    def quality_styles(self, profile: ModelProfile) -> tuple[Style, ...]:
        """The LoRAs that the qualities of `profile` draw with."""
        names = dict.fromkeys(quality.style for quality in profile.quality.values() if quality.style)
        return tuple(self.styles[name] for name in names if name in self.styles)

    def _fitting(self, profile: ModelProfile) -> tuple[Style, ...]:
        fitting = (style for style in self.styles.values() if profile.family in style.families)
        return tuple(sorted(fitting, key=lambda style: style.title.casefold()))
