"""What a button or a form asks for, and its custom id: an action and a job id, nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from bot.domain.job import JobId

CUSTOM_ID = re.compile(r"pastel:(?P<action>[a-z]+)(?P<image>[0-9]?):(?P<job_id>[0-9a-f]{16})")
REMIX_FORM = "remixed"
REPORT_FORM = "reported"
# The buttons of a report, for the moderators of the job's server.
REPORT_REMOVE, REPORT_BLOCK, REPORT_DISMISS = "reportremove", "reportblock", "reportdismiss"
ERASE = "erase"  # the confirmation of `/privacy delete`; in place of a job id it holds the member's, in 16 digits too
PROFILE, PROFILE_FORM = "profile", "profiled"  # `/profile`: its button and its form; about whoever presses
FOUND, FOUND_FORM = "found", "adopted"  # settings read from a picture: the button and the form that draws with them
NO_JOB = "0" * 16  # stands where a button or form is about no job


class Action(StrEnum):
    """The buttons of a card. SUBTLE, STRONG and UPSCALE carry the number of a picture, from 1."""

    REROLL = "reroll"
    REMIX = "remix"
    DETAILS = "details"
    DELETE = "delete"
    REPORT = "report"
    CANCEL = "cancel"
    SUBTLE = "subtle"
    STRONG = "strong"
    UPSCALE = "upscale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A pressed button or a submitted form. Nothing in it is checked: members can send any custom id they like.

    `action` is a word, not always one that we know; `image` counts from 1.
    """

    action: str
    job_id: JobId
    image: int | None = None

    @classmethod
    def parse(cls, custom_id: str) -> Self | None:
        """None for a custom id that is not one of ours."""
        match = CUSTOM_ID.fullmatch(custom_id)
        return cls.of(match) if match else None

    @classmethod
    def of(cls, match: re.Match[str]) -> Self:
        """Read a match of CUSTOM_ID."""
        image = match["image"]
        return cls(action=match["action"], job_id=match["job_id"], image=int(image) if image else None)

    @property
    def custom_id(self) -> str:
        return f"pastel:{self.action}{'' if self.image is None else self.image}:{self.job_id}"


def is_card_of(custom_id: str, job_id: JobId) -> bool:
    """Whether a component with this custom id stands on the card of that job."""
    press = Press.parse(custom_id)
    return press is not None and press.job_id == job_id
