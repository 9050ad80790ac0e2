"""The order of the queue: start-time fair queueing among members, by the work of their jobs.

After Goyal, Vin and Cheng, "Start-time Fair Queuing" (SIGCOMM 1996). The job with the lowest start tag is next, the one that
came first among equals. The queue's virtual time is the start tag of the job claimed last; when the queue runs empty, it is the
highest finish tag that was claimed, so that what somebody drew before an idle time is not held against them after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


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
