"""Whom the operator serves: which servers, and which users never."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import NotAllowedError
from bot.messages import translatable

BLOCKED = translatable(
    "My host doesn't let you draw with me. You can still use `/privacy` to see, export and delete what I keep about you."
)
OTHER_SERVER = translatable("My host hasn't opened me to this server, so I don't draw here. Ask whoever hosts me.")
NO_MESSAGES = translatable(
    "My host lets me draw in certain servers only, and not in direct messages. Use me in one of those servers."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Discord's ids. Without `served_servers` every server is served, and so are direct messages; with some, only they are:
    who writes to us directly may come from anywhere.
    """

    served_servers: frozenset[int] = frozenset()
    blocked_users: frozenset[int] = frozenset()

    def check(self, *, user_id: int, guild_id: int | None) -> None:
        """Raises NotAllowedError for who is not served; `guild_id` None is a direct message."""
        if user_id in self.blocked_users:
            raise NotAllowedError(BLOCKED)
        if not self.served_servers or guild_id in self.served_servers:
            return
        raise NotAllowedError(NO_MESSAGES if guild_id is None else OTHER_SERVER)


EVERYBODY = Audience()
"""Whom an operator serves who has said nothing."""
