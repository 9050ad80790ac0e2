"""Contact sheets with words below the pictures, and grids that vary one thing at a time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bot.training.mini.artist.render import contact_sheet
from bot.training.mini.captions import QUALITY
from bot.training.mini.dataset import Pixels
from bot.training.mini.evaluation.questions import FORMS, NO_NEGATIVE, Question, prompt_in
from bot.training.mini.evaluation.sampling import Order, Sampler

FONT_SIZE, LINE, INK, PAPER = 12, 15, (40, 40, 50), (255, 255, 255)
LETTER = 6.2  # pixels a letter of the font takes on average
SEEDS = 8
GUIDANCES, STEPS = (1.0, 2.0, 4.0, 6.0, 8.0), (5, 10, 20, 30)


def labelled_sheet(pictures: Pixels, labels: Sequence[str], *, columns: int) -> Image.Image:
    """Returns pictures in rows, each with its label below, wrapped to the picture's width."""
    width = pictures.shape[2]
    wrapped = [textwrap.wrap(label, max(8, int(width / LETTER))) for label in labels]
    strip = LINE * max(len(lines) for lines in wrapped)
    return contact_sheet(
        (_labelled(Image.fromarray(picture), lines, strip) for picture, lines in zip(pictures, wrapped, strict=True)),
        columns=columns,
    )


def _labelled(picture: Image.Image, lines: Sequence[str], strip: int) -> Image.Image:
    tile = Image.new("RGB", (picture.width, picture.height + strip), PAPER)
    tile.paste(picture)
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(FONT_SIZE)
    for i, line in enumerate(lines):
        draw.text((1, picture.height + i * LINE), line, fill=INK, font=font)
    return tile


def seeds_sheet(sampler: Sampler, question: Question) -> tuple[Image.Image, bool]:
    """Returns one prompt with several seeds, the first once more, and whether both of these are the same to the last bit."""
    seeds = [*range(question.seed, question.seed + SEEDS), question.seed]
    stack = np.stack([sampler.draw([Order(prompt=question.prompt, seed=seed)], sampler.settings)[0] for seed in seeds])
    labels = [f"seed {seed}" for seed in seeds[:-1]] + [f"seed {question.seed} again"]
    return labelled_sheet(stack, labels, columns=3), bool((stack[0] == stack[-1]).all())


def guidance_sheet(sampler: Sampler, question: Question) -> Image.Image:
    """Returns rows of more and more steps, columns of more and more guidance, all with one seed."""
    order = [Order(prompt=question.prompt, seed=question.seed)]
    settings = [
        replace(sampler.settings, guidance_scale=guidance, num_inference_steps=steps)
        for steps in STEPS
        for guidance in GUIDANCES
    ]
    pictures = np.stack([sampler.draw(order, each)[0] for each in settings])
    labels = [f"{each.num_inference_steps} steps, guidance {each.guidance_scale:g}" for each in settings]
    return labelled_sheet(pictures, labels, columns=len(GUIDANCES))


def forms_sheet(sampler: Sampler, questions: Sequence[Question]) -> Image.Image:
    """Returns a row a form of the prompt, a column a question and its seed; then prompts that say nothing, with these seeds."""
    silent = replace(sampler.settings, negative_prompt=None)
    quality = ", ".join(QUALITY[:2])
    rows = [(form, [prompt_in(form, question) for question in questions], sampler.settings) for form in FORMS]
    rows.append((NO_NEGATIVE, [question.prompt for question in questions], silent))
    rows += [
        (name, [prompt] * len(questions), settings)
        for name, prompt, settings in (
            ("quality tags alone", quality, sampler.settings),
            ("empty prompt", "", sampler.settings),
            ("empty prompt, no negative", "", silent),
        )
    ]
    pictures: list[Pixels] = []
    labels: list[str] = []
    for name, prompts, settings in rows:
        orders = [Order(prompt=prompt, seed=question.seed) for prompt, question in zip(prompts, questions, strict=True)]
        pictures.append(sampler.draw(orders, settings))
        labels += [f"{name}: {prompt}" if prompt else name for prompt in prompts]
    return labelled_sheet(np.concatenate(pictures), labels, columns=len(questions))
