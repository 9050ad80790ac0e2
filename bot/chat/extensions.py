"""Lists the cogs by name, so that no lower layer imports them."""

from __future__ import annotations

EXTENSIONS = (
    "cogs.anime",
    "cogs.card_buttons",
    "cogs.queue",
    "cogs.quota",
    "cogs.settings",
    "cogs.moderation",
    "cogs.reports",
    "cogs.profile",
    "cogs.context_menus",
    "cogs.privacy",
    "cogs.help",
    "cogs.about",
)
