"""Reads a request's body: JSON, or multipart with payload_json and files[n]."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from tests.local_discord.refusals import invalid_form


@dataclass
class Body:
    """`files` by the number in files[n]."""

    payload: dict[str, Any] = field(default_factory=dict)
    files: dict[int, tuple[str, bytes]] = field(default_factory=dict)


async def read_body(request: web.Request) -> Body:
    if request.content_type == "application/json":
        return Body(json.loads(await request.read()))
    if request.content_type != "multipart/form-data":
        raise invalid_form(f"content type {request.content_type}")
    body = Body()
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        data = bytes(await part.read())
        if part.name == "payload_json":
            body.payload = json.loads(data)
        elif match := re.fullmatch(r"files\[(\d+)\]", part.name or ""):
            body.files[int(match[1])] = (part.filename or "", data)
        else:
            raise invalid_form(f"part {part.name!r}")
    return body


def reply(data: Any, status: int = 200) -> web.Response:
    """JSON with exactly `application/json`: with a charset after it, discord.py hands the body on as text."""
    return web.Response(body=json.dumps(data).encode(), status=status, headers={"Content-Type": "application/json"})


def nothing() -> web.Response:
    return web.Response(status=204)
