"""The gateway: sessions, IDENTIFY, RESUME, heartbeats and dispatches, as plain text frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.local_discord.journal import Journal
from tests.local_discord.world import World

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11


@dataclass
class Session:
    """One shard's session; `events` are kept for RESUME."""

    shard: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    socket: web.WebSocketResponse | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return self.socket is not None and not self.socket.closed

    async def dispatch(self, name: str, data: dict[str, Any]) -> None:
        self.events.append({"op": DISPATCH, "t": name, "s": len(self.events) + 1, "d": data})
        await self.send(self.events[-1])

    async def send(self, frame: dict[str, Any]) -> None:
        if self.live and self.socket is not None:
            try:
                await self.socket.send_str(json.dumps(frame))
            except ConnectionError:
                self.socket = None  # the process at the other end was killed this very moment


class Gateway:
    """`address` is told to the bot as its gateway, also for resuming."""

    def __init__(self, world: World, journal: Journal) -> None:
        self._world, self._journal = world, journal
        self.address = ""
        self.refuses = False  # an outage: no connection is accepted
        self.turns_away: int | None = None  # the code that a connection is closed with in place of HELLO
        self.is_mute = False  # a connection is accepted, and then nothing comes
        self.starts_left = 1000  # of a day's IDENTIFYs, as told to whoever asks for the gateway
        self.sessions: dict[str, Session] = {}
        self._changed = asyncio.Event()

    def session(self, shard: int) -> Session | None:
        """The shard's live session, the newest."""
        live = [session for session in self.sessions.values() if session.shard == shard and session.live]
        return live[-1] if live else None

    async def connected(self, within: float = 30.0) -> None:
        """Wait until every shard has a live session."""
        async with asyncio.timeout(within):
            while not all(self.session(shard) for shard in range(self._world.shards)):
                self._changed.clear()
                await self._changed.wait()

    async def forget(self, within: float = 10.0) -> None:
        """Wait until the connections of a process that ended are seen as closed."""
        async with asyncio.timeout(within):
            while any(session.live for session in self.sessions.values()):
                self._changed.clear()
                await self._changed.wait()

    async def disconnect(self, code: int = 4000) -> None:
        """Close every connection, as Discord does when it restarts a gateway.

        aiohttp's own close() hangs up at once where another task reads from the socket; whoever was closed so may find no code.
        """
        for session in self.sessions.values():
            socket, session.socket = session.socket, None
            if socket is not None and not socket.closed:
                with contextlib.suppress(ConnectionError):
                    await socket._writer.close(code)

    async def say(self, op: int, data: Any = None) -> None:
        """Send RECONNECT or INVALID_SESSION to everybody."""
        for session in self.sessions.values():
            await session.send({"op": op, "d": data})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.refuses:
            self._journal.write("gateway", "refused")
            return web.Response(status=503)
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        if self.turns_away is not None:
            self._journal.write("gateway", "turned away")
            await socket.close(code=self.turns_away)
            return socket
        if self.is_mute:
            self._journal.write("gateway", "mute")
            await socket.receive()
            return socket
        await socket.send_str(json.dumps({"op": HELLO, "d": {"heartbeat_interval": 41_250}}))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._receive(socket, json.loads(message.data))
        for session in self.sessions.values():
            if session.socket is socket:
                session.socket = None
        self._journal.write("gateway", "gone", code=socket.close_code)
        self._changed.set()
        return socket

    async def _receive(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        if frame["op"] == HEARTBEAT:
            await socket.send_str(json.dumps({"op": ACK, "d": None}))
        elif frame["op"] == IDENTIFY:
            await self._identify(socket, frame["d"])
        elif frame["op"] == RESUME:
            await self._resume(socket, frame["d"])
        elif frame["op"] != 3:  # presence
            self._journal.violation(f"gateway: unknown op {frame['op']}")

    async def _identify(self, socket: web.WebSocketResponse, data: dict[str, Any]) -> None:
        shard, count = data.get("shard", [0, 1])
        self._journal.write("gateway", "identify", shard=shard, intents=data["intents"])
        if data["token"] != self._world.token:
            await socket.close(code=4004)
            return
        session = Session(shard, socket=socket)
        self.sessions[session.id] = session
        await session.dispatch("READY", self._ready(session, shard, count))
        guild = self._world.guild
        if (guild.id >> 22) % count == shard:
            await session.dispatch("GUILD_CREATE", guild.to_json(self._world.bot, len(self._world.users) + 1))
        self._changed.set()
        self._journal.write("gateway", "ready", shard=shard)

    def _ready(self, session: Session, shard: int, count: int) -> dict[str, Any]:
        mine = (self._world.guild.id >> 22) % count == shard
        return {
            "v": 10,
            "user": self._world.bot.to_json() | {"mfa_enabled": False, "verified": True, "email": None, "flags": 0},
            "guilds": [{"id": str(self._world.guild.id), "unavailable": True}] if mine else [],
            "session_id": session.id,
            "resume_gateway_url": self.address,
            "shard": [shard, count],
            "application": {"id": str(self._world.application_id), "flags": 0},
            "private_channels": [],
        }

    async def _resume(self, socket: web.WebSocketResponse, data: dict[str, Any]) -> None:
        if data["token"] != self._world.token:
            await socket.close(code=4004)
            return
        session = self.sessions.get(data["session_id"])
        self._journal.write("gateway", "resume", known=session is not None)
        if session is None:
            await socket.send_str(json.dumps({"op": INVALID, "d": False}))
            return
        session.socket = socket
        for event in session.events[data["seq"] :]:
            await session.send(event)
        await session.dispatch("RESUMED", {})
        self._changed.set()
