"""Reads a PNG's chunks (PNG specification, third edition, 5.3): their texts, and a copy of the file without those that no pixel
depends on.

Pillow refuses a whole file for one chunk of text or colours that unpacks to more than 1 MiB, though no viewer does. Nothing
here raises or checks sums, and no more is unpacked than is read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT = frozenset({b"tRNS", b"eXIf"})  # optional chunks that matter: transparency and orientation
MAX_CHUNKS = 50_000  # beyond that nothing is looked at; a file of 10 MiB in pieces of 8 KiB has 1,300
MAX_TEXT_BYTES = 1 << 20  # of one text, unpacked
MAX_KEY = 79  # bytes, by the specification
ANCILLARY = 0x20  # this bit of the first letter: the chunk may be left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A chunk's place in its file: `start` at its length, `end` behind its sum; its content is 8 and 4 bytes inside."""

    kind: bytes
    start: int
    end: int

    def body(self, data: bytes) -> bytes:
        return data[self.start + 8 : self.end - 4]


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yields the chunks, as far as they are whole; none of a file that is no PNG."""
    position = len(SIGNATURE)
    if not data.startswith(SIGNATURE):
        return
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            return
        yield Chunk(kind=kind, start=position, end=end)
        position = end


def lean(data: bytes) -> bytes:
    """Returns the file without optional chunks that are not KEPT; other files, and unreadable ones, unchanged."""
    parts: list[bytes] = []
    kept = 0
    found = list(chunks(data))
    for chunk in found:
        if chunk.kind[0] & ANCILLARY and chunk.kind not in KEPT:
            parts.append(data[kept : chunk.start])
            kept = chunk.end
    if len(found) == MAX_CHUNKS:  # the rest is as if it were not there, so that Pillow does not go through it either
        data = data[: found[-1].end]
    return b"".join((*parts, data[kept:])) if parts else data


def texts(data: bytes, keys: frozenset[str]) -> dict[str, str]:
    """Returns a PNG's texts by their keys, in front of the pixels and behind; of a key that comes twice, the first.

    Each ends at MAX_TEXT_BYTES.
    """
    found: dict[str, str] = {}
    for chunk in chunks(data):
        if chunk.kind in {b"tEXt", b"zTXt", b"iTXt"}:
            key = data[chunk.start + 8 : chunk.start + 8 + MAX_KEY + 1].partition(b"\0")[0].decode("latin-1")
            if key in keys and key not in found:
                found[key] = _text(chunk.kind, chunk.body(data)[len(key) + 1 :])
    return found


def exif(data: bytes) -> bytes | None:
    """Returns the content of its Exif chunk."""
    return next((chunk.body(data) for chunk in chunks(data) if chunk.kind == b"eXIf"), None)


def unpacked(data: bytes, *, wbits: int = zlib.MAX_WBITS) -> bytes:
    """Returns at most MAX_TEXT_BYTES of what zlib packed, up to the first fault."""
    try:
        return zlib.decompressobj(wbits).decompress(data, MAX_TEXT_BYTES)
    except zlib.error:
        return b""


def _text(kind: bytes, body: bytes) -> str:
    """Returns the text; programs write UTF-8 into each of the kinds, whatever the specification says."""
    if kind == b"zTXt":
        body = unpacked(body[1:])
    elif kind == b"iTXt":
        is_packed = body[:1] == b"\1"
        body = body[2:].partition(b"\0")[2].partition(b"\0")[2]  # language, and the key in that language
        body = unpacked(body) if is_packed else body
    body = body[:MAX_TEXT_BYTES]
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("latin-1" if kind != b"iTXt" else "utf-8", errors="replace")
