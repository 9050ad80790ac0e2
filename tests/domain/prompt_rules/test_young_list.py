"""Whom the shipped list knows as children: nothing sexual beside them, everything else as ever."""

from __future__ import annotations

import csv
from itertools import cycle
from pathlib import Path

import pytest

from bot.domain.prompt_rules import Rule, broken_rule, judge
from bot.domain.prompt_rules.young_list import NOBODY, SHIPPED, YoungList, body, character, read_young, shipped_young
from tests.domain.disguises import DISGUISES

YOUNG = shipped_young()
SCENES = (
    "smile, park bench, autumn leaves",
    "reading a book, library, glasses",
    "kimono, fireworks, summer festival",
    "one-piece swimsuit, poolside, beach ball",
    "sword, armor, battle, sparks",
    "sleeping, pajamas, teddy bear",
    "eating ice cream, city street, hand on own cheek",
    "school uniform, classroom, chalkboard",
    "dancing on a stage, microphone, spotlight",
    "running, barefoot, meadow, open mouth",
)
SEXUAL = ("nude", "nsfw", "topless", "sex")
SUGGESTIVE = ("lingerie", "cleavage", "sexy", "panties")


def column(file: str, name: str) -> list[str]:
    with (SHIPPED / file).open(newline="") as rows:
        return [row[name] for row in csv.DictReader(rows)]


CHARACTERS = column("characters.csv", "character")
BODIES = [words.replace(" + ", ", ") for words in column("bodies.csv", "words")]


def test_the_list_that_ships_is_long_sound_and_names_nobody_twice() -> None:
    problems: list[str] = []
    read_young(SHIPPED, problems)

    assert problems == []
    assert len(CHARACTERS) >= 150
    assert len(CHARACTERS) == len(set(CHARACTERS))


@pytest.mark.parametrize("beside", [*SEXUAL, *SUGGESTIVE])
def test_no_row_passes_beside_a_sexual_or_suggestive_word_in_any_channel(beside: str) -> None:
    passed = [
        who for who in (*CHARACTERS, *BODIES) if broken_rule(f"{who}, {beside}", adult=True, young=YOUNG) is not Rule.MINORS
    ]

    assert passed == []


def test_harmless_prompts_with_these_names_and_bodies_stay_allowed() -> None:
    prompts = [f"{who}, {scene}" for who, scene in zip((*CHARACTERS, *BODIES), cycle(SCENES), strict=False)]
    prompts += [
        f"masterpiece, {who} and {friend}, {scene}" for who, friend, scene in zip(CHARACTERS, CHARACTERS[1:], cycle(SCENES))
    ]
    refused = [prompt for prompt in prompts if broken_rule(prompt, adult=False, young=YOUNG) is not None]

    assert len(prompts) >= 200
    assert refused == []


def test_every_row_makes_a_job_young_however_harmless_it_is() -> None:
    assert [who for who in (*CHARACTERS, *BODIES) if not judge(f"{who}, park", adult=True, young=YOUNG).young] == []


@pytest.mark.parametrize(
    "prompt",
    [
        "anya (spy x family), nude",
        "klee (genshin impact), nude",
        "kanna kamui, nude",
        "kamui kanna, nude",
        "nahida (genshin impact), nsfw",
        "illyasviel von einzbern, nude",
        "nude, 1girl, spy x family, red hair, anya",
        r"anya \(spy_x_family\), topless",
        "(klee:1.3), lingerie",
        "petite, flat chest, nude",
        "nude, flat chest, blonde hair, petite",
        "small stature, tiny body, nude",
        "chibi, nude",
    ],
)
def test_names_and_bodies_are_found_wherever_they_stand(prompt: str) -> None:
    assert broken_rule(prompt, adult=True, young=NOBODY) is None  # by the words of the rules alone
    assert broken_rule(prompt, adult=True) is Rule.MINORS


