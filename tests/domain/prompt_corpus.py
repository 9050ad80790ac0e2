"""The prompts that the rules are measured on. They lie in `prompts/`, and are no copy of the lists of terms."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "prompts"


class Case(NamedTuple):
    prompt: str
    negative_prompt: str = ""

    @property
    def disguisable(self) -> bool:
        """Whether the disguises can change it: they are made for Latin letters."""
        return self.prompt.isascii()


def load(name: str) -> tuple[Case, ...]:
    """The prompts of a file, one a line; lines that begin with a number sign and a space are headings."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(Case(*line.split(" ||| ")) for line in lines if line and not line.startswith("# "))


ALLOWED = load("allowed")
REFUSED_MINORS = load("refused_minors")
REFUSED_MINORS_DISGUISED = load("refused_minors_disguised")
REFUSED_SEXUAL = load("refused_sexual")
REFUSED_SEXUAL_DISGUISED = load("refused_sexual_disguised")
