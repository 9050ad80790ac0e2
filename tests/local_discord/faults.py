"""Faults on purpose: what happens to the next requests that match."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.local_discord.refusals import RefusalError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Fault:
    """What goes wrong with a request whose method and path match.

    `before`: it is refused or the connection is cut without any effect. `after`: it takes effect, and only then the answer
    is replaced or lost. "reset" sends a TCP reset. `times` counts down; `seen` counts what was hit.
    """

    method: str
    path: str
    before: RefusalError | str | None = None
    after: RefusalError | str | None = None
    delay: float = 0.0
    times: int = 1
    seen: int = field(default=0, init=False)

    def matches(self, request: web.Request) -> bool:
        return self.times > 0 and request.method == self.method and re.search(self.path, request.path) is not None


class Faults:
    """The faults that wait."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, method: str, path: str, **what: Any) -> Fault:
        """`path` is a regular expression searched in the request's path; for `what` see Fault."""
        fault = Fault(method, path, **what)
        self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        self._waiting.clear()

    async def run(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = next((fault for fault in self._waiting if fault.matches(request)), None)
        if fault is None:
            return await handler(request)
        fault.times -= 1
        fault.seen += 1
        await asyncio.sleep(fault.delay)
        if fault.before is not None:
            await request.read()
        _strike(request, fault.before)
        response = await handler(request)
        _strike(request, fault.after)
        return response


def _strike(request: web.Request, blow: RefusalError | str | None) -> None:
    if isinstance(blow, RefusalError):
        raise blow
    if blow == "reset" and request.transport is not None:
        raw = request.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() then sends RST
        request.transport.abort()
        raise ConnectionResetError
