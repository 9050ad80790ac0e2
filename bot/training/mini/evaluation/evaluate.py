"""Measures how a small model follows prompts: `python -m bot.training.mini.evaluation.evaluate --state FOLDER --model FOLDER`.

A classifier that knows the artist's drawings judges pictures of tag sets that no training has seen. It is trained when --state
(the recipe's, with its drawn pictures) has none yet. Classifier and pictures stay there: a killed run continues where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from bot.errors import OperatorError
from bot.training.loop import Schedule
from bot.training.mini.artist.portrait import Portrait
from bot.training.mini.artist.render import draw_portrait
from bot.training.mini.dataset import Bucket, Pixels
from bot.training.mini.evaluation.classifier import Classifier, Labels, Plan, Verdict, judge, trained_classifier, visible_labels
from bot.training.mini.evaluation.questions import (
    FORMS,
    NO_NEGATIVE,
    PLAIN,
    Question,
    held_out_questions,
    prompt_in,
    trained_labels,
)
from bot.training.mini.evaluation.report import Report
from bot.training.mini.evaluation.sampling import Order, Sampler, default_settings
from bot.training.mini.evaluation.scores import Rates, confusions, frechet_distance, rates
from bot.training.mini.evaluation.sheets import forms_sheet, guidance_sheet, labelled_sheet, seeds_sheet
from bot.training.mini.recipe import BUCKETS, SEED

PLAN = Plan(
    bucket=BUCKETS[0],
    seed=SEED,
    batch_size=32,
    schedule=Schedule(steps=1800, learning_rate=3e-3, warmup=50, ema_decay=0.99, seed=SEED + 4),
)  # eight minutes on one core
MODEL, PROFILE = Path("data/models/mini"), Path("data/profiles/mini.toml")
PICTURES, BATCH = 500, 8
SHEET_PICTURES, SHEET_COLUMNS = 32, 8
FORM_COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parsed command line."""

    state: Path
    model: Path = MODEL
    profile: Path = PROFILE
    pictures: int = PICTURES
    forms: int = 0
    drawings_only: bool = False
    sheet: Path | None = None
    grids: Path | None = None
    out: Path | None = None
    steps: int | None = None
    guidance: float | None = None
    batch: int = BATCH
    threads: int = 1

    @property
    def kept(self) -> Path:
        return self.state / "evaluation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Questions, the artist's own answers to them (n, side, side, 3), and the judging classifier."""

    classifier: Classifier
    questions: Sequence[Question]
    drawings: Pixels

    @property
    def expected(self) -> Labels:
        """Returns the labels that a picture of the prompt must show."""
        return np.array([question.expected for question in self.questions])

    @property
    def drawn(self) -> Labels:
        """Returns the labels that the drawings show."""
        return visible_labels([question.portrait for question in self.questions])

    def judge(self, pictures: Pixels) -> Verdict:
        return judge(self.classifier, pictures)


