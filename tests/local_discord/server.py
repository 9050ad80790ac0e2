"""The local Discord: serves the bot, and acts for the members."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

from aiohttp import web

from tests.local_discord.body import reply
from tests.local_discord.clock import SettableClock, Snowflakes
from tests.local_discord.faults import Faults
from tests.local_discord.forms import fill_command, fill_modal
from tests.local_discord.gateway import Gateway
from tests.local_discord.interactions import AUTOCOMPLETE, COMMAND, PRESS, SUBMIT, Interaction, Interactions
from tests.local_discord.journal import Journal
from tests.local_discord.messages import Message, Messages
from tests.local_discord.refusals import RefusalError
from tests.local_discord.rest import RestApi
from tests.local_discord.webhooks import WebhookApi
from tests.local_discord.world import Channel, User, World

TOKEN = "bG9jYWwtZGlzY29yZA.local1.made-up-for-the-local-discord"  # the shape of one, and nobody's
MAX_BODY = 64 * 1024 * 1024  # aiohttp's own limit of 1 MiB would refuse pictures before our rules are asked


class LocalDiscord:
    """An async context manager; `origin` is http://127.0.0.1:PORT while it runs.

    Acting methods (command, press, submit, autocomplete) send an interaction and return at once; `answer` waits.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.clock = SettableClock()
        self.snowflakes = Snowflakes(self.clock)
        self.journal = Journal()
        self.faults = Faults()
        self.world = World(self.snowflakes, token)
        self.gateway = Gateway(self.world, self.journal)
        self.messages = Messages(self.world, self.clock, self.snowflakes, self.journal)
        self.interactions = Interactions(self.world, self.messages, self.clock, self.snowflakes, self.journal)
        self.rest = RestApi(self.world, self.messages, self.gateway, self.snowflakes)
        self.origin = ""
        self._runner = web.AppRunner(self._application(), shutdown_timeout=0.5, handler_cancellation=False)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.origin = self.messages.base = f"http://127.0.0.1:{port}"
        self.gateway.address = f"ws://127.0.0.1:{port}/gateway/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.disconnect()
        await self._runner.cleanup()

    async def command(self, user: User, name: str, *, channel: Channel | None = None, **given: Any) -> Interaction:
        """`/name`, or `/name sub`, with its options; one that was never synced is refused, as in Discord's own box."""
        name, _, sub = name.partition(" ")
        data = fill_command(self._command(name), given, sub=sub or None)
        return await self._send(COMMAND, user, channel or self.world.general, data)

    async def autocomplete(self, user: User, name: str, focused: str, **given: Any) -> Interaction:
        data = fill_command(self._command(name), given, focused=focused)
        return await self._send(AUTOCOMPLETE, user, self.world.general, data)

    async def press(self, user: User, message: Message, wanted: str) -> Interaction:
        """The button whose label or custom_id contains `wanted`, on the message as it looks now."""
        assert not message.deleted, "nobody can press a button of a deleted message"
        button = message.button(wanted)
        assert not button.get("disabled"), f"{wanted} is disabled"
        return await self.forge(user, message, button["custom_id"])

    async def forge(self, user: User, message: Message, custom_id: str) -> Interaction:
        """A press that Discord's own app would not send now: another custom_id, or a button that was there before.

        The event carries the message with that button: discord.py drops presses of buttons that the message does not have.
        """
        return await self._send(PRESS, user, message.channel, {"custom_id": custom_id, "component_type": 2}, message)

    async def submit(self, opened: Interaction, **given: Any) -> Interaction:
        """Send the modal that answered `opened`; `given` are values by the fields' custom_id."""
        assert opened.modal is not None, "no modal was opened"
        return await self._send(SUBMIT, opened.user, opened.channel, fill_modal(opened.modal, given), opened.source)

    async def answer(self, it: Interaction, within: float = 10.0) -> Interaction:
        """Wait for the first answer."""
        async with asyncio.timeout(within):
            await it.answered.wait()
        return it

    async def shown(self, message: Message, wanted: str, within: float = 30.0) -> Message:
        """Wait until the message shows `wanted`, in its text or on one of its buttons."""
        await self.until(lambda: _shows(message, wanted), f"{wanted!r} in {message.now.text!r}", within)
        return message

    async def until(self, holds: Any, what: str, within: float = 30.0) -> None:
        """Wait until `holds()` is true; it is asked after each entry of the journal."""
        changed = asyncio.Event()
        stop = self.journal.listen(lambda _: changed.set())
        try:
            async with asyncio.timeout(within):
                while not holds():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            raise AssertionError(f"waited {within} s in vain for {what}") from None
        finally:
            stop()

    def advance(self, **by: float) -> None:
        """Move this Discord's clock, as timedelta's keywords say."""
        self.clock.advance(timedelta(**by))

    async def _send(
        self, kind: int, user: User, channel: Channel, data: dict[str, Any], source: Message | None = None
    ) -> Interaction:
        it = self.interactions.begin(kind, user, channel, data, source)
        session = self.gateway.session(self.world.shard_of(channel))
        it.sent = session is not None
        if session is not None:
            await session.dispatch("INTERACTION_CREATE", self.interactions.to_json(it))
        return it

    def _command(self, name: str) -> Mapping[str, Any]:
        scopes = (self.world.guild.id, 0)
        found = (c for scope in scopes for c in self.rest.commands.get(scope, []) if c["name"] == name)
        command = next(found, None)
        assert command is not None, f"/{name} was never synced"
        return command

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._answer])
        app.add_routes(self.rest.routes())
        app.add_routes(WebhookApi(self.world, self.messages, self.interactions).routes())
        app.add_routes([web.get("/gateway/", self.gateway.serve)])
        return app

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path == "/gateway/":
            return await handler(request)
        try:
            response = await self.faults.run(request, handler)
        except RefusalError as refusal:
            response = reply(refusal.body, refusal.status)
            response.headers.update(refusal.headers)
        except web.HTTPException as error:
            self.journal.violation(f"{request.method} {request.path}: {error.status}, no such route here")
            response = reply({"message": "404: Not Found", "code": 0}, 404)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=499)  # to nobody: the bot's process is gone, or a fault cut the connection
        except Exception as error:  # noqa: BLE001 - a bug of ours, or a body that Discord would not understand either
            self.journal.violation(f"{request.method} {request.path}: {error!r}")
            response = reply({"message": repr(error), "code": 0}, 400)
        self.journal.write("request", f"{request.method} {request.path}", status=response.status)
        if response.status in (400, 404) and _code(response) == 50035:
            self.journal.violation(f"{request.method} {request.path}: {response.body!r}")
        return response


def _code(response: web.StreamResponse) -> int | None:
    body = response.body if isinstance(response, web.Response) else None
    return json.loads(body).get("code") if isinstance(body, bytes) else None


def _shows(message: Message, wanted: str) -> bool:
    labels = [button.get("label") or "" for button in message.now.buttons]
    return wanted in message.now.text or any(wanted in label for label in labels)
