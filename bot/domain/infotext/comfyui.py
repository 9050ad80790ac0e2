"""ComfyUI's graph as it was run: every node by its number, with its inputs, which are values or [number of a node, output].

What was drawn is found from its sampler backwards: the prompts, the LoRAs, the checkpoint, the size. Nodes are known by what
their inputs are called, since anybody can write new ones. Every way is followed once, and at most MAX_WAY nodes far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from bot.domain.infotext.loose_values import to_number, to_object, to_whole
from bot.domain.infotext.lora_tags import LoraTag
from bot.domain.infotext.picture_settings import PictureSettings, not_understood

Inputs = Mapping[str, Any]
Number = TypeVar("Number", int, float)

PROGRAM = "ComfyUI"
MAX_WAY, MAX_NUMBER_WAY = 200, 5  # nodes
MAX_SAMPLERS = 20  # that are looked at
MAX_SIDE = 99_999  # pixels
POSITIVE, NEGATIVE = "positive", "negative"
TEXTS = ("text", "text_g", "populated_text", "wildcard_text", "prompt", "string", "value", "text_0", "string_a")
CONDITIONINGS = ("conditioning", "conditioning_1", "conditioning_to", "conditioning_2", "conditioning_from")
LATENTS = ("latent_image", "latent", "samples", "pixels", "image")
BESIDE = ("guider", "noise", "sigmas", "sampler")  # where newer samplers keep what older ones hold themselves
NUMBERS = ("value", "int", "float", "number", "seed", "noise_seed", "steps")


def is_graph(values: Mapping[str, Any]) -> bool:
    """Whether any of it is a node."""
    return any(isinstance(to_object(node).get("class_type"), str) for node in values.values())


def read_graph(values: Mapping[str, Any]) -> PictureSettings:
    """Not understood where no sampler leads to a prompt. Never raises."""
    graph = _Graph(values)
    for sampler in graph.samplers():
        prompt = graph.text(sampler, POSITIVE)
        if prompt is not None and prompt.strip():
            return graph.settings(sampler, prompt)
    return not_understood(PROGRAM)


@dataclass(slots=True)
class _Graph:
    nodes: Mapping[str, Any]
    unread: dict[str, None] = field(default_factory=dict[str, None])

    def settings(self, sampler: Inputs, prompt: str) -> PictureSettings:
        places = (sampler, *self._beside(sampler))
        way = [self.inputs(node) for place in places for node in self._way(place.get("model"), ("model",))]
        return PictureSettings(
            prompt=prompt,
            negative_prompt=self.text(sampler, NEGATIVE) or "",
            steps=self._found(places, ("steps",), to_whole),
            sampler=next((place["sampler_name"] for place in places if isinstance(place.get("sampler_name"), str)), None),
            guidance_scale=self._found(places, ("cfg",), to_number),
            seed=self._found(places, ("seed", "noise_seed"), to_whole),
            size=self._size(sampler),
            model=next((name for inputs in way for name in _checkpoint(inputs)), None),
            loras=tuple(lora for inputs in way for lora in _loras(inputs)),
            program=PROGRAM,
            unread=tuple(self.unread),
        )

    def samplers(self) -> Iterator[Inputs]:
        """Those that begin with an empty picture first: the others work on what these drew."""
        found = [inputs for inputs in map(self.inputs, self.nodes) if _is_sampler(inputs)][:MAX_SAMPLERS]
        yield from sorted(found, key=lambda inputs: self._size(inputs) is None)

    def inputs(self, number: str) -> Inputs:
        return to_object(to_object(self.nodes.get(number)).get("inputs"))

    def text(self, sampler: Inputs, side: str) -> str | None:
        """The prompt of a side; None where no text is found."""
        for place in (sampler, *self._beside(sampler)):
            if isinstance(place.get(side), str):
                return place[side]
            names = (side, *TEXTS, *CONDITIONINGS)
            for number in self._way(place.get(side, place.get("conditioning") if side == POSITIVE else None), names):
                inputs = self.inputs(number)
                if "ZeroOut" in self._kind(number):  # of the other side's prompt, so that this one says nothing
                    return ""
                if sum(_is_link(inputs.get(name)) for name in CONDITIONINGS) > 1:
                    self.unread["further prompts that are mixed in"] = None
                for name in (side, *TEXTS):
                    if isinstance(inputs.get(name), str):
                        return inputs[name]
        return None

    def _beside(self, sampler: Inputs) -> tuple[Inputs, ...]:
        return tuple(self.inputs(sampler[name][0]) for name in BESIDE if _is_link(sampler.get(name)))

    def _way(self, link: object, names: tuple[str, ...], longest: int = MAX_WAY) -> Iterator[str]:
        """The nodes from the one that `link` names on, always by the first of `names` that is a link."""
        seen: set[str] = set()
        while _is_link(link) and len(seen) < longest:
            number: str = cast("list[Any]", link)[0]
            if number in seen or number not in self.nodes:
                return
            seen.add(number)
            yield number
            inputs = self.inputs(number)
            link = next((inputs[name] for name in names if _is_link(inputs.get(name))), None)

    def _size(self, sampler: Inputs) -> tuple[int, int] | None:
        """That of the empty picture; None where another sampler comes before it, or a picture that was loaded."""
        for number in self._way(next((sampler[name] for name in LATENTS if _is_link(sampler.get(name))), None), LATENTS):
            inputs = self.inputs(number)
            if _is_sampler(inputs):
                return None
            if any(_is_link(inputs.get(name)) for name in LATENTS):
                continue  # a picture comes in here, and the size is what becomes of it
            width, height = (self._found((inputs,), (side, f"empty_latent_{side}"), to_whole) for side in ("width", "height"))
            if width and height and max(width, height) <= MAX_SIDE:
                return width, height
        return None

    def _found(
        self, places: tuple[Inputs, ...], names: tuple[str, ...], read: Callable[[object], Number | None]
    ) -> Number | None:
        """The first of the inputs that is a number, or leads to one."""
        for value in (place[name] for place in places for name in names if name in place):
            behind = (self.inputs(node).get(name) for node in self._way(value, NUMBERS, MAX_NUMBER_WAY) for name in NUMBERS)
            for given in (value, *behind):
                if not isinstance(given, str) and (number := read(given)) is not None:
                    return number
        return None

    def _kind(self, node: str) -> str:
        return str(to_object(self.nodes[node]).get("class_type"))


def _is_link(value: object) -> bool:
    return isinstance(value, list) and len(pair := cast("list[object]", value)) == 2 and isinstance(pair[0], str)


def _is_sampler(inputs: Inputs) -> bool:
    seeded = any(name in inputs for name in ("seed", "noise_seed", "noise"))
    return seeded and ("steps" in inputs or "sigmas" in inputs)


def _checkpoint(inputs: Inputs) -> Iterator[str]:
    return (inputs[name] for name in ("ckpt_name", "unet_name") if isinstance(inputs.get(name), str))


def _loras(inputs: Inputs) -> Iterator[LoraTag]:
    """One a node, or as many as a node of rgthree's holds, each of which may be switched off."""
    if isinstance(name := inputs.get("lora_name"), str) and name not in {"", "None"}:
        yield LoraTag(name=name, weight=to_number(inputs.get("strength_model")))
    for key, value in inputs.items():
        row = to_object(value)
        if key.startswith("lora_") and row.get("on") and isinstance(name := row.get("lora"), str) and name not in {"", "None"}:
            yield LoraTag(name=name, weight=to_number(row.get("strength")))
