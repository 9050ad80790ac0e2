"""Scenarios over lanes that only sleep, in virtual time, where every figure is known beforehand."""

import asyncio

import pytest

from bot.bench.cancelling import measure_cancellation
from bot.bench.scenarios import measure_latency, measure_throughput
from bot.bench.serving import closed_loop, open_loop
from bot.bench.workload import Plan
from tests.bench.sleeping_contestants import WORKLOAD, SleepingLane, contest_of
from tests.bench.virtual_time import run_in_virtual_time


async def throughput_of(*lanes: SleepingLane, members: int = 2):
    plan = Plan(rounds=3, requests=6)
    return await measure_throughput(contest_of(*lanes), WORKLOAD, plan, members=members, flops_of=lambda _: 50)


def test_an_engine_that_was_made_slow_shows_a_worse_ratio():
    async def measured():
        return await throughput_of(SleepingLane("stock", 0.1), SleepingLane("engine", 0.2))

    throughput = run_in_virtual_time(measured())

    assert throughput.rate("stock") == pytest.approx(6 / (70 * 0.1))
    assert throughput.ratio("stock") == 1.0
    assert throughput.ratio("engine") == pytest.approx(0.5)


def test_every_lane_serves_the_same_requests_and_all_are_counted():
    async def measured():
        lanes = SleepingLane("stock", 0.1), SleepingLane("engine", 0.2)
        return await throughput_of(*lanes), lanes

    throughput, (stock, engine) = run_in_virtual_time(measured())

    assert throughput.requests == 18
    assert throughput.flops == 50
    assert [len(rates) for rates in throughput.rates.values()] == [3, 3]
    assert {request.seed for request in stock.served} == {request.seed for request in engine.served}
    assert len(stock.served) == len(engine.served) == 18


def test_in_each_round_every_lane_has_its_turn_and_another_one_begins():
    order: list[str] = []

    async def measured():
        await throughput_of(*(SleepingLane(name, 0.1, order) for name in "ABC"))

    run_in_virtual_time(measured())

    rounds = [order[start : start + 18] for start in (0, 18, 36)]
    assert [list(dict.fromkeys(one)) for one in rounds] == [["A", "B", "C"], ["B", "C", "A"], ["C", "A", "B"]]


def test_in_a_closed_loop_a_member_asks_anew_only_when_served():
    async def measured():
        return await closed_loop(SleepingLane("stock", 0.1), WORKLOAD.requests(6, seed=0), members=1)

    run = run_in_virtual_time(measured())

    assert sorted(run.latencies) == pytest.approx(sorted([0.1 * steps for steps in (7, 10, 18)] * 2))
    assert run.preview_latencies == pytest.approx([0.2] * 6)  # after the second step


def test_in_an_open_loop_members_come_whatever_the_others_do():
    async def measured():
        requests = WORKLOAD.requests(3, seed=0)
        return requests, await open_loop(SleepingLane("stock", 0.1), requests, (1.0, 1.0, 100.0))

    requests, run = run_in_virtual_time(measured())

    first, second, third = (0.1 * request.num_inference_steps for request in requests)
    assert run.latencies == pytest.approx([first, first + second, third])
    assert run.seconds == pytest.approx(100 + third)


def test_the_nearer_the_load_comes_to_the_capacity_the_longer_members_wait():
    async def measured(load: float):
        lane = SleepingLane("stock", 0.1)
        plan = Plan(rounds=1, requests=400)
        return await measure_latency(contest_of(lane), WORKLOAD, plan, load=load, capacity=3 / 3.5)

    calm, busy = (run_in_virtual_time(measured(load)) for load in (0.5, 0.95))

    assert calm.rate == pytest.approx(0.5 * 3 / 3.5)
    assert len(calm.latencies["stock"]) == calm.requests == 400
    assert sum(busy.latencies["stock"]) > 2 * sum(calm.latencies["stock"])


def test_a_cancel_is_counted_in_steps_of_the_request_that_was_cancelled():
    class Stubborn(SleepingLane):
        """Lets go of a cancelled request after another three steps."""

        async def serve(self, request, on_progress):
            try:
                await super().serve(request, on_progress)
            except asyncio.CancelledError:
                await asyncio.sleep(0.3)
                raise

    async def measured():
        return await measure_cancellation(Stubborn("engine", 0.1), WORKLOAD, cancels=2, company=0)

    cancellation = run_in_virtual_time(measured())

    assert cancellation.seconds == pytest.approx((0.3, 0.3))
    assert cancellation.steps == pytest.approx((3.0, 3.0))


def test_a_fault_of_the_lane_ends_the_scenario():
    class Broken(SleepingLane):
        async def serve(self, request, on_progress):
            raise RuntimeError("the lane is broken")

    with pytest.raises(ExceptionGroup, match="unhandled"):
        run_in_virtual_time(closed_loop(Broken("engine", 0.1), WORKLOAD.requests(3, seed=0), members=2))
