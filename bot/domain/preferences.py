"""A member's own defaults, and how they and the server's fill the gaps of a draft."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from bot.domain.guild_settings.kinds import MAX_STYLE_NAME
from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.infotext.lora_tags import taken_out
from bot.domain.profile import Catalog, ImageSize, ModelProfile
from bot.domain.quality import with_quality
from bot.domain.request import LEFT_OUT_TOO_LONG, MAX_IMAGES, Draft, check_range, clean_prompt, given
from bot.errors import InvalidRequestError

NOTHING = "-"  # a style or negative prompt of this means none, not even the default
NONE_AT_ALL = "none"  # as one's own style or negative prompt: none, not even the server's
MAX_SIZE_NAME = 100  # characters; the value of a choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What a member wants where they say nothing, in every server. None and "": as the server and the model have it.

    NONE_AT_ALL as style or negative prompt is none, whatever the server has. `spoiler` hides their pictures behind a click
    everywhere. Raises InvalidRequestError, with a sentence, for values out of range; whether a style or size exists depends
    on the model, and is asked when it is used.
    """

    style: str | None = None
    size: str | None = None
    negative_prompt: str = ""
    num_images: int | None = None
    spoiler: bool = False

    def __post_init__(self) -> None:
        for name, most in ((self.style, MAX_STYLE_NAME), (self.size, MAX_SIZE_NAME)):
            if name is not None and not (name.strip() and name.isprintable() and len(name) <= most):
                raise InvalidRequestError("I don't know a style or size of that name. Choose one from the list.")
        object.__setattr__(self, "negative_prompt", clean_prompt(self.negative_prompt, too_long=LEFT_OUT_TOO_LONG))
        if self.num_images is not None:
            check_range("images", self.num_images, 1, MAX_IMAGES)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` gave."""
        return cls(**values)


NO_PREFERENCES = Preferences()

PersonalEdit = Callable[[Preferences], Preferences]
"""Makes new defaults out of those that hold at that moment; pure, since it runs inside a transaction."""


def edit_of(
    *,
    style: str | None = None,
    size: str | None = None,
    negative_prompt: str | None = None,
    num_images: int | None = None,
    spoiler: bool | None = None,
) -> PersonalEdit:
    """An edit of what is given; None leaves as it is, and NOTHING or blanks mean no default of one's own.

    Nor is one picture, since that is everybody's. NONE_AT_ALL as style or negative prompt is one's own wish for none.
    """

    def edit(before: Preferences) -> Preferences:
        images = before.num_images if num_images is None else num_images
        return Preferences(
            style=before.style if style is None else _wish(style),
            size=before.size if size is None else _named(size),
            negative_prompt=before.negative_prompt if negative_prompt is None else _wish(negative_prompt) or "",
            num_images=None if images == 1 else images,
            spoiler=before.spoiler if spoiler is None else spoiler,
        )

    return edit


def _named(text: str) -> str | None:
    return None if text.strip() in {"", NOTHING} else text.strip()


def _wish(text: str) -> str | None:
    name = _named(text)
    return NONE_AT_ALL if name is not None and name.casefold() == NONE_AT_ALL else name


def filled(draft: Draft, *, personal: Preferences, settings: GuildSettings, profile: ModelProfile, catalog: Catalog) -> Draft:
    """The draft with its gaps filled: from the member's own defaults, then the server's, then the model's at the quality given.

    No default breaks the server's limits where the model offers anything within them; what the member gave is left alone,
    but for NOTHING, which becomes nothing.
    """
    defaults = () if personal.style == NONE_AT_ALL else (personal.style, settings.default_style)
    style = _style(draft, defaults, settings, profile, catalog)
    left_out = "" if personal.negative_prompt == NONE_AT_ALL else personal.negative_prompt or settings.default_negative_prompt
    steps = draft.num_inference_steps
    draft = with_quality(replace(draft, style=style), profile, catalog, settings)
    default_steps = given(draft.num_inference_steps, profile.num_inference_steps)
    return replace(
        draft,
        negative_prompt=_words(draft.negative_prompt, left_out),
        size=_size(personal.size, settings, profile) if draft.size is None else draft.size,
        num_images=given(draft.num_images, _within(personal.num_images or 1, settings.max_images)),
        num_inference_steps=given(steps, _within(default_steps, settings.max_steps)),
    )


def _style(
    draft: Draft, defaults: Iterable[str | None], settings: GuildSettings, profile: ModelProfile, catalog: Catalog
) -> str | None:
    if draft.style is not None and draft.style.strip():
        return None if draft.style.strip() == NOTHING else draft.style
    offered = {style.name for style in catalog.styles_for(profile) if settings.offers(style.name)}
    default = next((name for name in defaults if name in offered), None)
    return None if default in {style.name for style in draft.more_styles} else default


def _words(wanted: str, default: str) -> str:
    if wanted.strip() == NOTHING:
        return ""
    return wanted if wanted.strip() else taken_out(default)[0]


def _size(wanted: str | None, settings: GuildSettings, profile: ModelProfile) -> str:
    """The size wished for, the model's default, or the largest one, whichever is the first that the server allows."""
    known = {size.name: size for size in profile.sizes}
    default = profile.size(None)
    largest_first = sorted(profile.sizes, key=_pixels, reverse=True)
    preferred = [known[name] for name in (wanted, default.name) if name in known]
    most = settings.max_pixels
    return next((size.name for size in (*preferred, *largest_first) if most is None or _pixels(size) <= most), default.name)


def _pixels(size: ImageSize) -> int:
    return size.width * size.height


def _within(number: int, most: int | None) -> int:
    return number if most is None else min(number, most)
