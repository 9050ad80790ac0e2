"""Variations in a picture's text: A1111's two pairs for the last one, and all of them where those do not say enough.

Variation seed: 9, Variation seed strength: 0.2, Variation chain: 7 0.5; 9 0.2 every

A1111 moves the first noise alone, and so did this bot's older variations: one such needs no chain. `every` stands behind those
that move every draw.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bot.domain.request import MAX_BLENDS, MAX_SEED, NoiseBlend, NoiseDraws

SEED, STRENGTH, CHAIN = "Variation seed", "Variation seed strength", "Variation chain"

_LINK = re.compile(r"([0-9]{1,10}) ([0-9]{1,2}(?:\.[0-9]{1,20})?(?:e-[0-9]{1,3})?)( every)?")


def variation_pairs(blends: Sequence[NoiseBlend]) -> Mapping[str, str]:
    """The pairs to write, by key; none for a picture that is no variation."""
    if not blends:
        return {}
    last = blends[-1]
    pairs = {SEED: f"{last.seed}", STRENGTH: f"{last.strength:g}"}
    return pairs if len(blends) == 1 and last.draws is NoiseDraws.FIRST else pairs | {CHAIN: chain(blends)}


def chain(blends: Sequence[NoiseBlend]) -> str:
    """Each with its seed and share, the oldest first."""
    return "; ".join(f"{one.seed} {one.strength:g}{' every' * (one.draws is NoiseDraws.EVERY)}" for one in blends)


def read_variations(pairs: Mapping[str, str]) -> tuple[NoiseBlend, ...] | None:
    """What `variation_pairs` wrote, or A1111; keys in small letters. None for what cannot be understood or drawn here."""
    text = pairs.get(CHAIN.casefold())
    if text is None:
        seed, strength = (pairs.get(key.casefold(), "") for key in (SEED, STRENGTH))
        text = f"{seed} {strength}" if seed or strength else ""
    return read_chain(text)


def read_chain(text: str) -> tuple[NoiseBlend, ...] | None:
    """What `chain` wrote; None for what cannot be understood or drawn here."""
    links = [_LINK.fullmatch(" ".join(link.split())) for link in text.split(";", MAX_BLENDS)] if text.strip() else []
    found = tuple(_blend(link) for link in links if link is not None)
    possible = all(one.seed <= MAX_SEED and one.strength <= 1 for one in found)
    return found if len(found) == len(links) <= MAX_BLENDS and possible else None


def _blend(link: re.Match[str]) -> NoiseBlend:
    draws = NoiseDraws.EVERY if link[3] else NoiseDraws.FIRST
    return NoiseBlend(seed=int(link[1]), strength=float(link[2]), draws=draws)
