"""What a member asks for: a draft with gaps, and the checked, complete request that a job keeps."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any, Self, TypeVar

from bot.domain.profile import QualityName
from bot.domain.safety import Rating
from bot.errors import InvalidRequestError
from bot.messages import translatable

MAX_PROMPT_LENGTH = 2_000  # characters; Discord itself would let 6,000 through
MAX_IMAGES = 4
MAX_STEPS = 60
MIN_GUIDANCE, MAX_GUIDANCE = 1.0, 20.0
MAX_SEED = 2**32 - 1  # A1111's range, so that seeds can be carried over
MAX_ADAPTER_WEIGHT = 1.5
MAX_STYLES = 3  # LoRAs in one picture; more of them pull it apart
MAX_BLENDS = 16  # generations of variations of variations
MIN_STRENGTH, MAX_STRENGTH = 0.05, 1.0  # img2img; below, diffusers would run no step at all
UPSCALE = Fraction(3, 2)  # a side; at twice, SDXL begins to draw figures twice, and a step takes four times as long
UPSCALE_MULTIPLE = 16  # pixels: 8 a latent, and 16 with the small model that ships

PROMPT_TOO_LONG = translatable(
    "Your prompt has {length:,} characters, and I can read up to {limit:,}. Shorten it and try again."
)
LEFT_OUT_TOO_LONG = translatable(
    "What you leave out has {length:,} characters, and I can read up to {limit:,}. Shorten it and try again."
)

# Unicode's categories Cc, Zl, Zp and Cs, as an expression: asked of every character, unicodedata takes 1 ms a prompt.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class NoiseDraws(StrEnum):
    """Which draws of noise a variation moves. FIRST is how older ones were drawn, and are when they are drawn again."""

    FIRST = "first"
    EVERY = "every"


Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseBlend:
    """One variation: draws of noise are moved towards the noise of `seed` by `strength` (0 to 1, slerp)."""

    seed: int
    strength: float
    draws: NoiseDraws = NoiseDraws.EVERY

    def to_seed(self, seed: int) -> Self:
        """The same move towards the noise of another seed."""
        return replace(self, seed=seed)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What was stored without `draws` moved the first one alone."""
        return cls(seed=values["seed"], strength=values["strength"], draws=NoiseDraws(values.get("draws", NoiseDraws.FIRST)))


@dataclass(frozen=True, slots=True, kw_only=True)
class InitImage:
    """The picture that img2img starts from.

    `key` is its address in the image store (sha256 of the normalised file), `strength` the share of the steps that run.
    `drawn_here`: it is a picture of this bot's, judged when it was made, and not a member's file.
    """

    key: str
    strength: float
    drawn_here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleChoice:
    """A LoRA by its style's name, and how strongly it shows."""

    name: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a member gave; None means "as the quality has it, or else the profile". Nothing in it has been checked."""

    prompt: str
    negative_prompt: str = ""
    size: str | None = None
    num_images: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    style: str | None = None
    adapter_weight: float | None = None
    more_styles: tuple[StyleChoice, ...] = ()
    quality: QualityName | None = None
    scheduler: str | None = None
    guidance_interval: tuple[float, float] | None = None
    blends: tuple[NoiseBlend, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSeeds:
    """What decides the noise of one picture of a request."""

    seed: int
    blends: tuple[NoiseBlend, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A complete request; with the same profile and weights it always means the same pictures.

    `negative_prompt` is what the member gave; the profile's default is added when the prompt is composed
    (`bot.domain.prompt.compose`). `width` and `height` are pixels. Picture i of a plain request uses `seed + i`
    (as A1111 does), so that each can be made again alone; in a variation all pictures share `seed`, and the last blend's
    seed counts up instead. `rating` is how far the picture may go where it was asked for: the profile's tags for it steer the
    drawing, and so belong to what the picture depends on (None: nothing steers). `more_styles` are LoRAs beside `style`.
    `scheduler` is a key of `bot.domain.sampler.SAMPLERS` (None: the profile's). `guidance_interval` is the share of the steps,
    (start, end), between which guidance acts (None: in all of them); see `is_guided`.

    Raises InvalidRequestError, with a sentence for the member, when a value is out of range.
    """

    profile: str
    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    num_images: int = 1
    num_inference_steps: int
    guidance_scale: float
    seed: int
    style: str | None = None
    adapter_weight: float = 1.0
    more_styles: tuple[StyleChoice, ...] = ()
    blends: tuple[NoiseBlend, ...] = ()
    init_image: InitImage | None = None
    rating: Rating | None = None
    scheduler: str | None = None
    guidance_interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", clean_prompt(self.prompt))
        object.__setattr__(self, "negative_prompt", clean_prompt(self.negative_prompt, too_long=LEFT_OUT_TOO_LONG))
        if not any(unicodedata.category(char)[0] not in "CZ" for char in self.prompt):  # nothing that could be seen
            raise InvalidRequestError("Your prompt is empty. Try something like `1girl, green hair, beanie, night`.")
        check_range("images", self.num_images, 1, MAX_IMAGES)
        check_range("steps", self.num_inference_steps, 1, MAX_STEPS)
        check_range("guidance_scale", self.guidance_scale, MIN_GUIDANCE, MAX_GUIDANCE)
        check_range("seed", self.seed, 0, MAX_SEED)
        check_range("style_weight", self.adapter_weight, 0, MAX_ADAPTER_WEIGHT)
        check_styles(self.styles)
        if self.init_image is not None:
            check_range("strength", self.init_image.strength, MIN_STRENGTH, MAX_STRENGTH)
        if self.guidance_interval is not None:
            check_interval(self.guidance_interval)
        if self.width < 8 or self.height < 8 or self.width % 8 or self.height % 8:
            raise InvalidRequestError("Width and height have to be multiples of 8. Choose one of the sizes in the list.")
        for blend in self.blends:
            check_range("variation_seed", blend.seed, 0, MAX_SEED)
            check_range("variation_strength", blend.strength, 0, 1)
        if len(self.blends) > MAX_BLENDS:
            raise InvalidRequestError(
                "This picture is already {limit} variations away from its original. Use **Remix** to start fresh from it.",
                limit=MAX_BLENDS,
            )

    @property
    def styles(self) -> tuple[StyleChoice, ...]:
        """All LoRAs of the request, `style` first."""
        first = (StyleChoice(name=self.style, weight=self.adapter_weight),) if self.style is not None else ()
        return (*first, *self.more_styles)

    @property
    def steps_run(self) -> int:
        """How many steps a picture takes: img2img leaves out the first ones, as diffusers does, but runs one at least."""
        if self.init_image is None:
            return self.num_inference_steps
        return max(1, int(self.num_inference_steps * self.init_image.strength))

    @property
    def pixel_steps(self) -> int:
        """Size of the job: pictures times pixels times the steps that run. The price counts it."""
        return self.num_images * self.width * self.height * self.steps_run

    @property
    def work(self) -> float:
        """Size of the job in megapixel-steps: what the queue's order and its ETA count."""
        return self.pixel_steps / 1e6

    @property
    def is_upscale(self) -> bool:
        """Whether it draws an earlier picture once more in a larger size."""
        return self.init_image is not None and self.init_image.drawn_here

    def is_guided(self, step: int, steps: int) -> bool:
        """Whether guidance acts in `step` (from 0) of the `steps` that run, counted as diffusers' guiders do."""
        if self.guidance_scale <= 1:
            return False
        start, end = self.guidance_interval or (0.0, 1.0)
        return int(start * steps) <= step < int(end * steps)

    def image_seeds(self, index: int) -> ImageSeeds:
        """The seeds of picture `index` (from 0)."""
        if not self.blends:
            return ImageSeeds(seed=(self.seed + index) % (MAX_SEED + 1), blends=())
        last = self.blends[-1]
        moved = last.to_seed((last.seed + index) % (MAX_SEED + 1))
        return ImageSeeds(seed=self.seed, blends=(*self.blends[:-1], moved))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        init, rating, interval = (values.get(key) for key in ("init_image", "rating", "guidance_interval"))
        blends = tuple(NoiseBlend.from_dict(blend) for blend in values.get("blends", ()))
        more = tuple(StyleChoice(**style) for style in values.get("more_styles", ()))
        nested = {"blends", "init_image", "rating", "guidance_interval", "more_styles"}
        return cls(
            **{key: value for key, value in values.items() if key not in nested},
            blends=blends,
            more_styles=more,
            guidance_interval=(interval[0], interval[1]) if interval else None,
            init_image=InitImage(**init) if init else None,
            rating=Rating(rating) if rating else None,
        )


