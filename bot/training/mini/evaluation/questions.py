"""The model's questions: tag sets and seeds that no training has seen, in the forms that people type."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from bot.training.mini.artist.portrait import CHOICES, Portrait, random_portrait
from bot.training.mini.captions import QUALITY, tags
from bot.training.mini.dataset import Bucket, portrait_at
from bot.training.mini.evaluation.classifier import ATTRIBUTES, HIDDEN, visible_labels

FIRST_SEED = 3_000_000_000  # of the noise; training's seeds are all far below
UNKNOWN_WORDS = (
    "zxqv", "library card", "trending on artstation", "octane render", "by a famous painter", "dragonfly", "volumetric fog",
    "ultra hd", "blorptastic", "steampunk",
)  # fmt: skip
UNKNOWN_COUNT = 3
QUALITY_COUNT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Tags to draw with a seed, and the label numbers to see then, HIDDEN where nothing was said or nothing would show."""

    portrait: Portrait
    tags: tuple[str, ...]
    expected: tuple[int, ...]
    seed: int

    @property
    def prompt(self) -> str:
        return ", ".join(self.tags)


def ask(portrait: Portrait, seed: int) -> Question:
    """Returns a question of the portrait's tags, one wording of each, and the labels to expect."""
    wording = f"wording/{portrait.seed}"
    found = tags(portrait, random.Random(wording))  # noqa: S311  # captions, not secrets
    expected = [int(label) for label in visible_labels([portrait])[0]]
    other = next(color for color in CHOICES["outfit_color"] if color != portrait.outfit_color)
    recolored = tags(replace(portrait, outfit_color=other), random.Random(wording))  # noqa: S311
    if recolored == found:  # the one label that a caption may leave out: the same words would fit any colour
        expected[ATTRIBUTES.index("outfit_color")] = HIDDEN
    return Question(portrait=portrait, tags=tuple(found), expected=tuple(expected), seed=seed)


def held_out_questions(count: int, trained_on: frozenset[Portrait]) -> list[Question]:
    """Returns questions whose labels (as `labels_of`) no portrait of `trained_on` has, all different; always the same ones."""
    questions: list[Question] = []
    taken, at = set(trained_on), 0
    while len(questions) < count:
        portrait = random_portrait(random.Random(f"held out/{at}"))  # noqa: S311  # pictures, not secrets
        at += 1
        if labels_of(portrait) not in taken:
            taken.add(labels_of(portrait))
            questions.append(ask(portrait, FIRST_SEED + len(questions)))
    return questions


def labels_of(portrait: Portrait) -> Portrait:
    """Returns the portrait without its seed, so that those with the same labels are equal."""
    return replace(portrait, seed=0)


def trained_labels(seed: int, buckets: Sequence[Bucket]) -> frozenset[Portrait]:
    """Returns the labels of all training pictures."""
    return frozenset(labels_of(portrait_at(seed, bucket, i)) for bucket in buckets for i in range(bucket.count))


Form = Callable[[Sequence[str], random.Random], str]


def _plain(found: Sequence[str], _: random.Random) -> str:
    return ", ".join(found)


def _any_order(found: Sequence[str], rng: random.Random) -> str:
    return ", ".join(rng.sample(found, len(found)))


def _upper_case(found: Sequence[str], _: random.Random) -> str:
    return ", ".join(found).upper()


def _underscores(found: Sequence[str], _: random.Random) -> str:
    return ", ".join(tag.replace(" ", "_") for tag in found)


def _quality_first(found: Sequence[str], rng: random.Random) -> str:
    return ", ".join([*rng.sample(QUALITY, QUALITY_COUNT), *found])


def _unknown_words(found: Sequence[str], rng: random.Random) -> str:
    mixed = [*found]
    for word in rng.sample(UNKNOWN_WORDS, UNKNOWN_COUNT):
        mixed.insert(rng.randint(0, len(mixed)), word)
    return ", ".join(mixed)


PLAIN = "plain"
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        PLAIN: _plain,
        "any order": _any_order,
        "UPPER CASE": _upper_case,
        "under_scores": _underscores,
        "quality first": _quality_first,
        "unknown words": _unknown_words,
    }
)
NO_NEGATIVE = "no negative"  # a form too, but of the call, not of the prompt


def prompt_in(form: str, question: Question) -> str:
    """Returns the question's prompt in one of FORMS, or NO_NEGATIVE's, which is plain; randomness has the question's seed."""
    rng = random.Random(f"{form}/{question.seed}")  # noqa: S311  # captions, not secrets
    return FORMS.get(form, _plain)(question.tags, rng)
