"""LoRA tags, `<lora:name:0.8>` in a prompt as A1111 has them: found, understood and taken out.

<lora:name>  <lora:name:0.8>  <lora:name:0.8:0.6>     weight of the text encoders, then of the UNet
<lora:name:te=0.5:unet=0.7>                           the same by name; other extensions have names of their own
<lyco:name:0.8>  <hypernet:name:1>                    a LyCORIS is a LoRA; a hypernetwork is something else

Blanks within one are as if they were not there.

https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features#extra-networks
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.domain.infotext.loose_values import to_float

HYPERNET = "hypernet"

_KINDS = f"lora|lyco|lycoris|locon|loha|lokr|dora|{HYPERNET}"
_TAG = rf"<\s*(?:{_KINDS})\s*:[^<>]+>"
_TAGS = re.compile(_TAG, re.IGNORECASE)
_TAGS_WITH_COMMA = re.compile(rf"\A\s*(?:{_TAG}\s*)+,?\s*|,\s*(?:{_TAG}\s*)+(?=,)|\s?{_TAG}", re.IGNORECASE)
_NUMBERED = frozenset({"te", "unet", "dyn"})  # the arguments by name that A1111 itself has


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraTag:
    """A LoRA that was named, and its weight; None where nothing is said of that."""

    name: str
    weight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTag:
    """One tag, letter for letter in `text`; `arguments` is what stands between its further colons. A name may be empty."""

    text: str
    kind: str
    name: str
    arguments: tuple[str, ...]

    @property
    def is_lora(self) -> bool:
        return self.kind != HYPERNET

    @property
    def weight(self) -> float | None:
        """That of the UNet where it is named, else the first that stands there; None for none, and for no number."""
        named = dict(argument.split("=", 1) for argument in self.arguments if "=" in argument)
        plain = [argument for argument in self.arguments if "=" not in argument]
        by_name = {key.strip().casefold(): value for key, value in named.items()}
        given = (by_name.get("unet"), *plain[:1], by_name.get("te"))
        return next((to_float(value) for value in given if value is not None), None)

    @property
    def has_numbers_only(self) -> bool:
        """Whether every argument is a number, by place or by A1111's own names: nothing else stands in the tag."""
        return all(_is_number(argument) for argument in self.arguments)


def tags_in(prompt: str) -> tuple[FoundTag, ...]:
    """In their order. Takes time in proportion to the prompt."""
    return tuple(_read(tag) for tag in _TAGS.findall(prompt))


def without_tags(prompt: str) -> str:
    """The prompt without its tags, and without the comma that one of them leaves over; anything else letter for letter."""
    return _TAGS_WITH_COMMA.sub("", prompt).strip()


def taken_out(prompt: str) -> tuple[str, tuple[FoundTag, ...]]:
    """The prompt without tags, those too that come to be where another was taken out, and all of them."""
    found: list[FoundTag] = []
    while tags := tags_in(prompt):
        found += tags
        prompt = without_tags(prompt)
    return (prompt.rstrip(" ,") if found else prompt), tuple(found)


def plain_name(name: str) -> str:
    """What a LoRA is told apart by: its file's name without folders and ending, whatever its case."""
    file = " ".join(name.replace("\\", "/").rsplit("/", 1)[-1].split()).casefold()
    return file.removesuffix(".safetensors")


def _read(tag: str) -> FoundTag:
    kind, _, rest = tag[1:-1].partition(":")
    name, *arguments = rest.split(":")
    return FoundTag(text=tag, kind=kind.strip().casefold(), name=name.strip(), arguments=tuple(arguments))


def _is_number(argument: str) -> bool:
    name, is_named, value = argument.rpartition("=")
    return to_float(value) is not None and (not is_named or name.strip().casefold() in _NUMBERED)
