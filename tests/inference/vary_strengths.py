"""How far variations go with the model that ships: every sampler, as a share of what another seed changes.

`python -m tests.inference.vary_strengths` draws held-out prompts with each sampler: the picture, its subtle and its strong
variation (or `--shares`), and two other seeds. It prints medians over the prompts, and the 10th and the 90th percentile.

`--state FOLDER` is that of `python -m bot.training.mini.evaluation.evaluate`, with a trained classifier: then the
table tells how many of the
attributes that the prompt asks for and the picture shows the variation shows too, and how many the other seeds.
`--sheets FOLDER` writes contact sheets.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from bot.domain.job import VariationStrength
from bot.domain.prompt import resolve
from bot.domain.request import Draft, GenerationRequest, NoiseBlend
from bot.domain.sampler import SAMPLERS
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from bot.resources import SMALL_MODEL
from bot.settings import SHIPPED_DATA
from bot.storage.catalog import load_catalog
from bot.training.mini.evaluation.classifier import HIDDEN, Classifier, judge, trained_classifier
from bot.training.mini.evaluation.evaluate import PLAN
from bot.training.mini.evaluation.questions import Question, held_out_questions, trained_labels
from bot.training.mini.evaluation.sheets import labelled_sheet
from bot.training.mini.recipe import BUCKETS, SEED
from tests.inference.conftest import draw, pixels

VARIATION_SEED = 990_000_000
OTHER_SEEDS = (1_000, 2_000)  # added to the picture's own
SHEETS = 3
ORIGINAL = "original"
Pictures = npt.NDArray[np.uint8]  # (prompts, height, width, 3)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One sampler's pictures by what they are, a prompt at each index; `others` are those of other seeds."""

    original: Pictures
    varied: Mapping[str, Pictures]
    others: Sequence[Pictures]

    def shares(self, name: str) -> npt.NDArray[np.float64]:
        """For each prompt, the variation's mean absolute difference from the original as a share of two seeds'."""
        return distance(self.original, self.varied[name]) / np.mean(
            [distance(self.original, one) for one in self.others], axis=0
        )


def distance(one: Pictures, other: Pictures) -> npt.NDArray[np.float64]:
    return np.abs(one.astype(float) - other).mean(axis=(1, 2, 3))


class Artist:
    def __init__(self) -> None:
        self._catalog = load_catalog(SHIPPED_DATA, SHIPPED_DATA)
        self._profile = self._catalog.profile(SMALL_MODEL)
        self._generator = DiffusersGenerator(self._profile, self._catalog, device="cpu", engine=EngineSettings(batch=8))

    async def draw(self, questions: Sequence[Question], sampler: str, shares: Mapping[str, float], steps: int | None) -> Drawn:
        rows = [await self._row(question, sampler, shares, steps) for question in questions]
        original, *rest = (np.stack(column) for column in zip(*rows, strict=True))
        return Drawn(
            original=original,
            varied=dict(zip(shares, rest, strict=False)),
            others=rest[len(shares) :],
        )

    async def _row(
        self, question: Question, sampler: str, shares: Mapping[str, float], steps: int | None
    ) -> Sequence[npt.NDArray[np.uint8]]:
        draft = Draft(prompt=question.prompt, seed=question.seed, scheduler=sampler, num_inference_steps=steps)
        plain = resolve(draft, self._profile, self._catalog)
        varied = [self._varied(plain, share) for share in shares.values()]
        others = [replace(plain, seed=plain.seed + more) for more in OTHER_SEEDS]
        results = await asyncio.gather(*(draw(self._generator, request) for request in (plain, *varied, *others)))
        return [pixels(result.images[0].data) for result in results]

    def _varied(self, request: GenerationRequest, share: float) -> GenerationRequest:
        return replace(request, blends=(NoiseBlend(seed=VARIATION_SEED + request.seed % 1_000, strength=share),))

    async def close(self) -> None:
        await self._generator.close()


def shares_of(sampler: str, given: Sequence[float]) -> Mapping[str, float]:
    """The given shares, or those of the product."""
    if given:
        return {f"{share:g}": share for share in given}
    return {str(strength): strength.share(SAMPLERS[sampler]) for strength in VariationStrength}


def kept(classifier: Classifier, questions: Sequence[Question], original: Pictures, other: Pictures) -> float:
    """Of what the prompts ask for and the originals show, the share that the other pictures show."""
    expected = np.array([question.expected for question in questions])
    shown = (judge(classifier, original).labels == expected) & (expected != HIDDEN)
    return float((judge(classifier, other).labels == expected)[shown].mean())


def lines(sampler: str, drawn: Drawn, classifier: Classifier | None, questions: Sequence[Question]) -> list[str]:
    found: list[str] = []
    for name, pictures in drawn.varied.items():
        low, middle, high = np.percentile(drawn.shares(name), (10, 50, 90))
        attributes = others = ""
        if classifier is not None:
            attributes = f"{kept(classifier, questions, drawn.original, pictures):.0%}"
            others = f"{np.mean([kept(classifier, questions, drawn.original, one) for one in drawn.others]):.0%}"
        cells = (SAMPLERS[sampler].title, name, f"{middle:.0%}", f"{low:.0%} to {high:.0%}", attributes, others)
        found.append("| " + " | ".join(cells) + " |")
    return found


def write_sheets(folder: Path, drawn: Mapping[str, Drawn], questions: Sequence[Question]) -> None:
    """For each of the first prompts, a row a sampler: the original, its variations, another seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, question in enumerate(questions[:SHEETS]):
        pictures, labels = [], []
        for sampler, one in drawn.items():
            row = {ORIGINAL: one.original, **one.varied, "another seed": one.others[0]}
            pictures += [found[index] for found in row.values()]
            labels += [f"{SAMPLERS[sampler].title}: {name}" for name in row]
        sheet = labelled_sheet(np.stack(pictures), labels, columns=len(labels) // len(drawn))
        sheet.save(folder / f"{index + 1}.png")
        print(f"{index + 1}.png: {question.prompt}")


async def measure(options: argparse.Namespace) -> None:
    questions = held_out_questions(options.prompts, trained_labels(SEED, BUCKETS))
    state: Path | None = options.state
    classifier = trained_classifier(PLAN, state / "pictures", state / "classifier") if state else None
    artist, drawn = Artist(), dict[str, Drawn]()
    print("| sampler | variation | median | 10th to 90th percentile | attributes kept | by another seed |")
    print("|---|---|---|---|---|---|", flush=True)
    for sampler in SAMPLERS:
        if options.samplers and SAMPLERS[sampler].title not in options.samplers:
            continue
        shares = shares_of(sampler, options.shares)
        drawn[sampler] = await artist.draw(questions, sampler, shares, options.steps)
        print("\n".join(lines(sampler, drawn[sampler], classifier, questions)), flush=True)
    await artist.close()
    if options.sheets is not None:
        write_sheets(options.sheets, drawn, questions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=20, help="how many (default: %(default)s)")
    parser.add_argument(
        "--samplers", nargs="*", metavar="TITLE", default=[], help="as they are called in pictures (default: all)"
    )
    parser.add_argument("--shares", nargs="*", type=float, default=[], help="in place of subtle's and strong's")
    parser.add_argument("--steps", type=int, help="instead of the profile's")
    parser.add_argument("--state", type=Path, help="folder of the evaluation with its classifier")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    torch.set_num_threads(1)  # two that share a busy core wait for one another
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
