"""What lies in a GPU's memory: a list of parts decides how many pictures share a step, and what has to do with less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_PICTURES = 16  # a call; beyond it nothing is gained (`bench --stages`)
ENOUGH_PICTURES = 4  # a call; for fewer, what costs only a moment now and then is given up first


class Phase(StrEnum):
    """When a part needs its memory; steps and decodings take turns, so the larger of the two counts."""

    ALWAYS = "always"
    STEP = "step"
    DECODING = "decoding"


@dataclass(frozen=True, slots=True)
class Form:
    """One way to hold a part: bytes on the card, and more of them for each picture of a call."""

    name: str
    size: int = 0
    a_picture: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`forms` begin with the best and each is smaller than the one before. Parts give way in the order of their `turn`, those
    with the same one together; `is_cheap` ones cost no quality and only a moment now and then.
    """

    name: str
    forms: tuple[Form, ...]
    phase: Phase = Phase.ALWAYS
    turn: int = 0
    is_cheap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """How a card of `memory` bytes is used. `cap` is how many pictures a call may hold; `in_use` the most that is needed then,
    which is above `memory` where nothing helps.
    """

    memory: int
    cap: int
    in_use: int
    forms: Mapping[str, Form]
    gave_way: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return self.in_use <= self.memory

    def form(self, part: str) -> str | None:
        """The name of a part's form; None for a part that is not on the list."""
        found = self.forms.get(part)
        return None if found is None else found.name


def plan_memory(memory: int, parts: Sequence[Part]) -> MemoryPlan:
    """Returns the plan in which the fewest parts give way; what is cheap does so for ENOUGH_PICTURES, all else for one."""
    for enough, cheap_only in ((ENOUGH_PICTURES, True), (1, False)):
        for forms, gave_way in _levels(parts, cheap_only=cheap_only):
            plan = _planned(memory, parts, forms, gave_way)
            if plan.fits and plan.cap >= enough:
                return plan
    forms, gave_way = list(_levels(parts, cheap_only=False))[-1]
    return _planned(memory, parts, forms, gave_way)


def _levels(parts: Sequence[Part], *, cheap_only: bool) -> Iterator[tuple[dict[str, Form], tuple[str, ...]]]:
    """Forms by part, from the best of all to the smallest, and which parts gave way."""
    forms, gave_way = {part.name: part.forms[0] for part in parts}, ()
    yield forms, gave_way
    for turn in sorted({part.turn for part in parts if len(part.forms) > 1}):
        giving = [part for part in parts if part.turn == turn and (part.is_cheap or not cheap_only)]
        for step in range(1, max((len(part.forms) for part in giving), default=1)):
            forms = {**forms, **{part.name: part.forms[step] for part in giving if step < len(part.forms)}}
            gave_way = (*dict.fromkeys((*gave_way, *(part.name for part in giving if len(part.forms) > 1))),)
            yield forms, gave_way


def _planned(memory: int, parts: Sequence[Part], forms: Mapping[str, Form], gave_way: tuple[str, ...]) -> MemoryPlan:
    sizes = {phase: sum(forms[part.name].size for part in parts if part.phase is phase) for phase in Phase}
    shares = {phase: sum(forms[part.name].a_picture for part in parts if part.phase is phase) for phase in Phase}
    cap = MOST_PICTURES
    for phase in (Phase.STEP, Phase.DECODING):
        a_picture = shares[Phase.ALWAYS] + shares[phase]
        left = memory - sizes[Phase.ALWAYS] - sizes[phase]
        cap = max(1, min(cap, left // a_picture)) if a_picture else cap
    busiest = max(sizes[phase] + cap * shares[phase] for phase in (Phase.STEP, Phase.DECODING))
    in_use = sizes[Phase.ALWAYS] + cap * shares[Phase.ALWAYS] + busiest
    return MemoryPlan(memory=memory, cap=cap, in_use=in_use, forms=forms, gave_way=gave_way)
