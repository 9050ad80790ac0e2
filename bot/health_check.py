"""Asks a running bot whether it is ready; the container's health check."""

from __future__ import annotations

import http.client

ASK_LIMIT = 4.0  # seconds
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # an address to listen at, and the one to ask


def ask_health(host: str, port: int) -> tuple[bool, str]:
    """Returns whether the bot behind HTTP_HOST and HTTP_PORT of this machine is ready, and a line about it. Blocks.

    With port 0 the operator has turned the check off, which is no fault of the bot's.
    """
    if port == 0:
        return True, "HTTP_PORT is 0, so nobody can ask."
    connection = http.client.HTTPConnection(EVERYWHERE.get(host, host), port, timeout=ASK_LIMIT)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == http.client.OK, answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"Nothing healthy answers on port {port} ({type(error).__name__})."
    finally:
        connection.close()
