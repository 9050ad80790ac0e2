"""Previews: judged before they are shown, the newest only, one at a time, and within their share of the drawing time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from typing import Any

import pytest
import torch
from PIL import Image

from bot.domain.safety import Rating
from bot.inference.classifier.classifier import TransformersClassifier
from bot.inference.engine.previews import SAVED, SHARE, PreviewBudget, Previews, nobody_judges
from bot.inference.session import ModelSession
from tests.inference.conftest import make_request
from tests.inference.engines import Bench, FreePreviews, Ticket, open_tiny_session
from tests.inference.tiny_vit import profile_of


@pytest.fixture(scope="module")
def session(models) -> Iterator[ModelSession]:
    session = open_tiny_session(models)
    yield session
    session.close(RuntimeError("the test is over"))


@pytest.fixture(autouse=True)
def at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inference.engine.active_request.PREVIEW_SECONDS", 0.0)


class Later(Executor):
    """Keeps what is submitted until it is asked to do it."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.waiting.append(lambda: fn(*args, **kwargs))
        return Future()

    def work(self) -> None:
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one()


def shown(ticket: Ticket) -> list[tuple[int, Rating | None]]:
    return [(report.step, report.rating) for report in ticket.reports if report.preview is not None]


def test_a_model_with_a_classifier_shows_previews_from_the_thirtieth_percent_on_each_with_its_rating(
    session: ModelSession,
) -> None:
    seen: list[Image.Image] = []

    def judge(image: Image.Image) -> Rating:
        seen.append(image)
        return Rating.SENSITIVE if len(seen) == 2 else Rating.GENERAL

    bench = Bench(session, batch=1, judge=judge)
    ticket = bench.admit(make_request(num_inference_steps=10))
    bench.run()

    general, sensitive = Rating.GENERAL, Rating.SENSITIVE
    assert shown(ticket) == [(3, general), (4, sensitive), *[(step, general) for step in range(5, 10)]]
    assert {max(image.size) for image in seen} == {384}


def test_one_without_shows_them_after_two_steps_and_unrated(session: ModelSession) -> None:
    bench = Bench(session, batch=1)
    ticket = bench.admit(make_request(num_inference_steps=10))
    bench.run()

    assert shown(ticket)[0] == (2, None)


@pytest.mark.parametrize("judge", [nobody_judges, pytest.param(None, id="broken")])
def test_what_cannot_be_judged_is_not_shown_and_harms_nothing(session: ModelSession, judge: Any) -> None:
    def broken(_: Image.Image) -> Rating:
        raise ValueError("the classifier answered with numbers that are no probabilities")

    bench = Bench(session, batch=1, judge=judge or broken)
    ticket = bench.admit(make_request(num_inference_steps=10))
    bench.run()

    assert shown(ticket) == []
    assert ticket.result is not None


def test_of_a_drawing_only_the_newest_look_is_made_and_drawings_have_their_turn(session: ModelSession) -> None:
    bench, thread = Bench(session, batch=2), Later()
    bench.engine._previews = Previews(session.model.preview, None, torch.device("cpu"), thread)
    one, other = (bench.admit(make_request(num_inference_steps=8, seed=seed)) for seed in (1, 2))
    for _ in range(5):
        bench.engine.turn()
    assert len(thread.waiting) == 2

    thread.work()

    assert [len(shown(ticket)) for ticket in (one, other)] == [1, 1]
    bench.run()


def test_a_drawing_that_has_ended_gets_no_preview_any_more(session: ModelSession) -> None:
    bench, thread = Bench(session, batch=1), Later()
    bench.engine._previews = Previews(session.model.preview, None, torch.device("cpu"), thread)
    ticket = bench.admit(make_request(num_inference_steps=4))
    bench.run()

    thread.work()

    assert ticket.result is not None
    assert shown(ticket) == []


def test_of_several_pictures_the_one_that_is_drawn_is_shown(session: ModelSession) -> None:
    bench = Bench(session, batch=1)
    ticket = bench.admit(make_request(num_inference_steps=6, num_images=2))
    bench.run()

    assert {step > 6 for step, _ in shown(ticket)} == {True, False}


def test_previews_cost_at_most_their_share_while_others_wait() -> None:
    budget, made = PreviewBudget(), 0
    for _ in range(1000):
        budget.drew(0.1)
        if budget.take(others_wait=True, first=True):
            made += 1
            budget.took(0.2)

    assert made * 0.2 <= SHARE * 100 + 0.2 * (1 + SAVED)
    assert made >= 10


def test_while_nobody_waits_they_go_on_and_are_not_held_against_anybody_later() -> None:
    budget = PreviewBudget()
    assert all(budget.take(others_wait=False, first=True) for _ in range(5))
    budget.took(0.2)
    assert all(budget.take(others_wait=False, first=True) for _ in range(50))
    assert not budget.take(others_wait=True, first=True)

    budget.drew(0.2 / SHARE + 0.001)

    assert budget.take(others_wait=True, first=True)
    assert not budget.take(others_wait=True, first=True)


def test_the_first_preview_of_a_drawing_goes_before_the_next_of_another() -> None:
    budget = PreviewBudget()
    budget.took(0.2)
    budget.drew(0.3 / SHARE)

    assert not budget.take(others_wait=True, first=False)
    assert budget.take(others_wait=True, first=True)


def test_a_quiet_time_saves_up_a_few_previews_only() -> None:
    budget = PreviewBudget()
    budget.took(0.2)
    budget.drew(3600.0)

    assert [budget.take(others_wait=True, first=True) for _ in range(SAVED + 1)] == [True] * SAVED + [False]


def test_in_company_an_expensive_judge_pauses_and_alone_it_does_not(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def judge(_: Image.Image) -> Rating:
        now[0] += 100.0
        return Rating.GENERAL

    monkeypatch.setattr(FreePreviews, "_clock", lambda self: now[0])
    bench = Bench(session, batch=2, judge=judge)
    alone = bench.admit(make_request(num_inference_steps=10))
    bench.run()
    assert len(shown(alone)) == 7

    crowd = [bench.admit(make_request(num_inference_steps=10, seed=seed)) for seed in (1, 2)]
    bench.run()

    assert [shown(ticket) for ticket in crowd] == [[], []]


async def test_the_bots_own_classifier_judges_on_the_preview_thread(session: ModelSession, vit) -> None:
    classifier = TransformersClassifier(profile_of(vit), device="cpu")
    image = Image.new("RGB", (384, 384), "teal")
    assert classifier.judge(image) is None, "nothing is loaded yet"
    await classifier.load()
    ratings: list[Any] = []
    judging = threading.Thread(target=lambda: ratings.append(classifier.judge(image)))
    judging.start()
    judging.join()
    await classifier.close()

    assert isinstance(ratings[0], Rating)
    assert classifier.judge(image) is None


def test_the_threads_niceness_is_its_own(session: ModelSession) -> None:
    import os
    import sys

    if sys.platform != "linux":
        pytest.skip("only Linux counts niceness by thread")
    previews = Previews(session.model.preview, None, torch.device("cpu"))
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    theirs = previews._thread.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    previews.close()

    assert theirs == min(19, own + 10)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
