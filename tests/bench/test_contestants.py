"""Who is drawn with whom."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from PIL import Image

from bot.bench.contestants import BatchedContestant, EngineContestant, StockContestant
from bot.domain.image import GenerationResult
from bot.domain.request import GenerationRequest
from tests.bench.sleeping_contestants import WORKLOAD


class Easel:
    """Notes which step counts it was given together."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def draw(self, requests):
        self.calls.append([request.num_inference_steps for request in requests])
        return [Image.new("RGB", (8, 8)) for _ in requests]


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def requests_of(*steps: int) -> list[GenerationRequest]:
    requests = WORKLOAD.requests(len(steps), seed=0)
    return [replace(request, num_inference_steps=count) for request, count in zip(requests, steps, strict=True)]


async def serve_all(lane, requests):
    await asyncio.gather(*(lane.serve(request, lambda _: None) for request in requests))


async def test_stock_draws_one_after_another_in_the_order_of_arrival(thread):
    easel = Easel()

    await serve_all(StockContestant(easel.draw, thread), requests_of(18, 7, 10, 7))

    assert easel.calls == [[18], [7], [10], [7]]


async def test_a_static_batch_takes_the_oldest_request_and_all_with_as_many_steps(thread):
    easel = Easel()

    await serve_all(BatchedContestant(easel.draw, thread, most=8), requests_of(18, 7, 18, 10, 7, 18))

    assert easel.calls == [[18, 18, 18], [7, 7], [10]]


async def test_a_static_batch_holds_no_more_than_it_may(thread):
    easel = Easel()

    await serve_all(BatchedContestant(easel.draw, thread, most=2), requests_of(7, 7, 7, 7, 7))

    assert easel.calls == [[7, 7], [7, 7], [7]]


async def test_the_engine_never_has_more_requests_than_its_capacity():
    class Generator:
        capacity, ready, now, most = 2, True, 0, 0

        async def load(self):
            pass

        async def close(self):
            pass

        async def generate(self, request, *, init_image, share, on_progress):
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            self.now -= 1
            return GenerationResult(images=(), seconds=0)

    generator = Generator()
    await serve_all(EngineContestant(generator), requests_of(7, 7, 7, 7, 7))

    assert generator.most == 2
