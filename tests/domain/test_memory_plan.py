"""The plan of a GPU's memory, as arithmetic on parts of the test's own."""

import pytest

from bot.domain.memory_plan import Form, Part, Phase, plan_memory

WEIGHTS = Part(name="weights", forms=(Form("16 bit", 50), Form("8 bit", 25)), turn=3)
STYLES = Part(name="styles", forms=(Form("merged", 10), Form("none")), turn=3)
COPIES = Part(name="copies", forms=(Form("gpu", 40), Form("cpu")), turn=1, is_cheap=True)
STEP = Part(name="step", forms=(Form("", 0, 5),), phase=Phase.STEP)
DECODING = Part(name="decoding", forms=(Form("at once", 30), Form("in tiles", 6)), phase=Phase.DECODING, turn=2)
PARTS = (WEIGHTS, STYLES, COPIES, STEP, DECODING)


@pytest.mark.parametrize(
    ("memory", "cap", "gave_way"),
    [
        (180, 16, ()),
        (130, 6, ()),
        (119, 11, ("copies",)),  # with the copies three pictures were possible; without them, decoding is the most
        (89, 5, ("copies", "decoding")),
        (66, 1, ("copies", "decoding")),
        (65, 8, ("copies", "decoding", "weights", "styles")),
    ],
)
def test_the_fewest_parts_give_way_and_the_cheap_ones_first(memory, cap, gave_way):
    plan = plan_memory(memory, PARTS)

    assert (plan.cap, plan.gave_way, plan.fits) == (cap, gave_way, True)
    assert plan.in_use <= memory


def test_what_is_decoded_and_what_is_stepped_never_lie_in_memory_together():
    plan = plan_memory(130, PARTS)

    assert plan.in_use == 50 + 10 + 40 + max(6 * 5, 30)


def test_parts_of_one_turn_give_way_together():
    plan = plan_memory(40, PARTS)

    assert (plan.form("weights"), plan.form("styles")) == ("8 bit", "none")
    assert plan.form("another") is None


def test_where_nothing_helps_the_plan_says_what_would_be_needed():
    plan = plan_memory(10, PARTS)

    assert not plan.fits
    assert (plan.cap, plan.in_use) == (1, 25 + 6)


def test_a_part_that_is_added_takes_its_room():
    upscaler = Part(name="upscaler", forms=(Form("gpu", 20),))

    assert plan_memory(130, (*PARTS, upscaler)).gave_way == ("copies",)
