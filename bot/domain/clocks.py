"""Times on disk that this machine's clock is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTimes:
    """The newest times on disk: when the last job was asked for, by Discord's clock, and by what time ages were told last."""

    asked_at: datetime | None = None
    told_by: datetime | None = None

    @property
    def newest(self) -> datetime | None:
        return max((time for time in (self.asked_at, self.told_by) if time is not None), default=None)
