"""Checks the port of the demo's page before anything starts."""

from __future__ import annotations

import socket

from bot.health import PortTakenError

HOST = "127.0.0.1"
HIGHEST = 65_535


def refuse_taken(port: int) -> None:
    """Raises PortTakenError unless `port` (0: a free one) is free; stopping a bot that has started takes seconds."""
    if not 0 <= port <= HIGHEST:
        raise taken(port)
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        raise taken(port) from None


def taken(port: int) -> PortTakenError:
    return PortTakenError(f"Port {port} is taken or not allowed. Give --port another number, or leave it out for a free one.")
