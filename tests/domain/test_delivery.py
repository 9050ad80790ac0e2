"""Waiting times of delivery, and what a request costs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.delivery import MAX_BACKOFF, backoff
from bot.domain.quota import price
from tests.examples import request


def test_waiting_doubles_up_to_a_minute() -> None:
    assert [backoff(n, 0.5).total_seconds() for n in range(8)] == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])


@given(attempts=st.integers(0, 10_000), jitter=st.floats(0, 1))
def test_waiting_stays_within_a_tenth_of_its_mean(attempts: int, jitter: float) -> None:
    assert 0.9 * backoff(attempts, 0.5) <= backoff(attempts, jitter) + timedelta(microseconds=1)
    assert backoff(attempts, jitter) <= 1.1 * MAX_BACKOFF


@pytest.mark.parametrize(
    ("images", "steps", "side", "credits"),
    [(1, 1, 64, 1), (1, 28, 1024, 1), (1, 29, 1024, 2), (4, 28, 1024, 4), (4, 60, 1024, 9)],
)
def test_a_credit_is_one_picture_of_a_megapixel_and_28_steps(images: int, steps: int, side: int, credits: int) -> None:
    assert price(request(num_images=images, num_inference_steps=steps, width=side, height=side)) == credits


@given(images=st.integers(1, 3), steps=st.integers(1, 59))
def test_more_work_never_costs_less(images: int, steps: int) -> None:
    small = price(request(num_images=images, num_inference_steps=steps))
    assert 1 <= small <= price(request(num_images=images + 1, num_inference_steps=steps + 1))
