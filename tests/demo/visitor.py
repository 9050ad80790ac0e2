"""Someone in front of the page, over the HTTP interface that the page's own script uses."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urldefrag

import aiohttp

Node = dict[str, Any]
TEXT = 10  # Discord's component type of a text display
PATIENCE = 60.0  # seconds; the machine may be busy


class Visitor:
    """One window. `state` is what it shows; actions are sent with the revision that it showed last, as the page does."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._url, key = urldefrag(address)
        self._session = session
        self._headers = {"X-Simcord-Capability": key}
        self._accepted = 0
        self._requests = itertools.count(1)
        self.state: Node = {}

    async def open(self) -> None:
        self.state = await self._call("POST", "pages", {})
        self._headers["X-Simcord-Context"] = self.state["context"]["id"]

    async def look(self) -> Node:
        self.state = await self._call("GET", "state")
        return self.state

    async def commands(self) -> dict[str, Node]:
        """What the menu behind `/` offers, by name."""
        return {entry["invocation"]: entry for entry in (await self._call("GET", "commands"))["entries"]}

    async def act(self, kind: str, **fields: Any) -> Node:
        """Do something, then look; gives the receipt. Fails when the page's server refuses it."""
        envelope = {
            "protocol_version": 3,
            "kind": kind,
            "sequence": self._accepted + 1,
            "request_id": f"request-{next(self._requests)}",
            "generation": self.state["context"]["generation"],
            "bot_generation": self.state["botGeneration"],
            "published_revision": self.state["publishedRevision"],
        }
        receipt = await self._call("POST", "action", envelope | fields)
        assert not receipt["rejected"], receipt["diagnostics"]
        self._accepted = receipt["expectedSequence"]
        await self.look()
        return receipt

    async def run(self, name: str, **options: Any) -> Node:
        """Use a slash command; its answer has come."""
        return await self.act("run_command", **await self._command(name), options=options)

    async def complete(self, name: str, option: str, typed: str) -> list[Node]:
        """What the page suggests for an option."""
        fields = await self._command(name)
        receipt = await self.act("autocomplete_command", **fields, options={option: typed}, focused=option, value=typed)
        return receipt["result"]["choices"]

    async def draw(self, prompt: str, **options: Any) -> str:
        """Use `/anime`; gives the id of the card's message."""
        return message_of(await self.run("anime", prompt=prompt, **options))

    async def press(self, label: str, message: str) -> Node:
        """Press that button as it was shown last; gives the receipt."""
        button = self.button(label, message)
        assert button is not None, f"no button {label!r}"
        return await self.act("click", control_key=button["control_key"], target_id=message)

    async def view_as(self, name: str) -> None:
        viewer = next(viewer for viewer in self.state["viewers"] if viewer["name"] == name)
        await self.act("viewer", viewer_id=viewer["id"])

    async def until(self, seen: Callable[[Node], Any]) -> Node:
        """Look twice a second, as the page does, until `seen` holds."""
        async with asyncio.timeout(PATIENCE):
            while not seen(await self.look()):  # noqa: ASYNC110 - the page has to ask, too
                await asyncio.sleep(0.1)
        return self.state

    def button(self, label: str, message: str) -> Node | None:
        return next((node for node in self._nodes(message) if node.get("label") == label), None)

    def text(self, message: str) -> str:
        """All text in a message."""
        return "\n".join(node["content"] for node in self._nodes(message) if node.get("type") == TEXT)

    async def pictures(self, message: str) -> list[bytes]:
        """The files of a message's gallery, as the page loads them."""
        ids = [node["media"]["asset_id"] for node in self._nodes(message) if "media" in node]
        return [await self._download(asset_id) for asset_id in ids]

    def newest(self) -> Node:
        return self.state["messages"][self.state["timeline"][-1]]

    def _nodes(self, message: str) -> Iterator[Node]:
        return _walk(self.state["messages"].get(message, {}).get("components"))

    async def _command(self, name: str) -> Node:
        entry = (await self.commands())[name]
        return {"command_id": entry["commandId"], "path": entry["path"], "schema_fingerprint": entry["schemaFingerprint"]}

    async def _download(self, asset_id: str) -> bytes:
        async with self._session.get(f"{self._url}api/assets/{asset_id}", headers=self._headers) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self._url}api/{path}"
        async with self._session.request(method, url, json=body, headers=self._headers) as answer:
            answer.raise_for_status()
            return await answer.json()


def message_of(receipt: Node) -> str:
    """The message that answers an action."""
    return next(outcome["messageId"] for outcome in receipt["outcomes"] if "messageId" in outcome)


def _walk(value: Any) -> Iterator[Node]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from _walk(child)
