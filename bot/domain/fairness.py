"""The order of the queue: whose job would end first, were the engine shared equally among members by the work of their jobs.

Demers, Keshav and Shenker, "Analysis and Simulation of a Fair Queueing Algorithm" (SIGCOMM 1989). The job with the lowest
finish tag is next, the one that came first among equals. The queue's virtual time moves on with what is drawn, by each member's
part of it; when the queue runs empty, it is the highest finish tag that was claimed, so that what somebody drew before an idle
time is not held against them after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from bot.domain.request import StyleChoice

LORAS_AT_ONCE = 4  # and as many sets of them: what is drawn at the same time is held in memory at the same time


@dataclass(frozen=True, slots=True)
class Share:
    """Whose work it is, and how much of the engine that member gets beside others (above 0; most have 1)."""

    member: int
    weight: float = 1.0


def have_room(loras: Set[StyleChoice], drawn: Sequence[Set[StyleChoice]]) -> bool:
    """Whether a job with these LoRAs may be drawn beside jobs with those: all of them are then held in memory. A set that needs
    more than that by itself is drawn alone.
    """
    sets = {frozenset(one) for one in (*drawn, loras) if one}
    names = {lora.name for one in sets for lora in one}
    return len(sets) <= 1 or max(len(sets), len(names)) <= LORAS_AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """When a job's turn comes and ends, in the queue's virtual time (megapixel-steps of a member with weight 1)."""

    start: float
    finish: float


def turns(jobs: Iterable[tuple[float, float]], *, virtual_time: float, served: float) -> Iterator[Turn]:
    """The turns of one member's waiting `jobs`: (work, weight) in order of arrival.

    `served` is the highest finish tag of the member's jobs that were claimed before, 0 without any. For jobs that came at
    different times this gives what each got when it came, as long as none before them was taken out.
    """
    finish = max(virtual_time, served)
    for work, weight in jobs:
        start, finish = finish, finish + work / weight
        yield Turn(start=start, finish=finish)
