"""Whom the operator serves: which servers, and which users never."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import NotAllowedError

BLOCKED = "My host does not draw for you. `/privacy` still shows, exports and deletes what I keep of you."
OTHER_SERVER = "My host has not opened me to this server, so I draw nothing here. Ask whoever hosts me."
NO_MESSAGES = "My host has opened me to some servers only, and not to direct messages. Use me in one of those servers."


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
