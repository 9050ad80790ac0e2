"""The JSON in which programs other than A1111 note how they made a picture: SwarmUI, Fooocus and its forks, NovelAI, InvokeAI.

Whatever gives a prompt by one of the known keys is understood; ComfyUI's graphs have a module of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.domain.infotext.comfyui import is_graph, read_graph
from bot.domain.infotext.loose_values import loaded, to_float, to_list, to_number, to_object, to_size, to_whole
from bot.domain.infotext.lora_tags import LoraTag
from bot.domain.infotext.picture_settings import PictureSettings, not_understood

Values = Mapping[str, Any]

MAX_LISTED = 100  # LoRAs

# Keys without case, blanks and signs, the commonest first.
PROMPT = ("prompt", "positiveprompt")
NEGATIVE = ("negativeprompt", "negative", "uc")
STEPS = ("steps", "numinferencesteps")
GUIDANCE = ("cfgscale", "guidancescale", "cfg", "scale")
SAMPLER = ("sampler", "samplername", "scheduler")
MODEL = ("model", "basemodel", "basemodelname")

_OPENING = re.compile(r'\s*(?:\{\s*["}]|\[\s*\{)')
_SIGNS = re.compile(r"[\s_-]+")
_WEIGHT_FIRST = re.compile(r"([-+.0-9]{1,20}) - (.+)")
_COMBINED = re.compile(r"(.+) : ([-+.0-9]{1,20})")


def looks_like_json(text: str) -> bool:
    """Whether it begins as objects do; prompts begin with other brackets."""
    return _OPENING.match(text) is not None


def read_json(text: str) -> PictureSettings | None:
    """None for a text that is no JSON object; never raises. One that nobody here knows is named as not understood."""
    if not looks_like_json(text):
        return None
    values = loaded(text)
    if values is None:
        return None
    return _read(notes) if (notes := to_object(values)) else not_understood(None)


def _read(values: Values) -> PictureSettings:
    if is_graph(values):
        return read_graph(values).with_tags_read()
    if isinstance(values.get("nodes"), list) and "links" in values:
        return not_understood("ComfyUI")  # the editor's own file, which says what stands where and not what was drawn
    if swarm := to_object(values.get("sui_image_params")):
        return _flat(swarm, "SwarmUI")
    if isinstance(comment := values.get("Comment"), str):
        return _novelai(comment, values)
    if image := to_object(values.get("image")):
        return _flat(image, "InvokeAI")  # up to its version 2
    return _flat(values, _program(values))


def _novelai(comment: str, around: Values) -> PictureSettings:
    """Its numbers are JSON within the JSON; older ones have the prompt beside them alone."""
    program = around.get("Software")
    values = {"prompt": around.get("Description"), **to_object(loaded(comment))}
    return _flat(values, program if isinstance(program, str) else "NovelAI")


def _flat(values: Values, program: str | None) -> PictureSettings:
    given: dict[str, Any] = {}
    for key, value in values.items():
        given.setdefault(_SIGNS.sub("", key).casefold(), value)
    prompt = _words(given, PROMPT)
    if prompt is None or not prompt.strip():
        return not_understood(program)
    found = PictureSettings(
        prompt=prompt,
        negative_prompt=_words(given, NEGATIVE) or "",
        steps=_first(to_whole(given.get(key)) for key in STEPS),
        sampler=_words(given, SAMPLER),
        guidance_scale=_first(to_number(given.get(key)) for key in GUIDANCE),
        seed=to_whole(given.get("seed")),
        size=_size(given),
        model=_first(_name(given.get(key)) for key in MODEL),
        program=program,
        unread=("character prompts",) if _has_characters(given) else (),
    )
    return found.with_tags_read(_loras(given))


def _words(given: Values, keys: tuple[str, ...]) -> str | None:
    return next((given[key] for key in keys if isinstance(given.get(key), str) and given[key].strip()), None)


def _first(values: Iterator[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _name(value: object) -> str | None:
    """A name, or the name in a model's own notes."""
    if isinstance(value, str):
        return value.strip() or None
    notes = to_object(value)
    return next((notes[key] for key in ("name", "model_name") if isinstance(notes.get(key), str) and notes[key].strip()), None)


def _size(given: Values) -> tuple[int, int] | None:
    width, height = to_whole(given.get("width")), to_whole(given.get("height"))
    together = given.get("resolution", given.get("size"))
    if (not width or not height) and isinstance(together, str):
        return to_size(together)
    return (width, height) if width and height and max(width, height) < 100_000 else None


def _has_characters(given: Values) -> bool:
    """Whether NovelAI's fourth model was given prompts for single characters."""
    caption = to_object(to_object(given.get("v4prompt")).get("caption"))
    return bool(caption.get("char_captions"))


def _loras(given: Values) -> Iterator[LoraTag]:
    weights = to_list(given.get("loraweights"))
    for index, entry in enumerate(to_list(given.get("loras"))[:MAX_LISTED]):
        yield from _lora(entry, weights[index : index + 1])
    for number in range(1, 11):  # Fooocus
        combined = given.get(f"loracombined{number}")
        if isinstance(combined, str) and (found := _COMBINED.fullmatch(combined.strip())):
            yield LoraTag(name=found[1].strip(), weight=to_float(found[2]))


def _lora(entry: object, beside: list[Any]) -> Iterator[LoraTag]:
    """SwarmUI gives names, with weights beside them; Fooocus lists of both; a fork "weight - name"; InvokeAI notes."""
    name: object = entry
    weight: object = beside[0] if beside else None
    if notes := to_object(entry):
        name, weight = _name(notes.get("model", notes.get("lora"))), notes.get("weight")
    elif len(parts := to_list(entry)) >= 2:
        name, weight = parts[0], parts[1]
        if isinstance(weight, str) and (found := _WEIGHT_FIRST.fullmatch(weight)):
            name, weight = found[2], found[1]
    if isinstance(name, str) and name.strip():
        yield LoraTag(name=name.strip(), weight=to_number(weight))


def _program(values: Values) -> str | None:
    software = values.get("software", values.get("Software"))
    if isinstance(software, str) and software.strip():
        return software.strip()
    if values.get("metadata_scheme") == "fooocus":
        return "Fooocus"
    if "positive_prompt" in values or "app_version" in values:
        return "InvokeAI"
    return "NovelAI" if {"uc", "prompt"} <= values.keys() else None