def upscaled(side: int) -> int:
    """The pixels of a side after an upscale."""
    return int(side * UPSCALE) // UPSCALE_MULTIPLE * UPSCALE_MULTIPLE


def one_line(text: str) -> str:
    """Returns the text on one line. A newline could forge fields of A1111's text; invisible characters hide words of it."""
    return " ".join(_INVISIBLE.sub(" ", text).split())


def clean_prompt(text: str, *, too_long: str = PROMPT_TOO_LONG) -> str:
    """Returns the text as `one_line`. Raises InvalidRequestError with `too_long` for more than MAX_PROMPT_LENGTH characters."""
    line = one_line(text)
    if len(line) > MAX_PROMPT_LENGTH:
        raise InvalidRequestError(too_long, length=len(line), limit=MAX_PROMPT_LENGTH)
    return line


def check_styles(styles: tuple[StyleChoice, ...]) -> None:
    """Raises InvalidRequestError for too many LoRAs, one that stands there twice, or a weight out of range."""
    if len(styles) > MAX_STYLES:
        raise InvalidRequestError("I can combine up to {limit} styles. Leave one out.", limit=MAX_STYLES)
    if len({style.name for style in styles}) < len(styles):
        raise InvalidRequestError("You chose the same style twice. Choose another one, or change its weight instead.")
    for style in styles:
        check_range("style_weight", style.weight, 0, MAX_ADAPTER_WEIGHT)


def given(value: Number | None, default: Number) -> Number:
    """Returns `value`, or the default where there is none."""
    return default if value is None else value


def is_interval(start: float, end: float) -> bool:
    """Returns whether both are shares and something lies between them; NaN is no share."""
    return 0 <= start < end <= 1


def check_interval(interval: tuple[float, float]) -> None:
    """Raises InvalidRequestError unless both are shares and something lies between them."""
    if not is_interval(*interval):
        raise InvalidRequestError("`guidance_interval` needs two shares of the steps from 0 to 1, the smaller one first.")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raises InvalidRequestError when `value` is not from `low` to `high`, or no number."""
    if not low <= value <= high:  # also catches NaN
        raise InvalidRequestError(
            "`{name}` must be between {low:,} and {high:,}; you gave {value:,}.",
            name=name,
            low=_plain(low),
            high=_plain(high),
            value=_plain(value),
        )


def _plain(value: float) -> int | float:
    return int(value) if value == value // 1 else float(f"{value:g}")
