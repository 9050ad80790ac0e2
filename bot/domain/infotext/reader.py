"""The text that A1111 and programs after its fashion write into pictures: read, whatever it is.

1girl, green hair, <lora:pastel:0.8>            the prompt, over one or more lines
Negative prompt: lowres, bad anatomy            likewise; may be missing
Steps: 28, Sampler: Euler a, Seed: 42, ...      pairs (`bot.domain.infotext.pairs`); lines of other programs may follow

What lost its line breaks on the way is read too, and so is the JSON that other programs write in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.domain.infotext.json_notes import looks_like_json, read_json
from bot.domain.infotext.loose_values import loaded, number, to_float, to_list, to_number, to_object, to_size, whole
from bot.domain.infotext.lora_tags import LoraTag
from bot.domain.infotext.pairs import PairLine, read_line
from bot.domain.infotext.picture_settings import PictureSettings, not_understood
from bot.domain.infotext.variations import read_variations

NEGATIVE = "negative prompt:"
MIN_PAIRS = 3  # A1111's own rule for a line of pairs that does not begin with the steps
MAX_PLACES = 64  # where the pairs might begin, from the end of the text

_STEPS_LINE = re.compile(r"\s*steps:\s*[0-9]", re.IGNORECASE)
_KEY_OF_LINE = re.compile(r"^[^\S\n]*(\w[\w /()-]{0,39}):", re.MULTILINE)
_STEPS_WITHIN = re.compile(r"Steps:\s*[0-9]")
_NEGATIVE_WITHIN = re.compile(r"Negative prompt:")
_HASH_BEHIND = re.compile(r"\s*\([0-9a-fA-F]*\)\Z")
_KNOWN = frozenset({"steps", "sampler", "schedule type", "cfg scale", "seed", "size", "model", "model hash", "version"})
_LORA_KINDS = frozenset({"lora", "locon", "lycoris", "dora"})  # as Civitai calls them
_ADDITIONAL = range(1, 6)  # the slots of the extension Additional Networks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A line of pairs and where it begins; `is_within` a line of words that lost its break."""

    start: int
    is_within: bool
    line: PairLine

    def rank(self, text: str) -> tuple[int, int, int, int]:
        """The more known keys the better, then the fewer strays; then the later line, and the earlier place in it."""
        return len(_KNOWN & self.line.pairs.keys()), -self.line.strays, text.count("\n", 0, self.start), -self.start


def parse(text: str) -> PictureSettings:
    """Never raises. Text of another kind is all prompt, but for JSON that nobody here understands.

    Of what a picture may carry (`bot.inference.images.codec`), the worst takes a fifth of a second on a core.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n\0\ufeff")
    if (found := read_json(text)) is not None:
        return found
    place = _pairs_of(text)
    if place is None:
        if looks_like_json(text):
            return not_understood(None)
        prompt, negative_prompt = _prompts(text, is_within=False)
        return PictureSettings(prompt=prompt, negative_prompt=negative_prompt).with_tags_read()
    prompt, negative_prompt = _prompts(text[: place.start], is_within=place.is_within)
    return _settings(prompt, negative_prompt, place.line.pairs)


def _settings(prompt: str, negative_prompt: str, pairs: Mapping[str, str]) -> PictureSettings:
    found = PictureSettings(
        prompt=prompt,
        negative_prompt=negative_prompt,
        steps=whole(pairs.get("steps", "")),
        sampler=pairs.get("sampler") or None,
        guidance_scale=number(pairs.get("cfg scale", "")),
        seed=whole(pairs.get("seed", "")),
        size=to_size(pairs.get("size", "")),
        model=pairs.get("model") or None,
        variations=read_variations(pairs) or (),
    )
    read = found.with_tags_read(_hashed(pairs))
    return read if read.loras else found.with_tags_read(_listed(pairs))


def _pairs_of(text: str) -> _Found | None:
    """The line of pairs that is the likeliest. One inside a quoted value of another is none."""
    best: _Found | None = None
    quoted: list[tuple[int, int]] = []
    for start in _places(text):
        if any(first < start < last for first, last in quoted):
            continue
        is_within = bool(text[text.rfind("\n", 0, start) + 1 : start].strip())
        found = _Found(start=start, is_within=is_within, line=read_line(text, start))
        if _counts(found, text):
            quoted += found.line.quoted
            best = found if best is None else max(best, found, key=lambda one: one.rank(text))
    return best


def _places(text: str) -> Sequence[int]:
    """Where a line begins with a key of A1111's, and where the steps stand, which are its first."""
    lines = (key.start() for key in _KEY_OF_LINE.finditer(text) if key[1].strip().casefold() in _KNOWN)
    within = (steps.start() for steps in _STEPS_WITHIN.finditer(text))
    return sorted({*lines, *within})[-MAX_PLACES:]


def _counts(found: _Found, text: str) -> bool:
    if found.is_within:
        return len(_KNOWN & found.line.pairs.keys()) >= MIN_PAIRS
    return len(found.line.pairs) >= MIN_PAIRS or bool(_STEPS_LINE.match(text, found.start))


def _prompts(text: str, *, is_within: bool) -> tuple[str, str]:
    """Prompt and negative prompt. A first line that only looks like the negative one is a prompt, where a later one is it.

    `is_within`: the pairs follow on the same line, so the negative prompt may stand in the middle of one, too.
    """
    lines = text.split("\n")
    starts = [index for index, line in enumerate(lines) if line.lstrip().casefold().startswith(NEGATIVE)]
    if not starts:
        mark = _NEGATIVE_WITHIN.search(text) if is_within else None
        parts = (text[: mark.start()], text[mark.end() :]) if mark else (text, "")
        return (_ended(parts[0]), _ended(parts[1])) if is_within else (text.strip(), "")
    cut = starts[1] if starts[0] == 0 and len(starts) > 1 else starts[0]
    negative = "\n".join(lines[cut:]).lstrip()[len(NEGATIVE) :]
    return "\n".join(lines[:cut]).strip(), _ended(negative) if is_within else negative.strip()


def _ended(words: str) -> str:
    """Without the dot or comma that stands where a break was."""
    words = words.strip()
    return words[:-1].rstrip() if words.endswith((".", ",")) else words


def _hashed(pairs: Mapping[str, str]) -> Iterator[LoraTag]:
    """The LoRAs that hashes and slots name, as a tag would."""
    for part in pairs.get("lora hashes", "").split(","):
        yield from _named(part.rpartition(":")[0])
    for key in to_object(loaded(pairs.get("hashes", ""))):
        kind, _, name = key.partition(":")
        yield from _named(name if kind in _LORA_KINDS else "")
    for slot in _ADDITIONAL:
        name = _HASH_BEHIND.sub("", pairs.get(f"addnet model {slot}", ""))
        yield from _named(name, to_float(pairs.get(f"addnet weight a {slot}", "")))


def _listed(pairs: Mapping[str, str]) -> Iterator[LoraTag]:
    """Those of Civitai's list, which go by their titles there."""
    for entry in to_list(loaded(pairs.get("civitai resources", ""))):
        values = to_object(entry)
        if isinstance(name := values.get("modelName"), str) and str(values.get("type")).casefold() in _LORA_KINDS:
            yield from _named(name, to_number(values.get("weight")))


def _named(name: str, weight: float | None = None) -> Iterator[LoraTag]:
    if name.strip() and name.strip() != "None":
        yield LoraTag(name=name.strip(), weight=weight)
