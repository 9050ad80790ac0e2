"""What a picture's text says of how it was made, whichever program wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from bot.domain.infotext.lora_tags import LoraTag, tags_in, without_tags
from bot.domain.request import NoiseBlend

DEFAULT_WEIGHT = 1.0  # of a tag that says none, as A1111 has it
MAX_LORAS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSettings:
    """Nothing in it is checked against what this bot can do; None where the text says nothing.

    `prompt` and `negative_prompt` may have several lines; the LoRA tags of the prompt stand in `loras` instead. `variations`
    are those that lie between the seed's picture and this one. `program` wrote the text, where that is known. `unread` names
    what of it draws something and stands nowhere else in here. Where nothing `is_understood`, all else is empty.
    """

    prompt: str
    negative_prompt: str = ""
    steps: int | None = None
    sampler: str | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    size: tuple[int, int] | None = None
    model: str | None = None
    loras: tuple[LoraTag, ...] = ()
    variations: tuple[NoiseBlend, ...] = ()
    program: str | None = None
    unread: tuple[str, ...] = ()
    is_understood: bool = True

    @property
    def has_more_than_words(self) -> bool:
        """Whether anything but a prompt was found, which any sentence could be."""
        numbers = (self.steps, self.guidance_scale, self.seed, self.size, self.sampler)
        return bool(self.negative_prompt) or any(value is not None for value in numbers)

    def with_tags_read(self, also: Iterable[LoraTag] = ()) -> Self:
        """Both prompts without tags: those of the prompt are LoRAs, before its own ones and those of `also` without a tag."""
        tags, misplaced = tags_in(self.prompt), tags_in(self.negative_prompt)
        loras = [LoraTag(name=tag.name, weight=_weight(tag.weight)) for tag in tags if tag.is_lora and tag.name]
        named = {lora.name.casefold() for lora in loras}
        loras += [lora for lora in (*self.loras, *also) if lora.name.casefold() not in named]
        others = dict.fromkeys(f"{tag.kind} {tag.name}" for tag in (*tags, *misplaced) if tag in misplaced or not tag.is_lora)
        return replace(
            self,
            prompt=without_tags(self.prompt),
            negative_prompt=without_tags(self.negative_prompt),
            loras=tuple(loras[:MAX_LORAS]),
            unread=(*self.unread, *others),
        )


def not_understood(program: str | None) -> PictureSettings:
    """What is known of a text in a form that nobody here reads."""
    return PictureSettings(prompt="", program=program, is_understood=False)


def _weight(given: float | None) -> float:
    return DEFAULT_WEIGHT if given is None else given
