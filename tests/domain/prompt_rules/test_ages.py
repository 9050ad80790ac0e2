"""Ages in a prompt, however they are written."""

from __future__ import annotations

import pytest

from bot.domain.prompt_rules.ages import ages
from bot.domain.prompt_rules.normalization import readings


def found(prompt: str) -> set[int]:
    return {age for reading in readings(prompt) for age in ages(reading)}


@pytest.mark.parametrize(
    "written",
    [
        *(
            "16yo",
            "16 yo",
            "16 y.o.",
            "16 y/o",
            "16 years old",
            "16-year-old",
            "16_years_old",
            "16yearsold",
            "16yrold",
            "16 yrs",
        ),
        *("16 years of age", "aged 16", "age 16", "age: 16", "(age:16)", "age16", "age of 16", "ages 16 and up", "16y, hat"),
        *("sixteen years old", "sixteen-year-old", "sixteenyo", "age sixteen", "sixteenyearsold", "s1xteen y3ars 0ld"),
        *(
            "she is 16",
            "she's only 16",
            "he is just sixteen",
            "who is 16 and tall",
            "girl is 16",
            "a girl, 16",
            "sweet sixteen",
        ),
        *("turning 16", "16th birthday", "sixteenth birthday", "16.5 years old", "l6yo", "16yooo", "1 6 y o", "16歳", "16岁"),
        *(
            "16살",
            "16 ans",
            "16 años",
            "16anos",
            "16 Jahre alt",
            "16 лет",
            "16 to 25 years old",
            "１６ years old",
            "١٦ years old",
        ),
    ],
)
def test_sixteen_is_found(written: str) -> None:
    assert 16 in found(written)


@pytest.mark.parametrize(
    "written",
    [
        *(
            "under 18",
            "under eighteen",
            "below 18 years",
            "younger than 18",
            "less than 18",
            "<18",
            "u18",
            "not yet 18",
            "almost 18",
        ),
        *("under the age of 18", "6 months old", "3 weeks old", "5th grade", "grade 7", "十五歳", "七岁"),
    ],
)
def test_what_is_below_eighteen_counts_as_seventeen(written: str) -> None:
    assert 17 in found(written)


@pytest.mark.parametrize(
    ("written", "age"),
    [
        *(("18 years old", 18), ("25yo", 25), ("twenty years old", 20), ("twenty-five years old", 25), ("age 40", 40)),
        *(("1,000 years old", 1000), ("10000 year old", 10000), ("a hundred years old", 100)),
    ],
)
def test_grown_up_ages_are_not_taken_for_lower_ones(written: str, age: int) -> None:
    assert found(written) == {age}


@pytest.mark.parametrize("written", ["forty", "二十五歳", "1girl, 30", "boy, 20"])
def test_short_writing_is_read_where_the_age_is_low_only(written: str) -> None:
    assert not any(age < 18 for age in found(written))


@pytest.mark.parametrize(
    "written",
    [
        *(
            "",
            "hat",
            "1girl, 2boys",
            "6+girls",
            "16:9",
            "f1.8, 35mm",
            "8k",
            "year 2024",
            "5 fingers",
            "there are 16 cats",
            "page 12",
        ),
        *(
            "image 5",
            "12 years later",
            "2 years older",
            "level 10",
            "16bit",
            "16 answers",
            "under 10 trees",
            "u2",
            "tokyo, mayo",
        ),
        *("girl 1, girl 2", "24 hours", "16 girls", "they are 2 women", "s*x"),
    ],
)
def test_other_numbers_are_no_ages(written: str) -> None:
    assert found(written) == set()
