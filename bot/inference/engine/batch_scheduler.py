"""Schedules calls: each goes to the picture whose job would end first if the engine were shared equally among members."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bot.domain.batch_curve import BatchCurve
from bot.domain.equal_sharing import NOTHING, EqualSharing
from bot.domain.fairness import Share
from bot.inference.engine.group_rotation import GroupRotation

NEWCOMER_SECONDS = (
    60.0  # a member's first step is taken out of turn once in that time: more, and it would be a way to the front
)
ROWS = (1, 2)  # that a step may take: without guidance, and with it


class Picture(Protocol):
    """A picture under way, as the scheduler sees it."""

    @property
    def group(self) -> Hashable:
        """Returns a key; pictures with equal keys can share a call."""
        ...

    @property
    def area(self) -> int:
        """Returns height times width of the latents."""
        ...

    @property
    def begun(self) -> bool:
        """Returns whether it has had a step."""
        ...

    @property
    def done(self) -> bool:
        """Returns whether it has had all its steps."""
        ...

    @property
    def rows(self) -> int:
        """Returns how many rows the next step takes, one of ROWS."""
        ...

    def steps_left(self, rows: int) -> int:
        """Returns how many of the remaining steps take `rows` rows."""
        ...


class Job(Hashable, Protocol):
    """A member's request under way."""

    @property
    def share(self) -> Share: ...

    @property
    def pictures(self) -> Sequence[Picture]: ...


AnyJob = TypeVar("AnyJob", bound=Job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[AnyJob]):
    """A picture of a call, by its number in its job. `rows` is how many its step takes there, and `alone` how many seconds that
    would take in a call of its own.
    """

    job: AnyJob
    index: int
    picture: Picture
    rows: int
    alone: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place(Generic[AnyJob]):
    """A job that has something to draw. `rank` is its member's place in the order, `slack` how many seconds the engine may work
    for jobs behind it before this one ends later than under equal sharing.
    """

    job: AnyJob
    rank: int
    slack: float


