import statistics
from itertools import pairwise

import pytest

from bot.bench.options import BenchOptions, parse_members
from bot.bench.workload import Plan, Workload, plan, poisson_arrivals
from bot.domain.profile import ImageSize, Licence, ModelProfile, ModelSource
from bot.errors import InvalidRequestError
from tests.bench.sleeping_contestants import WORKLOAD


def test_arrivals_have_the_mean_that_was_asked_for_and_the_spread_of_chance():
    arrivals = poisson_arrivals(4.0, 20_000, seed=1)

    gaps = [later - earlier for earlier, later in pairwise((0.0, *arrivals))]
    assert statistics.fmean(gaps) == pytest.approx(0.25, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.25, rel=0.03)  # as large as the mean: exponential


def test_arrivals_are_the_same_for_the_same_seed_only():
    assert poisson_arrivals(1.0, 5, seed=1) == poisson_arrivals(1.0, 5, seed=1)
    assert poisson_arrivals(1.0, 5, seed=1) != poisson_arrivals(1.0, 5, seed=2)


def test_each_block_of_requests_has_every_step_count_once():
    requests = WORKLOAD.requests(6, seed=3)

    steps = [request.num_inference_steps for request in requests]
    assert sorted(steps[:3]) == sorted(steps[3:]) == [7, 10, 18]


def test_no_two_requests_of_a_round_are_equal():
    requests = WORKLOAD.requests(60, seed=3)

    assert len({request.prompt for request in requests}) == 60
    assert len({request.seed for request in requests}) == 60


def test_a_mixture_of_steps_stays_within_what_members_may_ask_for():
    profile = ModelProfile(
        name="x",
        title="X",
        family="sdxl",
        source=ModelSource(),
        licence=Licence(name="MIT"),
        num_inference_steps=50,
        guidance_scale=7.0,
        sizes=(ImageSize(name="square", width=64, height=64),),
        default_size="square",
    )

    assert Workload.mixed(profile, 50).steps == (50, 35, 60)
    assert Workload.mixed(profile, 1).steps == (1, 1, 2)


@pytest.mark.parametrize(
    ("pictures", "least", "planned"),
    [
        (30, 3, Plan(rounds=5, requests=6)),
        (10, 3, Plan(rounds=3, requests=3)),
        (10, 16, Plan(rounds=1, requests=16)),
        (0.1, 3, Plan(rounds=1, requests=3)),
    ],
)
def test_a_plan_has_as_many_rounds_as_the_time_allows_and_never_too_few_requests(pictures, least, planned):
    assert plan(pictures, least=least, most_rounds=5) == planned


def test_members_are_read_in_order_and_once():
    assert parse_members("16, 1,4,4") == (1, 4, 16)


@pytest.mark.parametrize("text", ["", "0", "65", "a", "1,,2"])
def test_wrong_members_are_refused_with_a_sentence(text):
    with pytest.raises(InvalidRequestError, match="--members"):
        parse_members(text)


def test_a_quick_look_is_shorter_in_everything_and_keeps_what_was_asked_for():
    quick = BenchOptions(steps=20, members=(1, 4, 16)).quick()

    assert quick.steps == 20
    assert quick.members == (1, 4)
    assert quick.seconds < BenchOptions().seconds
    assert quick.is_quick
