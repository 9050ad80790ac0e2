"""Headless Chromium over the DevTools protocol: enough to type, press and look. Only for screenshots, never in the suite."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
CLICKABLE = "document.querySelectorAll('button, a, [role=option], .command-suggestion')"
SHOWS = "(label => element => element.textContent.replace(/[^ -~]/g, '').trim() === label)"


class Tab:
    """One page. `width` and `height` are CSS pixels."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.log: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            answer = await self._socket.receive_json(timeout=60)
            if answer.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}:
                self.log.append(json.dumps(answer["params"])[:600])
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["result"]

    async def open(self, address: str, width: int = 1000, height: int = 1000, scale: float = 1.0) -> None:
        await self.call("Page.enable")
        await self.call("Runtime.enable")
        await self.call("Log.enable")
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)
        await self.call("Page.navigate", url=address)

    async def run(self, script: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    async def until(self, script: str, seconds: float = 60) -> None:
        """Wait until `script` gives something true."""
        async with asyncio.timeout(seconds):
            while not await self.run(f"Boolean({script})"):  # noqa: ASYNC110 - the page cannot call us
                await asyncio.sleep(0.05)

    async def press(self, label: str) -> None:
        """Click the last element that shows exactly `label`; emoji do not count."""
        await self.until(
            f"(b => b && !b.disabled && (b.click(), true))([...{CLICKABLE}].filter({SHOWS}({json.dumps(label)})).at(-1))"
        )

    async def write(self, text: str) -> None:
        """Type into whatever has the focus."""
        for char in text:
            await self.call("Input.dispatchKeyEvent", type="keyDown", text=char, key=char, unmodifiedText=char)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=char)

    async def key(self, name: str) -> None:
        code = {"Enter": 13, "Tab": 9, "Escape": 27}[name]
        text = "\r" if name == "Enter" else ""
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=name, windowsVirtualKeyCode=code, text=text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code)

    async def shoot(self, path: Path) -> None:
        """Save what is visible as a PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Tab]:
    """A fresh headless browser with one tab."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise FileNotFoundError("Chromium is needed for screenshots, and was not found")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            program, *FLAGS, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.PIPE
        )
        try:
            assert process.stderr is not None
            async with asyncio.timeout(60):
                while b"DevTools listening on" not in (line := await process.stderr.readline()):
                    pass
            port = line.decode().split("127.0.0.1:")[1].split("/")[0]
            draining = asyncio.create_task(_drain(process.stderr), name="chromium-stderr")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    targets = await answer.json()
                page = next(target for target in targets if target["type"] == "page")
                async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Tab(socket)
            draining.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass
