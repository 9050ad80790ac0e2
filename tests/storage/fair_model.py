"""Fair queueing as the papers define it, in plain Python: every job's tags follow from when it came."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Flow:
    """A job in the model; `came` is the virtual time of its arrival, or of its server's return from a pause."""

    job_id: str
    user_id: int
    guild_id: int | None
    work: float
    weight: float
    came: float
    state: str = "waiting"  # then running, back (put back) or gone
    drawn: bool = False
    suspect: bool = False
    start: float = 0.0
    finish: float = 0.0

    @property
    def cost(self) -> float:
        return self.work / self.weight


@dataclass
class FairModel:
    """Which job is next. The names of the methods are those of the repository."""

    virtual_time: float = 0.0
    busy_until: float = 0.0
    paused: set[int] = field(default_factory=set)
    flows: dict[str, Flow] = field(default_factory=dict)

    def line(self) -> list[Flow]:
        """Who may be claimed, in order."""
        self._tag()
        open_flows = [flow for flow in self.flows.values() if flow.state in {"waiting", "back"} and not self._stopped(flow)]
        return sorted(open_flows, key=lambda flow: flow.finish)  # stable: the order of arrival among equals

    def add(self, job_id: str, user_id: int, guild_id: int | None, work: float, weight: float) -> None:
        self._end_idle_time()
        self.flows[job_id] = Flow(job_id, user_id, guild_id, work, weight, self.virtual_time)

    def claim(self, batch: int) -> str | None:
        """Suspects come before all others, and run alone. Then who has no place comes first; who has one gets another only
        where nobody else waits and a call has room.
        """
        line, running = self.line(), self.running()
        suspects = [flow for flow in line if flow.suspect]
        if any(flow.suspect for flow in running) or (suspects and running):
            return None
        placed = {flow.user_id for flow in running}
        waiting = [flow for flow in line if flow.user_id not in placed] or (line if len(running) < batch else [])
        if not waiting:
            return None
        flow = (suspects or waiting)[0]
        flow.state = "running"
        self.busy_until = max(self.busy_until, flow.finish)
        return flow.job_id

    def running(self) -> list[Flow]:
        return [flow for flow in self.flows.values() if flow.state == "running"]

    def put_back(self, job_id: str) -> None:
        self.flows[job_id].state = "back"

    def end(self, job_id: str, *, finished: bool) -> None:
        """It was finished, or failed or cancelled."""
        flow = self.flows[job_id]
        if finished:
            weights: dict[int, float] = {}
            for other in self.running():
                weights[other.user_id] = max(other.weight, weights.get(other.user_id, 0.0))
            ends = [other.finish for other in (*self.line(), *self.running()) if other is not flow]
            reached = self.virtual_time + flow.work / sum(weights.values())
            self.virtual_time = max(self.virtual_time, min([reached, *ends]))
            self.busy_until = max(self.busy_until, self.virtual_time)
        flow.drawn = flow.state == "running"
        flow.state = "gone"

    def pause(self, guild_id: int) -> None:
        self.paused.add(guild_id)

    def resume(self, guild_id: int) -> None:
        self._end_idle_time()
        self.paused.discard(guild_id)
        for flow in self.flows.values():
            if flow.guild_id == guild_id and flow.state == "waiting":
                flow.came = self.virtual_time

    def ahead(self, job_id: str) -> int | None:
        """How many end before a job; None where its server is paused."""
        line = self.line()
        if self.flows[job_id] not in line:
            return None
        order = list(self.flows)
        mine = (self.flows[job_id].finish, order.index(job_id))
        return sum((flow.finish, order.index(flow.job_id)) < mine for flow in (*line, *self.running()))

    def _tag(self) -> None:
        """Start when it came, or when the member's job before it ends; what was claimed keeps its tags."""
        for user_id in {flow.user_id for flow in self.flows.values()}:
            mine = [flow for flow in self.flows.values() if flow.user_id == user_id]
            last = max((flow.finish for flow in mine if flow.state in {"running", "back"} or flow.drawn), default=0.0)
            for flow in mine:
                if flow.state == "waiting" and not self._stopped(flow):
                    flow.start = max(flow.came, last)
                    flow.finish = last = flow.start + flow.cost

    def _end_idle_time(self) -> None:
        if not self.line() and all(flow.state != "running" for flow in self.flows.values()):
            self.virtual_time = self.busy_until

    def _stopped(self, flow: Flow) -> bool:
        return flow.guild_id in self.paused
