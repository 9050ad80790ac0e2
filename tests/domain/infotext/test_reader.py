"""What stands in other people's pictures: read whatever it is, and ours exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.domain.infotext.lora_tags import LoraTag
from bot.domain.infotext.pairs import read_pairs
from bot.domain.infotext.picture_settings import PictureSettings
from bot.domain.infotext.reader import parse
from bot.domain.infotext.writer import Recipe, parameters_text
from bot.domain.prompt import compose
from bot.domain.request import MAX_ADAPTER_WEIGHT, MAX_PROMPT_LENGTH, MAX_SEED
from tests.examples import PASTEL, PROFILE, request

A1111 = """masterpiece, 1girl, green hair,
beanie, (night:1.2), <lora:pastel-anime-xl:0.8>, city lights
Negative prompt: lowres, bad anatomy,
worst quality
Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1234567890, Size: 832x1216, Model hash: 1449e5b0b9, \
Model: "animagine, xl: 3.1", Lora hashes: "pastel-anime-xl: 0123456789ab, other: cafe", Version: v1.9.4"""
FOUND = PictureSettings(
    prompt="masterpiece, 1girl, green hair,\nbeanie, (night:1.2), city lights",
    negative_prompt="lowres, bad anatomy,\nworst quality",
    steps=28,
    sampler="DPM++ 2M Karras",
    guidance_scale=7.5,
    seed=1234567890,
    size=(832, 1216),
    model="animagine, xl: 3.1",
    loras=(LoraTag(name="pastel-anime-xl", weight=0.8), LoraTag(name="other", weight=None)),
)


def test_a1111s_own_text_is_read_over_all_its_lines():
    assert parse(A1111) == FOUND


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_the_newlines_of_other_systems_are_newlines(newline: str):
    assert parse(A1111.replace("\n", newline)) == FOUND


def test_lines_that_other_programs_write_below_are_no_part_of_it():
    assert parse(f"{A1111}\nTemplate: 1girl, {{a|b}}\nNegative Template: x") == FOUND


def test_unquoted_json_among_the_pairs_hides_nothing_behind_it_and_forges_nothing():
    line = (
        'Steps: 5, Civitai resources: [{"type":"lora","name":"x, Seed: 3"}], Seed: 9, Hires prompt: "a, Size: 1x1", Size: 8x16'
    )
    found = parse(f"1girl\n{line}")

    assert (found.seed, found.size) == (9, (8, 16))


def test_a_text_without_pairs_is_all_prompt():
    assert parse("1girl,\nsunset: red, blue") == PictureSettings(prompt="1girl,\nsunset: red, blue")


def test_pairs_in_another_order_count_where_there_are_three_and_one_is_known():
    assert parse("1girl\nSampler: Euler, Seed: 5, Steps: 9").seed == 5
    assert parse("1girl\nmood: sad, colour: red, place: sea").prompt.endswith("place: sea")


def test_the_pairs_alone_are_no_prompt():
    assert parse("Steps: 9, Seed: 5") == PictureSettings(prompt="", steps=9, seed=5)


def test_a_first_line_that_only_looks_like_the_negative_prompt_is_the_prompt():
    found = parse("Negative prompt: a sign that says so\nNegative prompt: hat\nSteps: 1")

    assert (found.prompt, found.negative_prompt) == ("Negative prompt: a sign that says so", "hat")


@pytest.mark.parametrize(
    ("prompt", "rest", "loras"),
    [
        ("<lora:a:0.5>, 1girl", "1girl", [("a", 0.5)]),
        ("1girl <lora:a:0.5>", "1girl", [("a", 0.5)]),
        ("1girl, <lora:a:0.5>, hat", "1girl, hat", [("a", 0.5)]),
        ("1girl, <lora:a:0.5><lora:b>, hat", "1girl, hat", [("a", 0.5), ("b", 1.0)]),
        ("1girl,, <LORA:a b:1:0.2> hat", "1girl,, hat", [("a b", 1.0)]),
        ("1girl <lora:a:-0.5:0.3>", "1girl", [("a", -0.5)]),
        ("1girl <lora:a:much>", "1girl", [("a", 1.0)]),
        ("1girl <lora:>, <3", "1girl <lora:>, <3", []),
        ("1girl <lora: :0.5>, hat", "1girl, hat", []),
        ("1girl <lora:a:.7>", "1girl", [("a", 0.7)]),
        ("1girl <lora:a:-.5>", "1girl", [("a", -0.5)]),
        ("1girl <lora:a:+0.5e0>", "1girl", [("a", 0.5)]),
        ("1girl <lora:a: 1_0 >", "1girl", [("a", 10.0)]),
        ("1girl <lora:a:nan>", "1girl", [("a", 1.0)]),
        ("1girl <lora:a:1e999>", "1girl", [("a", 1.0)]),
        ("1girl <lora:a:te=0.5:unet=0.7>", "1girl", [("a", 0.7)]),
        ("1girl <lora:a:te=0.5>", "1girl", [("a", 0.5)]),
        ("1girl <lora:a:0.5:lbw=1,0,0,1,1,1,1,1,1,1,1,1,0,0,0,1,1:x=y>", "1girl", [("a", 0.5)]),
        ("1girl <lyco:a:0.7> <locon:b>", "1girl", [("a", 0.7), ("b", 1.0)]),
        ("1girl <lora:sub/dir\\a b.safetensors:0.7>", "1girl", [("sub/dir\\a b.safetensors", 0.7)]),
    ],
)
def test_lora_tags_leave_the_prompt_and_no_comma_behind(prompt: str, rest: str, loras: list[tuple[str, float]]):
    found = parse(f"{prompt}\nSteps: 1")

    assert found.prompt == rest
    assert found.loras == tuple(LoraTag(name=name, weight=weight) for name, weight in loras)


def test_what_is_no_lora_leaves_the_prompt_too_and_is_named():
    found = parse("1girl <hypernet:ink:1>\nNegative prompt: hat, <lora:a:1>\nSteps: 1")

    assert (found.prompt, found.negative_prompt, found.loras) == ("1girl", "hat,", ())
    assert found.unread == ("hypernet ink", "lora a")


@pytest.mark.parametrize(
    "line",
    [
        "Steps: many, CFG scale: warm, Seed: -1, Size: huge",
        "Steps: 1.5, CFG scale: 1e9, Seed: 0x1, Size: 0x0",
        f"Steps: {'9' * 5000}, CFG scale: {'9' * 5000}, Seed: ٣, Size: 99999999x1",
    ],
)
def test_values_that_are_no_numbers_are_left_out(line: str):
    found = parse(f"1girl\nNegative prompt: hat\n{line}")

    assert (found.steps, found.guidance_scale, found.seed, found.size) == (None, None, None, None)


def test_of_a_key_that_comes_twice_the_first_counts():
    assert read_pairs("Seed: 1, seed: 2") == {"seed": "1"}


PAIRS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 832x1216"


@pytest.mark.parametrize(
    "text",
    [
        f"1girl, night.Negative prompt: lowres, hat.{PAIRS}",
        f"1girl, night, Negative prompt: lowres, hat, {PAIRS}",
        f"1girl, night Negative prompt: lowres, hat {PAIRS}",
        f"1girl, nightNegative prompt: lowres, hat{PAIRS}",
        f"1girl, night\nNegative prompt: lowres, hat {PAIRS}",
    ],
)
def test_a_text_that_lost_its_line_breaks_is_cut_where_they_were(text: str):
    found = parse(text)

    assert (found.prompt, found.negative_prompt) == ("1girl, night", "lowres, hat")
    assert (found.steps, found.sampler, found.guidance_scale, found.seed, found.size) == (20, "Euler a", 7, 5, (832, 1216))


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        (f"1girl\n{PAIRS}\nTemplate: cat, Note: dog, Mood: good, Steps: none", 5),
        (f"1girl\n{PAIRS}\nSteps: 3 of a stair", 5),
        (f"1girl\n{PAIRS}, Hires steps: 10\nTemplate: Steps: 3, cat", 5),
        ("1girl\nSampler: Euler, Seed: 5, Steps: 9\nTemplate: 1girl", 5),
        (f"Steps: 3, Seed: 4, climbing\n{PAIRS}", 5),
        (f"1girl, Steps: 3, Seed: 4, Size: 1x1, hat, {PAIRS}", 5),
        ("1girl\nSteps: 20, Hires Steps: 10, Sampler: Euler a, Seed: 5", 5),
    ],
)
def test_the_pairs_are_the_line_that_knows_most_wherever_it_stands(text: str, seed: int):
    assert parse(text).seed == seed


def test_a_quoted_value_goes_over_several_lines_and_forges_nothing():
    lines = '"two\nSteps: 1, Sampler: x, Seed: 2, Size: 1x1\nlines"'
    found = parse(
        f"1girl\nNegative prompt: hat\nSteps: 20, Hires prompt: {lines}, Seed: 5, Size: 8x16, Sampler: a\nTemplate: x"
    )

    assert (found.steps, found.seed, found.size) == (20, 5, (8, 16))
    assert (found.prompt, found.negative_prompt) == ("1girl", "hat")


def test_a_quote_that_never_ends_takes_no_other_line_along():
    assert parse('1girl\nSteps: 20, Note: "oops, Seed: 5\nTemplate: a "b" c').seed == 5


@pytest.mark.parametrize(
    ("pairs", "names"),
    [
        ('Lora hashes: "ink: 0a, far away: 0b"', ["ink", "far away"]),
        ('Hashes: {"model": "00", "lora:ink": "0a"}', ["ink"]),
        ('Civitai resources: [{"type":"lora","weight":0.4,"modelName":"ink"},{"type":"checkpoint","modelName":"x"}]', ["ink"]),
        ("AddNet Module 1: LoRA, AddNet Model 1: ink(0a0b), AddNet Weight A 1: 0.4", ["ink"]),
        ("Civitai resources: [1, null, {}], Hashes: [3], Lora hashes: ,", []),
    ],
)
def test_loras_that_stand_in_the_pairs_alone_are_named(pairs: str, names: list[str]):
    loras = parse(f"1girl\nSteps: 5, Seed: 1, {pairs}, Size: 8x8").loras

    assert [lora.name for lora in loras] == names
    assert {lora.weight for lora in loras} <= {None, 0.4}


@pytest.mark.parametrize("text", ['{"a": 1', '{"prompt": ["x"]}', "{}", '{"nodes": [], "links": []}', '[{"prompt": "x"}]'])
def test_json_that_nobody_understands_is_never_a_prompt(text: str):
    found = parse(text)

    assert (found.prompt, found.is_understood) == ("", False)


@pytest.mark.parametrize("text", ["{1girl}, [[hat]]", "{{hat}}", "[1girl|2girls], hat", '{"a" sign}, hat\nSteps: 4'])
def test_brackets_of_a_prompt_are_no_json(text: str):
    assert parse(text).is_understood
    assert "hat" in parse(text).prompt


@given(st.text())
def test_nothing_makes_it_raise(text: str):
    parse(text)


FRAGMENTS = st.sampled_from(
    [
        "Steps: 4",
        "Negative prompt:",
        "Seed:",
        '"',
        "\\",
        "\n",
        "\r",
        ",",
        ":",
        "[",
        "{",
        "<lora:",
        "a",
        ">",
        " ",
        "Size: 8x8",
        "\ud800",
    ]
)


@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_nothing_made_of_its_own_signs_makes_it_raise(text: str):
    parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 60_000,
        'a: "' * 15_000,
        "a: [" * 15_000,
        "<lora:" * 10_000,
        ",<lora:a>" * 6_000,
        "steps: 1, " * 6_000,
        "Steps: 1, " * 6_000,
        "Steps: 1, Seed: 2, Size: 3x3\n" * 2_000,
        'Seed: "' * 8_000,
        'Seed: "a\n' * 7_000,
        '{"a":' * 12_000,
        "[{" * 30_000,
        "a <lora:b:" * 6_000,
        ", " * 30_000,
        " " * 60_000,
    ],
)
@pytest.mark.timeout(60)  # a second where the work grows with the length, and hours where it grows with its square
def test_a_long_text_takes_no_long_time(text: str):
    for last in (text, f"{text}\nSteps: 1, {text}"):
        parse(last)


WORDS = st.text(st.characters(exclude_characters="<", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
PROMPTS = st.lists(
    WORDS | st.sampled_from([",", ":", '"', "Steps: 3,", "Seed: 4", "Negative prompt: x", "\\"]), min_size=1
).map(" ".join)


@given(
    prompt=PROMPTS,
    negative_prompt=PROMPTS | st.just(""),
    prefix=st.sampled_from(["", "masterpiece, best quality"]),
    default_negative=st.sampled_from(["", "lowres"]),
    seed=st.integers(0, MAX_SEED),
    weight=st.none() | st.integers(1, 150).map(lambda value: value / 100),
    guidance=st.integers(10, 200).map(lambda value: value / 10),
)
def test_what_we_write_is_read_back_exactly(
    prompt: str, negative_prompt: str, prefix: str, default_negative: str, seed: int, weight: float | None, guidance: float
):
    assume(max(len(prompt), len(negative_prompt)) <= MAX_PROMPT_LENGTH)
    assert weight is None or weight <= MAX_ADAPTER_WEIGHT
    profile = replace(PROFILE, name='odd, "name": x', prompt_prefix=prefix, negative_prompt=default_negative)
    style = PASTEL if weight is not None else None
    drawn = request(
        profile=profile.name, prompt=prompt, negative_prompt=negative_prompt, seed=seed, guidance_scale=guidance,
        style=style and style.name, adapter_weight=weight or 1.0,
    )  # fmt: skip
    styles = ((style, drawn.adapter_weight),) if style else ()
    composed = compose(drawn, profile, [one for one, _ in styles])
    assume(
        composed.negative_prompt or not composed.prompt.startswith("Negative prompt:")
    )  # only a reader could tell these apart

    found = parse(parameters_text(Recipe(request=drawn, index=0, profile=profile, styles=styles, adapter_hashes=('a"b',))))

    assert found == PictureSettings(
        prompt=composed.prompt,
        negative_prompt=composed.negative_prompt,
        steps=4,
        sampler="Euler a",
        guidance_scale=guidance,
        seed=seed,
        size=(64, 64),
        model=profile.name,
        loras=(LoraTag(name="lora", weight=weight),) if weight is not None else (),
    )
