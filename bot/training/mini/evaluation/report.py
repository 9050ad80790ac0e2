"""The results of an evaluation, as tables for a terminal and as values for a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.training.mini.evaluation.classifier import ATTRIBUTES
from bot.training.mini.evaluation.scores import HEADLINE, Rate, Rates, mean_chance, mean_share

MEAN = "mean of the nine *"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Rates of generated pictures: `shown` counts what was asked for, `exact` also counts an unasked hat or glasses as wrong.

    `drawings` is the classifier on held-out drawings, `rebuilt` on these after a pass through the model's VAE, both exact.
    Values that need a model are empty when none was judged.
    """

    drawings: Rates
    confusions: Sequence[str]
    shown: Rates = field(default_factory=dict[str, Rate])
    exact: Rates = field(default_factory=dict[str, Rate])
    rebuilt: Rates = field(default_factory=dict[str, Rate])
    distances: Mapping[str, float] = field(default_factory=dict[str, float])
    mistakes: Sequence[str] = ()
    forms: Mapping[str, Rates] = field(default_factory=dict[str, Rates])
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def columns(self) -> Mapping[str, Rates]:
        found = {"shown": self.shown, "exact": self.exact, "drawings": self.drawings, "rebuilt": self.rebuilt}
        return {name: column for name, column in found.items() if column}

    def values(self) -> dict[str, Any]:
        """Returns values for JSON; shares in 0..1."""
        attributes = {name: {column: _values(found, name) for column, found in self.columns.items()} for name in ATTRIBUTES}
        return {
            **self.about,
            "mean": {column: round(mean_share(found), 4) for column, found in self.columns.items()},
            "attributes": attributes,
            "distances": {name: round(value, 4) for name, value in self.distances.items()},
            "forms": {
                form: {"mean": round(mean_share(found), 4), **{name: round(found[name].share, 4) for name in ATTRIBUTES}}
                for form, found in self.forms.items()
            },
            "mistakes": [*self.mistakes],
            "classifier_mistakes": [*self.confusions],
        }

    def text(self) -> str:
        parts = [self._main_table()]
        if self.forms:
            parts.append("Exact rates by the form of the prompt:\n" + self._forms_table())
        parts += [f"Fréchet distance of {name}: {value:.3f}" for name, value in self.distances.items()]
        if self.mistakes:
            parts.append("\n".join(["The model's most frequent mistakes:", *self.mistakes]))
        parts.append("\n".join(["The classifier's, on held-out drawings:", *self.confusions]))
        return "\n\n".join(parts)

    def _main_table(self) -> str:
        first = self.shown or self.drawings
        head = ["attribute", "asked", *self.columns, "chance"]
        rows = [
            [
                f"{name} *" if name in HEADLINE else name,
                str(first[name].asked),
                *(_percent(found[name].share) for found in self.columns.values()),
                _percent(first[name].chance),
            ]
            for name in ATTRIBUTES
        ]
        means = [_percent(mean_share(found)) for found in self.columns.values()]
        return table(head, [*rows, [MEAN, "", *means, _percent(mean_chance(first))]])

    def _forms_table(self) -> str:
        rows = [[name, *(_percent(found[name].share) for found in self.forms.values())] for name in ATTRIBUTES]
        return table(
            ["attribute", *self.forms], [*rows, [MEAN, *(_percent(mean_share(found)) for found in self.forms.values())]]
        )


def _values(found: Rates, name: str) -> dict[str, float]:
    rate = found[name]
    return {"asked": rate.asked, "right": rate.right, "share": round(rate.share, 4), "chance": round(rate.chance, 4)}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table whose columns are as wide as their widest cell, the first to the left, all others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines: list[str] = []
    for row in (head, *rows):
        first, *others = (
            cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]))
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
