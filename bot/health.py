"""Serves `/healthz` and `/metrics`, and probes the event loop's lag."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.errors import FolderError, OperatorError
from bot.metrics import Metrics

Check = Callable[[], Awaitable[bool]]
LOOPBACK = "127.0.0.1"  # only this machine
LAG_PERIOD = 0.1  # seconds between two wake-ups of the probe
CHECK_LIMIT = 2.0  # seconds; a check that hangs is a check that failed


class PortTakenError(OperatorError):
    """Raised when HTTP_PORT at HTTP_HOST, or the port of the demo's page, cannot be bound."""

    exit_code = FolderError.exit_code


@asynccontextmanager
async def serve_health(
    port: int, checks: Mapping[str, Check], metrics: Metrics, *, host: str = LOOPBACK
) -> AsyncGenerator[int]:
    """Serves on `port` of the address `host` and yields the bound port; `port` 0: serves nothing.

    `/healthz` answers 200 when every check passes, else 503, with a line a check. Raises PortTakenError.
    """
    if port == 0:
        yield 0
        return

    async def healthz(request: web.Request) -> web.Response:
        del request
        names = list(checks)
        results = await asyncio.gather(*(_holds(checks[name]) for name in names))
        body = "".join(f"{name}: {'ok' if ok else 'not ready'}\n" for name, ok in zip(names, results, strict=True))
        return web.Response(status=200 if all(results) else 503, text=body)

    async def show_metrics(request: web.Request) -> web.Response:
        del request
        page = await asyncio.to_thread(generate_latest, metrics.registry)  # some gauges look at the disk
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/metrics", show_metrics)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise PortTakenError(_refusal(host, port, error)) from None
        yield port
    finally:
        await runner.cleanup()


async def measure_lag(observe: Callable[[float], object]) -> None:
    """Reports to `observe` how late, in seconds, the loop wakes a sleeper, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_PERIOD
        await asyncio.sleep(LAG_PERIOD)
        observe(max(0.0, loop.time() - due))


def _refusal(host: str, port: int, error: OSError) -> str:
    # asyncio gives no errno where none of a name's addresses is this machine's (Python 3.12.4 and newer).
    if isinstance(error, socket.gaierror) or error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, None}:
        return f"HTTP_HOST {host} is no address of this machine. Set 127.0.0.1, or 0.0.0.0 for all that it has."
    return f"HTTP_PORT {port} is in use ({error.strerror}). Choose another, or 0 for none."


async def _holds(check: Check) -> bool:
    try:
        return await asyncio.wait_for(check(), CHECK_LIMIT)
    except Exception:  # noqa: BLE001 - a check that fails in any way means "not ready", which is the answer
        return False