class BatchScheduler(Generic[AnyJob]):
    """Decides which pictures share the next call. Belongs to the drawing thread; the seconds of steps are those of `curve`, so
    that nothing depends on how busy the machine is. `area` is the latent pixels of the size that the curve was measured in.

    A call begins with the first picture in the order, or with a newcomer's, and is filled up in that order as long as members
    end earlier on average, and none ends later than under equal sharing.
    """

    def __init__(self, curve: BatchCurve, area: int, *, padded: Callable[[int], int] = int) -> None:
        self.curve = curve
        self._area = area
        self._padded = padded
        self._order: GroupRotation[Hashable] = GroupRotation()
        self._sharing: EqualSharing[AnyJob] = EqualSharing()
        self._spent: dict[AnyJob, float] = {}
        self._tasted: dict[int, float] = {}

    def join(self, job: AnyJob) -> None:
        """Add a job whose pictures are ready to be drawn."""
        self._spent[job] = 0.0
        self._sharing.join(job, job.share, self._left(job))

    def leave(self, job: AnyJob) -> None:
        """Remove a job that has ended, for any reason. A job that never joined is ignored."""
        spent = self._spent.pop(job, None)
        if spent is not None:
            self._sharing.leave(job, spent)

    def charge(self, job: AnyJob, seconds: float) -> None:
        """Charge the job for `seconds` of work besides its steps, such as a decoded picture."""
        if job in self._spent:
            self._spent[job] += seconds
            self._sharing.change(job, seconds)
            self._sharing.pass_time(seconds)

    def switched(self, job: AnyJob, seconds: float) -> None:
        """Charge the job for the `seconds` that it took to give the model the LoRAs of its group."""
        self._order.switched(seconds)
        self.charge(job, seconds)

    def may_pause(self, call: Sequence[Row[AnyJob]], seconds: float, now: float) -> bool:
        """Returns whether work for the first of `call` may take `seconds` before the next call. It may not if another member
        would end later than under equal sharing, or still waits for a first step.
        """
        places = self._places()
        others = [place for place in places if place.job.share.member != call[0].job.share.member]
        if any(place.slack < seconds for place in others) or self._newcomer(others, now) is not None:
            return False
        return self._order.may_pause(now)

    def paused(self, job: AnyJob, seconds: float, now: float) -> None:
        """Charge the job for a pause that took `seconds` until now."""
        self._order.paused(seconds, now)
        self.charge(job, seconds)

    def next_call(self, now: float, fits: Callable[[int], int]) -> list[Row[AnyJob]]:
        """Returns the next call; empty when nothing waits. `now` is in seconds that never run backwards; `fits` says how many
        pictures of an area a call may have, one at least.
        """
        places = self._places()
        if not places:
            return []
        newcomer = self._newcomer(places, now)
        first = newcomer or places[0]
        group = self._order.choose(_group(first.job), {_group(place.job) for place in places}, now)
        if newcomer is not None and _group(newcomer.job) != group:
            newcomer = None
        return self._filled(_rows_of(places, group, newcomer, self._alone), places, newcomer, fits)

    def drawn(self, call: Sequence[Row[AnyJob]], now: float) -> None:
        """Note that the call was made. Its first row pays what a call alone costs, the others share what they added to it."""
        for row, price in zip(call, self._prices(call), strict=True):
            self._tasted[row.job.share.member] = now
            if row.job in self._spent:
                self._spent[row.job] += price
                self._sharing.change(row.job, price - row.alone)
        self._sharing.pass_time(self._seconds(call))

    # What a call costs.

    def _seconds(self, call: Sequence[Row[AnyJob]]) -> float:
        return self._alone(call[0].picture, sum(row.rows for row in call))

    def _alone(self, picture: Picture, rows: int) -> float:
        return self.curve.seconds(self._padded(rows) / 2 * picture.area / self._area)

    def _left(self, job: AnyJob) -> float:
        """Returns the seconds that the job would still take in calls of its own, one picture after another."""
        return sum(picture.steps_left(rows) * self._alone(picture, rows) for picture in job.pictures for rows in ROWS)

    def _prices(self, call: Sequence[Row[AnyJob]]) -> list[float]:
        first = call[0].alone
        if len(call) == 1:
            return [first]
        return [first] + [(self._seconds(call) - first) / (len(call) - 1)] * (len(call) - 1)

    # Who is next.

    def _places(self) -> list[_Place[AnyJob]]:
        places: list[_Place[AnyJob]] = []
        ranks: dict[int, int] = {}
        left = 0.0
        for standing in self._sharing.standings():
            need = self._left(standing.job)
            if need > NOTHING:
                left += need
                rank = ranks.setdefault(standing.job.share.member, len(ranks))
                places.append(_Place(job=standing.job, rank=rank, slack=standing.engine_seconds - left))
        return places

    def _newcomer(self, places: Sequence[_Place[AnyJob]], now: float) -> _Place[AnyJob] | None:
        """Returns the job whose first step comes out of turn: none before it may end more than that step late for it."""
        self._tasted = {member: at for member, at in self._tasted.items() if now - at < NEWCOMER_SECONDS}
        for place in places:
            if place.job.share.member not in self._tasted and not any(picture.begun for picture in place.job.pictures):
                return place
            if place.slack < -NOTHING:
                break
        return None

    def _filled(
        self,
        rows: Sequence[Row[AnyJob]],
        places: Sequence[_Place[AnyJob]],
        newcomer: _Place[AnyJob] | None,
        fits: Callable[[int], int],
    ) -> list[Row[AnyJob]]:
        """Returns as many of `rows` as save the members' ends the most time in total.

        A longer call delays everybody, and each row spares its step to its member and to those behind. Behind the last one, as
        many future members are counted as wait now: while many wait, more keep coming.
        """
        ranks = {place.job: place.rank for place in places}
        members = 2 * len(set(ranks.values()))
        best, least, spared = 1, 0.0, 0.0
        for count in range(1, min(len(rows), fits(rows[0].picture.area)) + 1):
            row = rows[count - 1]
            spared += row.alone * (members - ranks[row.job])
            delay = members * self._seconds(rows[:count]) - spared
            if count == 1:
                least = delay
            elif delay < least - NOTHING and self._harms_nobody(rows[:count], places, newcomer):
                best, least = count, delay
        return list(rows[:best])

    def _harms_nobody(
        self, call: Sequence[Row[AnyJob]], places: Sequence[_Place[AnyJob]], newcomer: _Place[AnyJob] | None
    ) -> bool:
        """Returns whether everybody still ends in time although the rows behind them are drawn now."""
        prices: dict[AnyJob, float] = {}
        for row, price in zip(call, self._prices(call), strict=True):
            prices[row.job] = prices.get(row.job, 0.0) + price
        behind = sum(prices.values())
        for place in places:
            behind -= prices.get(place.job, 0.0)
            out_of_turn = call[0].alone if newcomer is not None else 0.0
            if behind > max(0.0, place.slack) + out_of_turn + NOTHING:
                return False
            if newcomer is not None and place.job is newcomer.job:
                newcomer = None
        return True


def _group(job: Job) -> Hashable:
    return next(picture.group for picture in job.pictures if not picture.done)


def _rows_of(
    places: Sequence[_Place[AnyJob]],
    group: Hashable,
    newcomer: _Place[AnyJob] | None,
    alone: Callable[[Picture, int], float],
) -> list[Row[AnyJob]]:
    """Returns the candidate rows for a call of that group: the newcomer's first, then in order."""
    ordered = sorted(places, key=lambda place: place is not newcomer) if newcomer is not None else places
    return [
        Row(job=place.job, index=index, picture=picture, rows=picture.rows, alone=alone(picture, picture.rows))
        for place in ordered
        for index, picture in enumerate(place.job.pictures)
        if not picture.done and picture.group == group
    ]
