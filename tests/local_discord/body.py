"""Reads a request's body: JSON, or multipart with payload_json and files[n]."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.local_discord.refusals import invalid_form

NAME = re.compile(rb'[;\s]name="([^"]*)"')
FILE_NAME = re.compile(rb'[;\s]filename="([^"]*)"')


@dataclass
class Body:
    """`files` by the number in files[n]."""

    payload: dict[str, Any] = field(default_factory=dict)
    files: dict[int, tuple[str, bytes]] = field(default_factory=dict)


async def read_body(request: web.Request) -> Body:
    """The whole body first: what a killed process had half sent must have no effect."""
    raw = await request.read()
    if request.content_type == "application/json":
        return Body(json.loads(raw))
    if request.content_type != "multipart/form-data":
        raise invalid_form(f"content type {request.content_type}")
    body = Body()
    match = re.search(r"boundary=([^;]+)", request.headers["Content-Type"])
    for headers, data in _parts(raw, match[1].strip('"').encode() if match else b""):
        name = _found(NAME, headers)
        if name == "payload_json":
            body.payload = json.loads(data)
        elif number := re.fullmatch(r"files\[(\d+)\]", name):
            body.files[int(number[1])] = (_found(FILE_NAME, headers), data)
        else:
            raise invalid_form(f"part {name!r}")
    return body


def _parts(raw: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Headers and data of each part; the boundary is random, so that data cannot hold it (RFC 2046)."""
    first, *parts = (b"\r\n" + raw).split(b"\r\n--" + boundary)
    if first or not parts or not parts[-1].startswith(b"--"):
        raise invalid_form("the multipart body is cut off")
    for part in parts[:-1]:
        headers, _, data = part.partition(b"\r\n\r\n")
        yield headers, data


def _found(pattern: re.Pattern[bytes], headers: bytes) -> str:
    match = pattern.search(headers)
    return match[1].decode() if match else ""


def reply(data: Any, status: int = 200) -> web.Response:
    """JSON with exactly `application/json`: with a charset after it, discord.py hands the body on as text."""
    return web.Response(body=json.dumps(data).encode(), status=status, headers={"Content-Type": "application/json"})


def nothing() -> web.Response:
    return web.Response(status=204)
