"""How exactly LoRAs were read when a picture was drawn, as its parameters tell it.

Until each layer of a LoRA had the scale that its file gives it (its own alpha / rank), some layers of files with several
alphas or ranks were too strong or too weak.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.infotext.pairs import read_pairs

_SCALE, _BY_LAYER = "Lora scale", "by layer"
_HASHES = "Lora hashes"


def reading_pairs(hashes: str | None) -> Mapping[str, str | None]:
    """For the last line of the parameters, of a picture with LoRAs of these hashes; None is not said."""
    return {_HASHES: hashes, _SCALE: _BY_LAYER if hashes else None}


def was_read_less_exactly(parameters: str) -> bool:
    """Whether a picture has LoRAs and is older than the scale of each layer."""
    pairs = read_pairs(parameters.rpartition("\n")[2])
    return _HASHES.casefold() in pairs and pairs.get(_SCALE.casefold()) != _BY_LAYER
