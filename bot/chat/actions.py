"""Parses the action of a button, select or form from its custom id, so that it works permanently and needs no memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from bot.domain.job import JobId

REMIX_FORM = "remixed"
REPORT_FORM = "reported"
# The buttons of a report, for the moderators of the job's server.
REPORT_REMOVE, REPORT_BLOCK, REPORT_DISMISS = "reportremove", "reportblock", "reportdismiss"
ERASE = "erase"  # the confirmation of `/privacy delete`; instead of a job id it has the member's, in 16 digits too
PROFILE, PROFILE_FORM = "profile", "profiled"  # `/profile`: its button and its form; about the member who presses
FOUND, FOUND_FORM = "found", "adopted"  # settings read from a picture: the button and the form that draws with them
NO_JOB = "0" * 16  # the job id of a button or form that is about no job
THEME = "theme"  # instead of a setting: the select that turns the panel's page
HISTORY = "history"  # instead of a page: the button for older changes, with the number of the oldest that is shown


class Action(StrEnum):
    """A button of a card. SUBTLE, STRONG and UPSCALE carry the number of a picture, from 1."""

    REROLL = "reroll"
    REMIX = "remix"
    DETAILS = "details"
    DELETE = "delete"
    REPORT = "report"
    CANCEL = "cancel"
    SUBTLE = "subtle"
    STRONG = "strong"
    UPSCALE = "upscale"


class CustomId:
    """A parsed custom id. Nothing in it is checked: members can send any custom id they like.

    Old messages keep theirs forever, so a `PATTERN` must still match everything that it ever matched.
    """

    __slots__ = ()
    PATTERN: ClassVar[re.Pattern[str]]

    @classmethod
    def parse(cls, custom_id: str) -> Self | None:
        """Returns the parsed custom id; None for one of another family."""
        match = cls.PATTERN.fullmatch(custom_id)
        return cls._of(match) if match else None

    @classmethod
    def _of(cls, match: re.Match[str]) -> Self:
        return cls(**match.groupdict())


@dataclass(frozen=True, slots=True, kw_only=True)
class Press(CustomId):
    """A pressed button or a submitted form, mostly about a job.

    `action` may be unknown to us; `image` counts from 1.
    """

    PATTERN = re.compile(r"pastel:(?P<action>[a-z]+)(?P<image>[0-9]?):(?P<job_id>[0-9a-f]{16})")

    action: str
    job_id: JobId
    image: int | None = None

    @classmethod
    def _of(cls, match: re.Match[str]) -> Self:
        image = match["image"]
        return cls(action=match["action"], job_id=match["job_id"], image=int(image) if image else None)

    @property
    def custom_id(self) -> str:
        return f"pastel:{self.action}{'' if self.image is None else self.image}:{self.job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPress(CustomId):
    """A select that was used, a pressed button or a submitted form of the settings panel."""

    PATTERN = re.compile(r"pastel-settings:(?P<page>[a-z]+):(?P<setting>[a-z_]+|[0-9]{1,18})")

    page: str
    setting: str

    @property
    def custom_id(self) -> str:
        return f"pastel-settings:{self.page}:{self.setting}"


AnyPress = Press | SettingsPress
ANY_CUSTOM_ID = re.compile(f"{Press.PATTERN.pattern}|{SettingsPress.PATTERN.pattern}")


def press_of(custom_id: str) -> AnyPress | None:
    """Returns the press that the custom id describes; None for one that is not ours."""
    return Press.parse(custom_id) or SettingsPress.parse(custom_id)


def is_card_of(custom_id: str, job_id: JobId) -> bool:
    """Returns whether a component with this custom id belongs to the card of that job."""
    press = Press.parse(custom_id)
    return press is not None and press.job_id == job_id
