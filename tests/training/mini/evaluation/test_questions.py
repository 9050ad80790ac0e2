import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bot.training.loop import Schedule
from bot.training.mini import recipe
from bot.training.mini.artist.portrait import OUTFIT_COLORS, random_portrait
from bot.training.mini.captions import vocabulary
from bot.training.mini.dataset import Bucket, portrait_at
from bot.training.mini.evaluation.classifier import ATTRIBUTES, HIDDEN, values
from bot.training.mini.evaluation.evaluate import PLAN
from bot.training.mini.evaluation.questions import (
    FIRST_SEED,
    FORMS,
    NO_NEGATIVE,
    UNKNOWN_WORDS,
    Question,
    ask,
    held_out_questions,
    labels_of,
    prompt_in,
    trained_labels,
)
from bot.training.mini.networks import build_tokenizer
from bot.training.mini.recipe import SEED
from bot.training.mini.tokens import MAX_LENGTH

QUESTIONS = held_out_questions(200, frozenset())


def words(prompt: str) -> set[str]:
    return set(re.split(r"[ ,_]+", prompt.lower()))


def test_questions_are_always_the_same_and_all_different() -> None:
    assert QUESTIONS[:5] == held_out_questions(5, frozenset())
    assert len({labels_of(question.portrait) for question in QUESTIONS}) == len(QUESTIONS)
    assert len({question.seed for question in QUESTIONS}) == len(QUESTIONS)


def test_no_question_has_the_labels_of_a_training_picture() -> None:
    bucket = Bucket(width=256, height=256, count=50)
    trained = trained_labels(SEED, [bucket])
    assert labels_of(portrait_at(SEED, bucket, 3)) in trained
    taken = labels_of(QUESTIONS[2].portrait)

    questions = held_out_questions(5, trained | {taken})

    assert [q.portrait for q in questions] == [QUESTIONS[i].portrait for i in (0, 1, 3, 4, 5)]


def test_noise_seeds_lie_beyond_every_seed_of_a_training() -> None:
    schedules = [PLAN.schedule, *(value for value in vars(recipe).values() if isinstance(value, Schedule))]
    assert len(schedules) > 3
    for schedule in schedules:
        assert schedule.seed * 1_000_003 + schedule.steps < FIRST_SEED
    assert all(FIRST_SEED <= question.seed < 2**32 for question in QUESTIONS)


def test_a_label_is_expected_only_if_it_was_said_and_shows() -> None:
    unsaid = 0
    for question in QUESTIONS:
        expected = dict(zip(ATTRIBUTES, question.expected, strict=True))
        others = re.compile("hair$|eyes$|background$|blue sky")
        worn = [tag for tag in question.tags if not others.search(tag) and tag.split()[0] in OUTFIT_COLORS]
        said = expected["outfit_color"] != HIDDEN
        assert said == (len(worn) == 1)
        assert not said or worn[0].startswith(values("outfit_color")[expected["outfit_color"]])
        assert (expected["eye_color"] == HIDDEN) == (question.portrait.expression == "closed eyes")
        unsaid += not said
    assert 20 < unsaid < 120


def test_the_wording_of_a_tag_set_does_not_depend_on_the_noise() -> None:
    portrait = random_portrait(random.Random(0))
    assert ask(portrait, 1).tags == ask(portrait, 2).tags


@pytest.mark.parametrize("form", [*FORMS, NO_NEGATIVE])
def test_every_form_says_all_tags_and_asks_for_nothing_else(form: str) -> None:
    known = set(vocabulary())
    for question in QUESTIONS[:40]:
        added = words(prompt_in(form, question)) - words(question.prompt)
        assert words(question.prompt) <= words(prompt_in(form, question))
        if form == "unknown words":
            assert added
            assert added <= words(" ".join(UNKNOWN_WORDS))
        assert form in {"unknown words", "quality first"} or not added
        assert form != "quality first" or added <= known


def test_unknown_words_are_in_no_caption() -> None:
    known = set(vocabulary())
    assert [phrase for phrase in UNKNOWN_WORDS if words(phrase) <= known] == []


def test_forms_differ_from_the_plain_one() -> None:
    question = next(q for q in QUESTIONS if len(q.tags) > 8)
    prompts = {prompt_in(form, question) for form in FORMS}
    assert len(prompts) == len(FORMS)
    assert prompt_in("UPPER CASE", question) == question.prompt.upper()
    assert " " not in prompt_in("under_scores", question).replace(", ", "")
    assert prompt_in(NO_NEGATIVE, question) == question.prompt


def test_no_form_is_cut_off_by_the_tokenizer(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(tmp_path)
    lengths = [len(tokenizer(prompt_in(form, question)).input_ids) for question in QUESTIONS[:100] for form in FORMS]
    assert max(lengths) <= MAX_LENGTH


def test_a_prompt_is_its_tags_with_commas() -> None:
    question = Question(portrait=QUESTIONS[0].portrait, tags=("1girl", "smile"), expected=(), seed=0)
    assert question.prompt == "1girl, smile"
    assert replace(question, tags=()).prompt == ""
