"""An intake: a request whose file is still to be read, as it is written down before its member is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bot.domain.job import Origin, ReplyTarget
from bot.domain.request import GenerationRequest

MAX_INTAKES = 3  # open ones a member


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What was asked, by whom and where. The request names a file without a key; `url` is where it can be fetched."""

    origin: Origin
    reply: ReplyTarget
    request: GenerationRequest
    url: str = field(repr=False)
    asked_at: datetime
