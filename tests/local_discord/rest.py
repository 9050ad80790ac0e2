"""The REST routes that the bot's own token opens, and the CDN."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.local_discord.body import nothing, read_body, reply
from tests.local_discord.clock import Snowflakes
from tests.local_discord.gateway import Gateway
from tests.local_discord.messages import Messages
from tests.local_discord.refusals import (
    invalid_form,
    missing_access,
    missing_permissions,
    unauthorized,
    unknown_channel,
    unknown_message,
)
from tests.local_discord.world import (
    ATTACH_FILES,
    READ_HISTORY,
    SEND_IN_THREADS,
    SEND_MESSAGES,
    THREAD,
    VIEW_CHANNEL,
    Channel,
    World,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
API = "/api/v10"


class RestApi:
    """Handlers and the commands that the bot registered, by scope (0: global, else a guild's id)."""

    def __init__(self, world: World, messages: Messages, gateway: Gateway, snowflakes: Snowflakes) -> None:
        self._world, self._messages, self._gateway, self._snowflakes = world, messages, gateway, snowflakes
        self.commands: dict[int, list[dict[str, Any]]] = {}
        self.syncs = 0

    def routes(self) -> list[web.RouteDef]:
        def bot(method: str, path: str, handler: Handler) -> web.RouteDef:
            return web.route(method, API + path, self._authorized(handler))

        channel, message = "/channels/{channel}", "/channels/{channel}/messages/{message}"
        commands, guild_commands = "/applications/{app}/commands", "/applications/{app}/guilds/{guild}/commands"
        return [
            bot("GET", "/users/@me", self._me),
            bot("GET", "/oauth2/applications/@me", self._application),
            bot("GET", "/applications/@me", self._application),
            bot("GET", "/gateway/bot", self._gateway_bot),
            *(bot("GET", path, self._get_commands) for path in (commands, guild_commands)),
            *(bot("PUT", path, self._put_commands) for path in (commands, guild_commands)),
            bot("GET", channel, self._get_channel),
            bot("GET", f"{channel}/messages", self._get_history),
            bot("POST", f"{channel}/messages", self._post_message),
            bot("GET", message, self._get_message),
            bot("PATCH", message, self._patch_message),
            bot("DELETE", message, self._delete_message),
            bot("POST", "/users/@me/channels", self._open_dm),
            web.get("/attachments/{channel}/{id}/{name}", self._file),
            web.get("/ephemeral-attachments/{channel}/{id}/{name}", self._file),
        ]

    def _authorized(self, handler: Handler) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Bot {self._world.token}":
                raise unauthorized()
            return await handler(request)

        return checked

    async def _me(self, _: web.Request) -> web.Response:
        return reply(self._world.bot.to_json() | {"mfa_enabled": False, "verified": True, "email": None, "locale": "en-US"})

    async def _application(self, _: web.Request) -> web.Response:
        owner = self._world.moderator.to_json()
        return reply({
            "id": str(self._world.application_id), "name": "Pastel", "icon": None, "description": "", "rpc_origins": [],
            "bot_public": True, "bot_require_code_grant": False, "owner": owner, "summary": "", "verify_key": "0" * 64,
            "team": None, "flags": 0, "tags": [], "bot": self._world.bot.to_json(), "approximate_guild_count": 1,
        })  # fmt: skip

    async def _gateway_bot(self, _: web.Request) -> web.Response:
        limit = {"total": 1000, "remaining": self._gateway.starts_left, "reset_after": 7_200_000, "max_concurrency": 1}
        return reply({"url": self._gateway.address, "shards": self._world.shards, "session_start_limit": limit})

    async def _get_commands(self, request: web.Request) -> web.Response:
        return reply(self.commands.get(int(request.match_info.get("guild", 0)), []))

    async def _put_commands(self, request: web.Request) -> web.Response:
        scope = int(request.match_info.get("guild", 0))
        extra = {"application_id": str(self._world.application_id), "default_member_permissions": None}
        before = {command["name"]: command["id"] for command in self.commands.get(scope, [])}
        sent: list[dict[str, Any]] = await request.json()
        if len({command["name"] for command in sent}) != len(sent):
            raise invalid_form("two commands of one name")
        self.commands[scope] = [
            {**extra, "description": "", **command, "version": str(self._snowflakes.next()),
             "id": before.get(command["name"]) or str(self._snowflakes.next())}
            for command in sent
        ]  # fmt: skip
        self.syncs += 1
        return reply(self.commands[scope])

    def _channel(self, request: web.Request) -> Channel:
        channel = self._world.channels.get(int(request.match_info["channel"]))
        if channel is None or channel.deleted:
            raise unknown_channel()
        if not channel.allows(VIEW_CHANNEL):
            raise missing_access()
        return channel

    async def _get_channel(self, request: web.Request) -> web.Response:
        return reply(self._channel(request).to_json())

    async def _get_history(self, request: web.Request) -> web.Response:
        channel = self._channel(request)
        if not channel.allows(READ_HISTORY):
            return reply([])
        query = request.query
        before, after = int(query.get("before", 1 << 63)), int(query.get("after", 0))
        found = [m for m in self._messages.history(channel) if after < m.id < before]
        limit = int(query.get("limit", 50))
        found = found[-limit:] if "after" in query else found[:limit]
        return reply([self._messages.to_json(message) for message in found])

    async def _post_message(self, request: web.Request) -> web.Response:
        channel, body = self._channel(request), await read_body(request)
        if not channel.allows(SEND_IN_THREADS if channel.kind == THREAD else SEND_MESSAGES):
            raise missing_permissions()
        if body.files and not channel.allows(ATTACH_FILES):
            raise missing_permissions()
        message = self._messages.create(channel, body.payload, body.files)
        return reply(self._messages.to_json(message))

    async def _get_message(self, request: web.Request) -> web.Response:
        message = self._messages.get(self._channel(request), int(request.match_info["message"]))
        return reply(self._messages.to_json(message))

    async def _patch_message(self, request: web.Request) -> web.Response:
        channel, body = self._channel(request), await read_body(request)
        message = self._messages.get(channel, int(request.match_info["message"]))
        if message.ephemeral:
            raise unknown_message()
        return reply(self._messages.to_json(self._messages.edit(message, body.payload, body.files)))

    async def _delete_message(self, request: web.Request) -> web.Response:
        message = self._messages.get(self._channel(request), int(request.match_info["message"]))
        if message.ephemeral:
            raise unknown_message()
        self._messages.delete(message)
        return nothing()

    async def _open_dm(self, request: web.Request) -> web.Response:
        recipient = int((await request.json())["recipient_id"])
        return reply(self._world.dms[recipient].to_json())

    async def _file(self, request: web.Request) -> web.Response:
        file = self._messages.files.get(int(request.match_info["id"]))
        if file is None or file.name != request.match_info["name"]:
            return web.Response(status=404)
        return web.Response(body=file.data, content_type="image/png")
