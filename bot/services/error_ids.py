"""Unexpected errors: logged once under a short id that the member is shown, without the member's words."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

from bot.domain.request import GenerationRequest
from bot.metrics import Metrics

HIDDEN = "[prompt]"


def log_incident(
    log: logging.Logger, metrics: Metrics, what: str, error: BaseException, *, about: GenerationRequest | None = None
) -> str:
    """Log `error` once with its traceback and return the id; the words of the request `about` are blanked in it."""
    incident = metrics.incident()
    trace = "".join(traceback.format_exception(error))
    if about is not None:
        trace = without_words(trace, (about.prompt, about.negative_prompt))
    log.error("%s [error %s]\n%s", what, incident, trace.rstrip())
    return incident


def without_words(text: str, words: Iterable[str]) -> str:
    """`text` with every one of `words` blanked, as they are and as repr() writes them (libraries quote what they refuse)."""
    spellings = {spelling for word in words if word for spelling in (word, repr(word)[1:-1])}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    return text
