"""PEFT's settings of a LoRA, as diffusers writes them into a file's header. Does not import torch.

The rules are PEFT's own (`LoraConfig`): a scale is alpha / rank, or alpha / sqrt(rank) with rsLoRA, and patterns give single
layers another alpha.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.inference.formats.lora_keys import TEXT_MODEL, LoraFormatError
from bot.inference.formats.model_layers import COMPONENTS, Place

NOTES = "lora_adapter_metadata"  # diffusers' key in a header's `__metadata__`
LITERAL = re.compile(r"\^?(?:\w|\.|\\\.)+")  # patterns are regular expressions; trainers write names of layers


class PeftSettings:
    """The settings of a whole file; without any, every layer has the scale 1."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        """Raises LoraFormatError."""
        self._notes = _read(metadata.get(NOTES))
        self._patterns = {part: _patterns(_table(self._setting(part, "alpha_pattern"))) for part in COMPONENTS}

    def scale(self, place: Place, rank: int) -> float:
        """Returns the scale of a layer that has no alpha of its own. Raises LoraFormatError."""
        alpha = self._alpha(place, rank)
        if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
            raise LoraFormatError(f"is damaged: its {NOTES} have no number as the alpha of {place[1]}")
        return alpha / (math.sqrt(rank) if self._setting(place[0], "use_rslora") else rank)

    def _alpha(self, place: Place, rank: int) -> object:
        component, path = place
        parts = path.removeprefix(TEXT_MODEL).split(".")
        names = (f"^{'.'.join(parts)}", *(".".join(parts[start:]) for start in range(len(parts))))
        patterns = self._patterns[component]
        if matching := [patterns[name] for name in names if name in patterns]:
            return min(matching, key=lambda one: one.number).alpha
        alpha = self._setting(component, "lora_alpha")
        return rank if alpha is None else alpha

    def _setting(self, component: str, name: str) -> Any:
        """Returns the component's setting, else the whole file's."""
        return self._notes.get(f"{component}.{name}", self._notes.get(name))


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern's place in their order, of which the first that matches counts, and its alpha."""

    number: int
    alpha: object


def _patterns(table: Mapping[str, Any]) -> Mapping[str, _Pattern]:
    """Returns patterns by the name that they match: in full, or its end behind a point; behind ^ in full only. A regular
    expression from a file could run for ever, so only names are read.
    """
    found: dict[str, _Pattern] = {}
    for number, (pattern, alpha) in enumerate(table.items()):
        if not LITERAL.fullmatch(pattern):
            raise LoraFormatError(
                f"has an alpha for the pattern {pattern[:80]!r}, of which only plain names of layers are read"
            )
        name = pattern.removeprefix("^").replace("\\.", ".").removeprefix(TEXT_MODEL)
        found.setdefault(f"^{name}" if pattern.startswith("^") else name, _Pattern(number, alpha))
    return found


def _read(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        notes: object = json.loads(text)
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict):
        raise LoraFormatError(f"is damaged: its {NOTES} cannot be read")
    return _table(notes)  # pyright: ignore[reportUnknownArgumentType] # JSON


def _table(value: Any) -> dict[str, Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON
