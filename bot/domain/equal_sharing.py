"""One engine as if it were shared equally among the members that have work: what each job would have got by now, and when it
would end. The order of these ends is the order in which the engine draws.

Friedman and Henderson, "Fairness and efficiency in web server protocols" (SIGMETRICS 2003), call it the fair sojourn protocol:
who serves one job after another in that order ends none later than equal sharing would. A member's jobs follow one another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.domain.fairness import Share

NOTHING = 1e-9  # seconds; less is the rounding of sums

Job = TypeVar("Job", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(Generic[Job]):
    """A job under equal sharing: how many seconds the engine would still work, all members together, until it ends there.

    0 for a job that would have ended by now.
    """

    job: Job
    engine_seconds: float


@dataclass(slots=True, kw_only=True, eq=False)
class _Entry(Generic[Job]):
    """`left` is what equal sharing still has to do for the job, `served` what it has done; `present` until the job has left."""

    job: Job
    share: Share
    left: float
    served: float = 0.0
    present: bool = True


class EqualSharing(Generic[Job]):
    """Time is the engine's own, in seconds of drawing, and passes only when `pass_time` is called."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[_Entry[Job]]] = {}
        self._over: list[_Entry[Job]] = []  # ended here and not yet in truth, in the order of their ends
        self._entries: dict[Job, _Entry[Job]] = {}

    def join(self, job: Job, share: Share, seconds: float) -> None:
        """A job that needs so many seconds lines up behind its member's others."""
        entry = _Entry(job=job, share=share, left=seconds)
        self._entries[job] = entry
        self._lines.setdefault(share.member, deque()).append(entry)

    def change(self, job: Job, seconds: float) -> None:
        """The job needs so many seconds more than was thought; below 0, fewer."""
        entry = self._entries[job]
        entry.left = max(0.0, entry.left + seconds)
        if entry in self._over and entry.left > NOTHING:
            self._over.remove(entry)
            self._lines.setdefault(entry.share.member, deque()).appendleft(entry)

    def leave(self, job: Job, spent: float) -> None:
        """The job has ended or was cancelled, after the engine has spent so many seconds on it: that much it has had here too.

        When the last one leaves, what was drawn before is held against nobody.
        """
        entry = self._entries.pop(job)
        entry.present = False
        entry.left = max(0.0, spent - entry.served)
        if entry in self._over:
            self._over.remove(entry)
        if not self._entries:
            self._lines.clear()

    def pass_time(self, seconds: float) -> None:
        """The engine has worked for so long."""
        while seconds > NOTHING and self._settle():
            heads = [line[0] for line in self._lines.values()]
            weights = sum(head.share.weight for head in heads)
            span = min(seconds / weights, *(head.left / head.share.weight for head in heads))
            for head in heads:
                head.left -= span * head.share.weight
                head.served += span * head.share.weight
            seconds -= span * weights
        self._settle()

    def standings(self) -> list[Standing[Job]]:
        """The jobs that are present, in the order in which they would end."""
        found = [Standing(job=entry.job, engine_seconds=0.0) for entry in self._over]
        ends = sorted(self._ends(), key=lambda end: round(end[0], 6))  # equals stay in the order in which they came
        weights = sum(line[0].share.weight for line in self._lines.values())
        work = last = 0.0
        for end, entry, following in ends:
            work += weights * (end - last)
            last = end
            weights += following - entry.share.weight
            if entry.present:
                found.append(Standing(job=entry.job, engine_seconds=work))
        return found

    def _ends(self) -> list[tuple[float, _Entry[Job], float]]:
        """When each job ends in virtual time from now, and the weight of the one behind it in its member's line."""
        ends: list[tuple[float, _Entry[Job], float]] = []
        for line in self._lines.values():
            at = 0.0
            for index, entry in enumerate(line):
                at += entry.left / entry.share.weight
                following = line[index + 1].share.weight if index + 1 < len(line) else 0.0
                ends.append((at, entry, following))
        return ends

    def _settle(self) -> bool:
        """Take out what has ended; whether anybody is left."""
        ended: list[_Entry[Job]] = []
        for member, line in tuple(self._lines.items()):
            while line and line[0].left <= NOTHING:
                ended.append(line.popleft())
            if not line:
                del self._lines[member]
        self._over += [entry for entry in ended if entry.present]
        return bool(self._lines)