@pytest.mark.parametrize("prompt", ["anya, nude", "petite, nude", "flat chest, nude", "paul klee, nude woman, oil painting"])
def test_a_first_name_or_half_of_a_body_says_nothing(prompt: str) -> None:
    assert judge(prompt, adult=True, young=YOUNG).rule is None
    assert not judge(prompt, adult=True, young=YOUNG).young


@pytest.mark.parametrize("disguise", sorted(DISGUISES.keys() - {"in the address of a LoRA"}))
def test_a_disguised_name_is_found(disguise: str) -> None:
    prompts = [f"{name}, nude" for name in ("klee", "nahida", "kanna kamui", "megumin, konosuba", "petite, flat chest")]
    passed = [p for p in prompts if broken_rule(DISGUISES[disguise](p), adult=True, young=YOUNG) is not Rule.MINORS]

    assert passed == []


def test_the_negative_prompt_may_leave_children_out() -> None:
    verdict = judge("1girl, nude", "klee, chibi, petite, flat chest", adult=True, young=YOUNG)

    assert (verdict.rule, verdict.young) == (None, False)


@pytest.mark.parametrize("prompt", ["child, park", "1girl, 12 years old, kite", "loli", "middle school"])
def test_words_and_ages_of_children_make_a_job_young_without_any_list(prompt: str) -> None:
    assert judge(prompt, adult=True, young=NOBODY).young


def test_grown_up_people_are_not_young() -> None:
    for prompt in ("1girl, school uniform", "1girl, nude", "baby blue dress", "18 years old", "young woman, bar"):
        assert not judge(prompt, adult=True, young=YOUNG).young


def test_a_name_counts_alone_or_beside_its_series() -> None:
    young = character("mei", "totoro", alone=False) | character("tama chan", "sea", alone=True)

    assert [judge(prompt, adult=True, young=young).young for prompt in ("mei", "mei, totoro", "chan tama", "totoro")] == [
        False,
        True,
        True,
        False,
    ]
    assert NOBODY | young == young


@pytest.mark.parametrize("words", ["", " + ", "petite +", "?"])
def test_a_body_needs_letters(words: str) -> None:
    with pytest.raises(ValueError, match="plus signs"):
        body(words)


def test_an_operators_rows_come_on_top(tmp_path: Path) -> None:
    folder = tmp_path / "safety"
    folder.mkdir()
    (folder / "characters.csv").write_text("character,alone\npip (quokka hill),no\n", encoding="utf-8-sig")
    (folder / "bodies.csv").write_text("words\nround cheeks + oversized head\n")
    problems: list[str] = []
    young = YOUNG | read_young(tmp_path / "safety", problems)

    assert problems == []
    for prompt in ("pip, quokka hill, nude", "oversized head, nude, round cheeks", "klee, nude"):
        assert broken_rule(prompt, adult=True, young=young) is Rule.MINORS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("character\nklee (genshin)\n", "the first line must be 'character,alone'"),
        ("character,alone\nklee,yes\n", "line 2: must look like"),
        ("character,alone\nklee (genshin),maybe\n", "line 2: must look like"),
        ("character,alone\nklee (genshin),yes\nklee (genshin),no,yes\n", "line 3: must look like"),
        ("", "the first line must be"),
    ],
)
def test_a_row_that_says_nothing_is_named_by_file_and_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "safety" / "characters.csv"
    path.parent.mkdir()
    path.write_text(text)
    problems: list[str] = []
    read_young(tmp_path / "safety", problems)

    assert len(problems) == 1
    assert problems[0].startswith(f"{path}: ")
    assert problem in problems[0]


def test_bytes_that_are_no_text_are_a_problem_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "safety" / "bodies.csv"
    path.parent.mkdir()
    path.write_bytes(b"words\n\xff\xfe\n")
    problems: list[str] = []

    assert read_young(tmp_path / "safety", problems) == YoungList()
    assert len(problems) == 1
