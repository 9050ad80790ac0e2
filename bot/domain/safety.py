"""How far pictures may go, and how they are shown. The ratings are Danbooru's, whose tags anime models have learned."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rating(StrEnum):
    """What a picture shows, from harmless to explicit."""

    GENERAL = "general"  # for everybody
    SENSITIVE = "sensitive"  # suggestive: swimwear, tight clothes
    QUESTIONABLE = "questionable"  # nudity without sex, underwear
    EXPLICIT = "explicit"  # for adults

    def is_beyond(self, limit: Rating) -> bool:
        """Whether this goes further than `limit`."""
        scale = tuple(Rating)
        return scale.index(self) > scale.index(limit)

    def stricter(self, other: Rating) -> Rating:
        """The less far of the two."""
        return other if self.is_beyond(other) else self

    def below(self) -> Rating | None:
        """Returns the next level towards harmless; None for the last, below which nothing is left."""
        scale = tuple(Rating)
        return scale[scale.index(self) - 1] if self is not scale[0] else None


HIGHEST_OF_YOUNG = Rating.SENSITIVE
"""How far a picture of a child may go, in whatever channel."""


class SafetyLevel(StrEnum):
    """What a server allows. No level lifts the rule about minors.

    STRICT: pictures for everybody only, in age-restricted channels too.
    MODERATE: suggestive pictures as well; nothing sexual in any channel, not even in age-restricted ones.
    AGE_RESTRICTED: anything for adults in channels that Discord marks as age-restricted; elsewhere as MODERATE.
    """

    STRICT = "strict"
    MODERATE = "moderate"
    AGE_RESTRICTED = "age-restricted"

    def allows_adult(self, *, age_restricted: bool) -> bool:
        """Whether sexual words and pictures are possible in a channel that is marked like this."""
        return age_restricted and self is SafetyLevel.AGE_RESTRICTED

    def highest_rating(self, *, age_restricted: bool) -> Rating:
        """The furthest that a picture may go in a channel that is marked like this."""
        if self.allows_adult(age_restricted=age_restricted):
            return Rating.EXPLICIT
        return Rating.GENERAL if self is SafetyLevel.STRICT else Rating.SENSITIVE


class Spoilers(StrEnum):
    """Which pictures a server hides behind a click. What members want hidden is hidden in any case."""

    NEVER = "never"
    AGE_RESTRICTED = "age-restricted"  # those in age-restricted channels
    ALWAYS = "always"

    def hides(self, *, age_restricted: bool) -> bool:
        """Whether pictures in a channel that is marked like this are hidden."""
        return self is Spoilers.ALWAYS or (self is Spoilers.AGE_RESTRICTED and age_restricted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """How a job's pictures may be shown, decided when it was taken in: up to `rating`, and behind a click if `spoiler`."""

    rating: Rating = Rating.GENERAL
    spoiler: bool = False


STRICTEST = Showing()
"""Where nobody decided: for everybody's eyes only."""
