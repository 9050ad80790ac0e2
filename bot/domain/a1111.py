"""The text that A1111 and programs after its fashion write into pictures: read, whatever it is.

1girl, green hair, <lora:pastel:0.8>            the prompt, over one or more lines
Negative prompt: lowres, bad anatomy            likewise; may be missing
Steps: 28, Sampler: Euler a, Seed: 42, ...      pairs, the last line; a value with commas or colons in it is quoted
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.domain.request import NoiseBlend
from bot.domain.variations import read_variations

NEGATIVE = "negative prompt:"
MAX_PAIRS = 200
MIN_PAIRS = 3  # A1111's own rule for a last line of pairs that does not begin with the steps

_STEPS_LINE = re.compile(r"\s*steps:\s*[0-9]", re.IGNORECASE)
_KEY = re.compile(r"\s*(\w[\w /()-]{0,39}):\s*")  # the bound keeps a long line without colons from taking squares of its length
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NOT_COMMA = re.compile(r"[^,]*")
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
_SIZE = re.compile(r"([0-9]{1,5})\s*[x×]\s*([0-9]{1,5})")
_LORA = r"<lora:([^<>:]{1,200})((?::[^<>:]{0,20}){0,4})>"
_LORA_TAG = re.compile(_LORA, re.IGNORECASE)
_LEADING_TAGS = re.compile(rf"\A\s*(?:{_LORA}\s*)+,?\s*", re.IGNORECASE)
_TAGS_BETWEEN_COMMAS = re.compile(rf",\s*(?:{_LORA}\s*)+(?=,)", re.IGNORECASE)
_OTHER_TAG = re.compile(rf"\s?{_LORA}", re.IGNORECASE)
_KNOWN = frozenset({"steps", "sampler", "cfg scale", "seed", "size", "model", "model hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraTag:
    """`<lora:name:weight>` in a prompt."""

    name: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSettings:
    """What a picture's text says. Nothing in it is checked against what this bot can do; None where it says nothing.

    `prompt` and `negative_prompt` may have several lines; the LoRA tags of the prompt stand in `loras` instead. `variations`
    are those that lie between the seed's picture and this one.
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


def parse(text: str) -> PictureSettings:
    """Never raises: what cannot be understood is left out, and text of another kind is all prompt."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")
    end = _end_of_prompts(lines)
    prompt, negative_prompt = _prompts(lines[:end])
    pairs = read_pairs(lines[end] if end < len(lines) else "")
    return PictureSettings(
        prompt=_without_tags(prompt),
        negative_prompt=negative_prompt,
        steps=whole(pairs.get("steps", "")),
        sampler=pairs.get("sampler") or None,
        guidance_scale=number(pairs.get("cfg scale", "")),
        seed=whole(pairs.get("seed", "")),
        size=_size(pairs.get("size", "")),
        model=pairs.get("model") or None,
        loras=tuple(LoraTag(name=name.strip(), weight=_weight(rest)) for name, rest in _LORA_TAG.findall(prompt)),
        variations=read_variations(pairs) or (),
    )


def read_pairs(line: str) -> Mapping[str, str]:
    """`Key: value, Key: value` by key in small letters; of a key that comes twice, the first."""
    pairs: dict[str, str] = {}
    position = 0
    while position < len(line) and len(pairs) < MAX_PAIRS:
        if key := _KEY.match(line, position):
            value, position = _value(line, key.end())
            pairs.setdefault(key[1].strip().casefold(), value)
        comma = line.find(",", position)
        position = len(line) if comma < 0 else comma + 1
    return pairs


def whole(value: str) -> int | None:
    """None for everything but digits."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) <= 20 else None


def number(value: str) -> float | None:
    """None for everything but digits with or without a fraction."""
    return float(value) if _NUMBER.fullmatch(value) else None


def _end_of_prompts(lines: Sequence[str]) -> int:
    """The index of the line of pairs; behind the last line where there is none. What follows that line is no prompt either."""
    for index in reversed(range(len(lines))):
        if _STEPS_LINE.match(lines[index]):
            return index
    last = read_pairs(lines[-1])
    return len(lines) - 1 if len(last) >= MIN_PAIRS and not _KNOWN.isdisjoint(last) else len(lines)


def _prompts(lines: Sequence[str]) -> tuple[str, str]:
    """Prompt and negative prompt. A first line that only looks like the negative one is a prompt, where a later one is it."""
    starts = [index for index, line in enumerate(lines) if line.lstrip().casefold().startswith(NEGATIVE)]
    if not starts:
        return "\n".join(lines).strip(), ""
    cut = starts[1] if starts[0] == 0 and len(starts) > 1 else starts[0]
    negative = "\n".join(lines[cut:]).lstrip()[len(NEGATIVE) :]
    return "\n".join(lines[:cut]).strip(), negative.strip()


def _value(line: str, position: int) -> tuple[str, int]:
    """One value and where it ends. Some programs write JSON unquoted."""
    if quoted := _QUOTED.match(line, position):
        return _unquoted(quoted[0]), quoted.end()
    if line[position : position + 1] in {"[", "{"}:
        try:
            _, end = json.JSONDecoder().raw_decode(line, position)
            return line[position:end], end
        except (ValueError, RecursionError):
            pass
    plain = _NOT_COMMA.match(line, position)
    return (plain[0].strip(), plain.end()) if plain else ("", position)


def _unquoted(text: str) -> str:
    try:
        value: object = json.loads(text)
    except ValueError:
        return text[1:-1]
    return value if isinstance(value, str) else text[1:-1]


def _size(value: str) -> tuple[int, int] | None:
    found = _SIZE.fullmatch(value)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    return (width, height) if width and height else None


def _weight(rest: str) -> float:
    """Of `:0.8` or `:0.8:0.6`, the first; 1 where nothing is said, as A1111 has it."""
    first = rest[1:].split(":")[0].strip()
    value = number(first.removeprefix("-"))
    if value is None:
        return 1.0
    return -value if first.startswith("-") else value


def _without_tags(prompt: str) -> str:
    """The prompt without LoRA tags, and without the comma that one of them leaves over; anything else letter for letter."""
    rest = _LEADING_TAGS.sub("", prompt)
    rest = _TAGS_BETWEEN_COMMAS.sub("", rest)
    return _OTHER_TAG.sub("", rest).strip()
