"""The routes that an interaction's token opens; they want no other authorisation."""

from __future__ import annotations

from aiohttp import web

from tests.local_discord.body import nothing, read_body, reply
from tests.local_discord.interactions import Interactions
from tests.local_discord.messages import EPHEMERAL, Message, Messages
from tests.local_discord.refusals import unknown_webhook
from tests.local_discord.rest import API
from tests.local_discord.world import World


class WebhookApi:
    """Callback, @original and follow-ups."""

    def __init__(self, world: World, messages: Messages, interactions: Interactions) -> None:
        self._world, self._messages, self._interactions = world, messages, interactions

    def routes(self) -> list[web.RouteDef]:
        hook = API + "/webhooks/{app}/{token}"
        one = hook + "/messages/{message}"
        return [
            web.post(API + "/interactions/{id}/{token}/callback", self._callback),
            web.post(hook, self._follow_up),
            web.get(one, self._get),
            web.patch(one, self._patch),
            web.delete(one, self._delete),
        ]

    async def _callback(self, request: web.Request) -> web.Response:
        body, match = await read_body(request), request.match_info
        it = self._interactions.respond(int(match["id"]), match["token"], body.payload, body.files)
        if request.query.get("with_response") not in ("1", "true", "True"):
            return nothing()
        about = {"id": str(it.id), "type": it.kind}
        if it.original is None:
            return reply({"interaction": about})
        flags = it.original.now.flags
        about |= {"response_message_id": str(it.original.id), "response_message_loading": it.original.loading,
                  "response_message_ephemeral": bool(flags & EPHEMERAL)}  # fmt: skip
        resource = {"type": it.answer, "message": self._messages.to_json(it.original)}
        return reply({"interaction": about, "resource": resource})

    async def _follow_up(self, request: web.Request) -> web.Response:
        self._check_app(request)
        body = await read_body(request)
        it = self._interactions.with_token(request.match_info["token"])
        return reply(self._messages.to_json(self._interactions.follow_up(it, body.payload, body.files)))

    async def _get(self, request: web.Request) -> web.Response:
        return reply(self._messages.to_json(self._message(request)))

    async def _patch(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        return reply(self._messages.to_json(self._messages.edit(self._message(request), body.payload, body.files)))

    async def _delete(self, request: web.Request) -> web.Response:
        self._messages.delete(self._message(request))
        return nothing()

    def _message(self, request: web.Request) -> Message:
        self._check_app(request)
        it = self._interactions.with_token(request.match_info["token"])
        return self._interactions.message(it, request.match_info["message"])

    def _check_app(self, request: web.Request) -> None:
        if request.match_info["app"] != str(self._world.application_id):
            raise unknown_webhook()
