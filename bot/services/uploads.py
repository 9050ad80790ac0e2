"""How many of members' files are fetched and decoded at once."""

from __future__ import annotations

from bot.messages import translatable
from bot.services.bounds import Places

OWN_FULL = translatable("I'm still reading your other files. Wait until they're done, then send this one again.")
ALL_FULL = translatable("Many people are sending me files right now. Try again in a minute.")


class UploadPlaces(Places):
    """A file is fetched, decoded and made smaller within one `take`, so that what is held in memory has a bound: four files
    of at most 10 MiB, and what the threads for strangers' files decode.
    """

    def __init__(self) -> None:
        super().__init__(a_member=3, at_once=4, in_all=40, own_full=OWN_FULL, all_full=ALL_FULL)
