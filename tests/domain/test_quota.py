"""What a request costs, and whether a member can pay it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.quota import (
    UNLIMITED,
    Limits,
    Payment,
    Usage,
    day_of,
    in_credits,
    left_today,
    pay,
    price,
    renews_at,
)
from bot.domain.request import InitImage
from bot.errors import QuotaError
from tests.examples import request

NOW = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
MIDNIGHT = int(datetime(2026, 11, 25, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("wish", "credits"),
    [
        ({"width": 1024, "height": 1024, "num_inference_steps": 28}, 1),
        ({"width": 1024, "height": 1024, "num_inference_steps": 29}, 2),
        ({"width": 1024, "height": 1024, "num_inference_steps": 28, "num_images": 3}, 3),
        ({"width": 1024, "height": 1024, "num_inference_steps": 56, "num_images": 4}, 8),
        ({"width": 1024, "height": 1032, "num_inference_steps": 28}, 2),
        ({"width": 512, "height": 512, "num_inference_steps": 28, "num_images": 4}, 1),
        ({"width": 8, "height": 8, "num_inference_steps": 1}, 1),
    ],
)
def test_the_price_is_pictures_times_pixels_times_steps_rounded_up(wish: dict[str, int], credits: int) -> None:
    assert price(request(**wish)) == credits


def test_a_picture_drawn_over_another_costs_what_its_steps_cost() -> None:
    over = request(width=1536, height=1536, num_inference_steps=28, init_image=InitImage(key="x", strength=0.25))

    assert over.steps_run == 7
    assert price(over) == price(request(width=1536, height=1536, num_inference_steps=7)) == 1
    assert price(request(width=1536, height=1536, num_inference_steps=28)) == 3


@given(st.integers(1, 4), st.integers(1, 60), st.integers(1, 256), st.integers(1, 256))
def test_the_price_is_exact(images: int, steps: int, columns: int, rows: int) -> None:
    wish = request(num_images=images, num_inference_steps=steps, width=8 * columns, height=8 * rows)

    whole = 28 * 1024 * 1024
    work = images * steps * 64 * columns * rows
    assert (price(wish) - 1) * whole < work <= price(wish) * whole


def test_a_day_begins_at_midnight_utc_wherever_the_clock_stands() -> None:
    tokyo = timezone(timedelta(hours=9))
    first = datetime(1970, 1, 1, tzinfo=UTC)

    assert day_of(first) == 0
    assert day_of(first + timedelta(hours=24, microseconds=-1)) == 0
    assert day_of(first + timedelta(hours=24)) == 1
    assert day_of(NOW.astimezone(tokyo)) == day_of(NOW)
    assert renews_at(NOW) == renews_at(NOW.astimezone(tokyo)) == datetime(2026, 11, 25, tzinfo=UTC)
    assert renews_at(renews_at(NOW)) == datetime(2026, 11, 26, tzinfo=UTC)


def test_without_limits_everything_is_paid_from_the_day_and_nothing_from_grants() -> None:
    assert pay(9, UNLIMITED, Usage(spent=99, granted=5, everywhere=500, waiting=70), now=NOW) == Payment(daily=9, granted=0)


@pytest.mark.parametrize(
    ("cost", "usage", "payment"),
    [
        (3, Usage(), (3, 0)),
        (3, Usage(spent=4, reserved=3), (3, 0)),
        (3, Usage(spent=4, reserved=4, granted=1), (2, 1)),
        (3, Usage(spent=10, granted=3), (0, 3)),
        (3, Usage(spent=12, granted=3), (0, 3)),  # the allowance was lowered during the day
        (13, Usage(granted=3), (10, 3)),
    ],
)
def test_the_days_allowance_is_used_before_grants(cost: int, usage: Usage, payment: tuple[int, int]) -> None:
    assert pay(cost, Limits(daily_credits=10), usage, now=NOW) == Payment(daily=payment[0], granted=payment[1])


@pytest.mark.parametrize(
    ("cost", "limits", "usage", "said"),
    [
        (
            4,
            {"daily_credits": 10},
            Usage(spent=5, reserved=2),
            f"This costs 4 credits and you have 3 left today. You'll have 10 again <t:{MIDNIGHT}:R>.",
        ),
        (
            4,
            {"daily_credits": 10},
            Usage(spent=9, granted=2),
            "This costs 4 credits and you have 1 left today, plus 2 that were granted to you. "
            f"You'll have 10 again <t:{MIDNIGHT}:R>.",
        ),
        (
            1,
            {"daily_credits": 0},
            Usage(),
            f"This costs 1 credit and you have 0 left today. You'll have 0 again <t:{MIDNIGHT}:R>.",
        ),
        (
            2,
            {"operator_credits": 20},
            Usage(everywhere=19),
            f"This costs 2 credits, and you have 1 left today in all servers together. You'll have 20 again <t:{MIDNIGHT}:R>.",
        ),
        (
            2,
            {"operator_credits": 20, "daily_credits": 5},
            Usage(everywhere=25, granted=7),
            f"you have 0 left today in all servers together. You'll have 20 again <t:{MIDNIGHT}:R>.",
        ),
        (1, {"waiting_jobs": 3}, Usage(waiting=3), "You already have 3 requests in the queue, and 3 is the most allowed here."),
        (
            1,
            {"waiting_jobs": 1, "daily_credits": 0},
            Usage(waiting=4),
            "already have 4 requests in the queue, and 1 is",
        ),
    ],
)
def test_a_refusal_says_the_price_what_is_left_and_when_it_renews(
    cost: int, limits: dict[str, Any], usage: Usage, said: str
) -> None:
    with pytest.raises(QuotaError) as refused:
        pay(cost, Limits(**limits), usage, now=NOW)

    assert said in str(refused.value)


def test_a_refusal_says_what_would_help() -> None:
    with pytest.raises(QuotaError, match=r"Fewer pictures, a smaller size or fewer steps cost less\.$"):
        pay(2, Limits(daily_credits=1), Usage(), now=NOW)
    with pytest.raises(QuotaError, match=r"Wait for one to finish, or cancel one with `/queue show`\.$"):
        pay(1, Limits(waiting_jobs=0), Usage(), now=NOW)


@pytest.mark.parametrize(
    "limits",
    [{"daily_credits": 5}, {"operator_credits": 5}, {"waiting_jobs": 5}],
)
def test_a_limit_may_be_used_up_to_its_last_unit(limits: dict[str, Any]) -> None:
    assert pay(1, Limits(**limits), Usage(spent=4, everywhere=4, waiting=4), now=NOW) == Payment(daily=1, granted=0)
    with pytest.raises(QuotaError):
        pay(1, Limits(**limits), Usage(spent=5, everywhere=5, waiting=5), now=NOW)


def test_what_is_left_today_is_never_below_nothing() -> None:
    assert left_today(UNLIMITED, Usage(spent=5)) is None
    assert left_today(Limits(daily_credits=5), Usage(spent=2, reserved=1)) == 2
    assert left_today(Limits(daily_credits=5), Usage(spent=9)) == 0


def test_amounts_are_said_with_their_unit() -> None:
    assert [str(in_credits(amount)) for amount in (0, 1, 2, 12_345)] == ["0 credits", "1 credit", "2 credits", "12,345 credits"]


amounts = st.integers(0, 30)


@given(
    cost=st.integers(1, 40),
    limits=st.builds(
        Limits, daily_credits=st.none() | amounts, operator_credits=st.none() | amounts, waiting_jobs=st.none() | amounts
    ),
    usage=st.builds(Usage, spent=amounts, reserved=amounts, granted=amounts, everywhere=amounts, waiting=st.integers(0, 30)),
)
def test_no_payment_goes_beyond_any_limit(cost: int, limits: Limits, usage: Usage) -> None:
    try:
        paid = pay(cost, limits, usage, now=NOW)
    except QuotaError:
        return
    assert paid.daily >= 0
    assert 0 <= paid.granted <= usage.granted
    assert paid.daily + paid.granted == cost
    if limits.daily_credits is not None and paid.daily:
        assert usage.spent + usage.reserved + paid.daily <= limits.daily_credits
    if limits.operator_credits is not None:
        assert usage.everywhere + cost <= limits.operator_credits
    if limits.waiting_jobs is not None:
        assert usage.waiting + 1 <= limits.waiting_jobs
