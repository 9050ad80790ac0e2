"""Points the unmodified discord.py of this process at a local Discord; to be called before the client logs in."""

from __future__ import annotations

import discord
import yarl
from discord.asset import Asset
from discord.gateway import DiscordWebSocket
from discord.http import Route


def attach(origin: str) -> None:
    """`origin` is http://127.0.0.1:PORT. Three class attributes are all that the library derives its addresses from."""
    assert discord.__version__ == "2.7.1", "check again that nothing else holds an address of Discord's"
    assert origin.startswith("http://127.0.0.1:")
    Route.BASE = f"{origin}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"ws{origin.removeprefix('http')}/gateway/")
    Asset.BASE = origin
