"""Finds the texts in a stranger's picture that may say how it was made, wherever programs put them; the surest first.

PNG text: A1111 and many more `parameters`; InvokeAI, NovelAI and ComfyUI keys of their own. Exif: the comment, in any known
encoding. Alpha: NovelAI hides a text in the lowest bits of the transparency.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from bot.inference.images.metadata import EXIF_IFD, PARAMETERS, USER_COMMENT, comment_text
from bot.inference.images.png_chunks import MAX_TEXT_BYTES, exif, texts, unpacked

NOVELAI = ("Software", "Description", "Comment")
WHOLE = (PARAMETERS, "invokeai_metadata", "sd-metadata", "generation_data", "prompt", "workflow")
KEYS = frozenset({*WHOLE, *NOVELAI})
DESCRIPTION, MAKE, MODEL, XP_COMMENT = 0x010E, 0x010F, 0x0110, 0x9C9C  # Exif 2.3, and Windows Explorer's own
HIDDEN = {b"stealth_pnginfo": False, b"stealth_pngcomp": True}  # the beginning of a hidden text, and whether it is packed
MARK_BITS, LENGTH_BITS = 8 * len(b"stealth_pnginfo"), 32
GZIP = zlib.MAX_WBITS | 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text in a picture. `is_sure`: only programs that draw write it there; else it may be about anything."""

    text: str
    is_sure: bool


def notes_in(data: bytes, image: Image.Image) -> Iterator[Note]:
    """Yields all notes. The pixels are decoded only where the picture has an alpha channel, and only when the last note is
    asked for. Never raises: data that makes Pillow raise counts as empty.
    """
    for source in (_of_png, _of_exif, _of_alpha):
        yield from _quietly(source, data, image)


def _quietly(source: Callable[[bytes, Image.Image], Iterator[Note]], data: bytes, image: Image.Image) -> Iterator[Note]:
    try:
        for note in source(data, image):
            if (text := note.text.strip("\0\ufeff")).strip():
                yield Note(text=text, is_sure=note.is_sure)
    except Exception:  # noqa: BLE001 - whatever hostile metadata make Pillow raise, they say nothing
        return


def _of_png(data: bytes, image: Image.Image) -> Iterator[Note]:
    del image
    found = texts(data, KEYS)
    for key in WHOLE[:-2]:
        yield Note(text=found.get(key, ""), is_sure=True)
    if found.get("Comment", "").lstrip().startswith("{"):
        notes = {key: found[key] for key in NOVELAI if key in found}
        yield Note(text=json.dumps(notes, ensure_ascii=False), is_sure=True)
    for key in WHOLE[-2:]:
        yield Note(text=found.get(key, ""), is_sure=found.get(key, "").lstrip().startswith("{"))


def _of_exif(data: bytes, image: Image.Image) -> Iterator[Note]:
    if image.format == "PNG":
        tags = Image.Exif()
        tags.load(exif(data) or b"")
    else:
        tags = image.getexif()
    for place in (tags.get_ifd(EXIF_IFD), tags):
        yield Note(text=comment_text(place.get(USER_COMMENT)), is_sure=False)
    for tag, opening in ((MODEL, "prompt:"), (MAKE, "workflow:")):  # ComfyUI's WebP
        text = comment_text(tags.get(tag))
        if text.startswith(opening):
            yield Note(text=text.removeprefix(opening), is_sure=True)
    for value in (tags.get(DESCRIPTION), image.info.get("comment")):
        yield Note(text=comment_text(value), is_sure=False)
    if isinstance(comment := tags.get(XP_COMMENT), bytes):
        yield Note(text=comment.decode("utf-16-le", errors="replace"), is_sure=False)


def _of_alpha(data: bytes, image: Image.Image) -> Iterator[Note]:
    """Yields the note in the alpha channel, read column by column from the left, a bit a pixel: mark, length in bits, text."""
    del data
    if image.mode != "RGBA":
        return
    alpha = image.getchannel("A")
    head = _hidden_bytes(alpha, 0, MARK_BITS + LENGTH_BITS)
    mark, length = head[: MARK_BITS // 8], int.from_bytes(head[MARK_BITS // 8 :])
    if mark not in HIDDEN or not 0 < length <= 8 * MAX_TEXT_BYTES:
        return
    body = _hidden_bytes(alpha, MARK_BITS + LENGTH_BITS, length)
    text = unpacked(body, wbits=GZIP) if HIDDEN[mark] else body
    yield Note(text=text.decode(errors="replace"), is_sure=True)


def _hidden_bytes(alpha: Image.Image, start: int, bits: int) -> bytes:
    """Returns whole bytes of the lowest bits, as many as there are."""
    columns = min(alpha.width, -(-(start + bits) // alpha.height))
    left = min(start // alpha.height, alpha.width)
    if columns <= left:
        return b""
    strip: Any = alpha.crop((left, 0, columns, alpha.height)).transpose(Image.Transpose.TRANSPOSE)
    digits = strip.point([48 + (value & 1) for value in range(256)]).tobytes()[start - left * alpha.height :][:bits]
    whole = len(digits) // 8
    return int(digits[: 8 * whole], 2).to_bytes(whole) if whole else b""