def evaluate(options: Options, plan: Plan = PLAN, buckets: Sequence[Bucket] = BUCKETS) -> Report:
    """Train the classifier if need be, judge drawings and the model's pictures, and write what `options` asks for.

    Raises OperatorError.
    """
    sampler = None if options.drawings_only else open_sampler(options)
    classifier = trained_classifier(plan, options.state / "pictures", options.state / "classifier", threads=options.threads)
    questions = held_out_questions(options.pictures, trained_labels(plan.seed, buckets))
    exam = Exam(classifier=classifier, questions=questions, drawings=draw([q.portrait for q in questions], plan.shape.side))
    report = judge_drawings(exam)
    if sampler is not None:
        report = judge_model(report, exam, sampler, options)
    if options.out is not None:
        options.out.write_text(json.dumps(report.values(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def open_sampler(options: Options) -> Sampler:
    """Returns the model with its profile's settings, except for the steps and guidance in `options`. Raises ModelError."""
    settings = default_settings(options.profile)
    if options.steps is not None:
        settings = replace(settings, num_inference_steps=options.steps)
    if options.guidance is not None:
        settings = replace(settings, guidance_scale=options.guidance)
    return Sampler(options.model, settings, options.batch)


def draw(portraits: Sequence[Portrait], side: int) -> Pixels:
    return np.stack([np.asarray(draw_portrait(portrait, side, side)) for portrait in portraits])


def judge_drawings(exam: Exam) -> Report:
    """Returns the classifier's own rates over two sets of drawings of the same labels, and how far the sets lie apart."""
    portraits = [replace(question.portrait, seed=question.portrait.seed ^ 1) for question in exam.questions]
    first, second = exam.judge(exam.drawings), exam.judge(draw(portraits, exam.drawings.shape[1]))
    expected, seen = np.concatenate([exam.drawn] * 2), np.concatenate([first.labels, second.labels])
    return Report(
        drawings=rates(expected, seen, named_only=False),
        confusions=confusions(expected, seen),
        distances={"two sets of drawings": frechet_distance(first.features, second.features)},
        about={"pictures": len(portraits)},
    )


def judge_model(report: Report, exam: Exam, sampler: Sampler, options: Options) -> Report:
    """Returns the report on drawings with the model's pictures added; writes sheets and grids too."""
    orders = [Order(prompt=question.prompt, seed=question.seed) for question in exam.questions]
    pictures = sampler.draw_kept(orders, sampler.settings, options.kept)
    if options.sheet is not None:
        labels = [f"{order.prompt} ({order.seed})" for order in orders[:SHEET_PICTURES]]
        labelled_sheet(pictures[:SHEET_PICTURES], labels, columns=SHEET_COLUMNS).save(options.sheet)
    if options.grids is not None:
        draw_grids(sampler, exam.questions, options.grids)
    drawn, rebuilt, seen = (exam.judge(each) for each in (exam.drawings, sampler.rebuild(exam.drawings), pictures))
    return replace(
        report,
        shown=rates(exam.expected, seen.labels, named_only=True),
        exact=rates(exam.expected, seen.labels, named_only=False),
        rebuilt=rates(exam.drawn, rebuilt.labels, named_only=False),
        mistakes=confusions(exam.expected, seen.labels),
        distances={
            "the model's pictures from drawings": frechet_distance(seen.features, drawn.features),
            "drawings through the model's VAE from drawings": frechet_distance(rebuilt.features, drawn.features),
            **report.distances,
        },
        forms=judge_forms(exam, seen.labels, sampler, options) if options.forms else {},
        about={**report.about, "model": str(options.model), "settings": asdict(sampler.settings)},
    )


def judge_forms(exam: Exam, plain: Labels, sampler: Sampler, options: Options) -> dict[str, Rates]:
    """Returns exact rates of the first questions, with the same seeds, in every form; `plain`: what plain pictures show."""
    questions, expected = exam.questions[: options.forms], exam.expected[: options.forms]
    found = {PLAIN: rates(expected, plain[: options.forms], named_only=False)}
    for form in (*FORMS, NO_NEGATIVE):
        if form == PLAIN:
            continue
        settings = replace(sampler.settings, negative_prompt=None) if form == NO_NEGATIVE else sampler.settings
        orders = [Order(prompt=prompt_in(form, question), seed=question.seed) for question in questions]
        seen = exam.judge(sampler.draw_kept(orders, settings, options.kept))
        found[form] = rates(expected, seen.labels, named_only=False)
    return found


def draw_grids(sampler: Sampler, questions: Sequence[Question], folder: Path) -> None:
    """Write seeds.png, guidance.png and forms.png into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds, same = seeds_sheet(sampler, questions[0])
    seeds.save(folder / "seeds.png")
    print(f"The same seed gave {'the same picture to the last bit' if same else 'ANOTHER picture'}.")
    guidance_sheet(sampler, questions[0]).save(folder / "guidance.png")
    forms_sheet(sampler, questions[:FORM_COLUMNS]).save(folder / "forms.png")


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Returns the command line as options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--state", type=Path, required=True, help="the recipe's folder; its drawn pictures train the classifier"
    )
    parser.add_argument("--model", type=Path, default=MODEL, help="folder of a pipeline (default: %(default)s)")
    parser.add_argument("--profile", type=Path, default=PROFILE, help="its default settings (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="tag sets to draw, 2 or more (default: %(default)s)")
    parser.add_argument(
        "--forms", type=int, default=0, metavar="N", help="draw the first N tag sets in all forms of prompts too"
    )
    parser.add_argument("--drawings-only", action="store_true", help="judge held-out drawings only, no model")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a contact sheet of the first 32 pictures")
    parser.add_argument(
        "--grids", type=Path, metavar="FOLDER", help="write sheets of seeds, guidance and steps, and prompt forms"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write everything measured as JSON")
    parser.add_argument("--steps", type=int, help="instead of the profile's")
    parser.add_argument("--guidance", type=float, help="instead of the profile's")
    parser.add_argument("--batch", type=int, default=BATCH, help="pictures drawn at once (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads at most (default: %(default)s)")
    return Options(**vars(parser.parse_args(arguments)))


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    try:
        print(evaluate(options).text())
    except OperatorError as error:
        print(*error.lines, sep="\n", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
