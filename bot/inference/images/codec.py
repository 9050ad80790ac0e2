"""Reads and writes picture files with Pillow, on threads of its own."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath

from PIL import Image, ImageOps
from PIL.Image import Resampling

from bot.domain.image import MAX_UPLOAD_BYTES, MAX_UPLOAD_PIXELS, ImageFile, Upload
from bot.domain.infotext.json_notes import looks_like_json
from bot.domain.infotext.reader import parse
from bot.errors import InvalidRequestError
from bot.inference.images.embedded_texts import notes_in
from bot.inference.images.metadata import encode_webp, read_parameters
from bot.inference.images.normalization import FORMATS, eight_bits, on_white, opened
from bot.messages import translatable
from bot.pools import Pool

STRANGERS_THREADS = 2  # the largest file that is taken needs about 150 MB while it is read
STRANGERS_NICENESS = 5  # on busy cores the drawing comes first, and an upload still gets a quarter of a core
OWN_THREADS = 2
MAX_PARAMETERS = 50_000  # characters; our own have a few thousand at most
MAX_JSON_BYTES = 250_000  # as UTF-8: the most that is read back from the file that shows it (cogs/_uploads)
QUALITIES = (90, 80, 70)
SHRINK = 0.8
TOO_LARGE = translatable("This picture is too large. I can take up to {limit:g} megapixels. Make it smaller.")
MIN_SIDE = 64


class PillowCodec:
    """Implements ports.ImageCodec. Strangers' files have other threads than our own: uploads, however many and however large,
    delay no finished picture.
    """

    def __init__(self) -> None:
        self._strangers = Pool("strangers-files", STRANGERS_THREADS, niceness=STRANGERS_NICENESS)
        self._own = Pool("own-files", OWN_THREADS)
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        # a warning for each odd field of Exif, which may have 65,535 of them, would be as many lines in the log
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

    async def read_upload(self, data: bytes, *, width: int, height: int) -> Upload:
        return await self._strangers.run(_read_upload, data, width, height)

    async def read_parameters(self, data: bytes) -> str | None:
        return await self._strangers.run(_read_parameters, data)

    async def fit(self, file: ImageFile, max_bytes: int) -> ImageFile:
        if len(file.data) <= max_bytes:
            return file
        return await self._own.run(_fit, file, max_bytes)

    async def close(self) -> None:
        """Wait for the files that are being read or made smaller."""
        await self._strangers.close()
        await self._own.close()


def _read_upload(data: bytes, width: int, height: int) -> Upload:
    with _opened(data) as image:
        try:
            fitted = on_white(_covering(image, width, height))
            buffer = io.BytesIO()
            fitted.save(buffer, "PNG")
        except Exception as error:  # whatever a hostile file makes Pillow raise means the same
            raise InvalidRequestError("This picture is damaged or incomplete. Save it again, then try once more.") from error
    return Upload(width=width, height=height, data=buffer.getvalue())


def _read_parameters(data: bytes) -> str | None:
    """Returns the first text that is understood as parameters; else the first that is not understood.

    Each has a bound (`bot.inference.images.png_chunks`), and pixels are decoded only to look for a text in an alpha channel.
    """
    unread: str | None = None
    too_long = 0
    with _opened(data) as image:
        for note in notes_in(data, image):
            if _is_too_long(note.text):
                too_long = too_long or len(note.text)
                continue
            found = parse(note.text)
            if found.is_understood and (note.is_sure or found.has_more_than_words):
                return note.text
            if not found.is_understood and unread is None:
                unread = note.text
    if unread is None and too_long:
        raise InvalidRequestError(
            "This picture carries {length:,} characters of text, which is too much to be settings.", length=too_long
        )
    return unread


def _is_too_long(text: str) -> bool:
    """Returns whether a text is too long; JSON may be long, as some programs write more than the parameters."""
    return len(text) > MAX_PARAMETERS and not (looks_like_json(text) and len(text.encode(errors="replace")) <= MAX_JSON_BYTES)


def _opened(data: bytes) -> Image.Image:
    """Returns the picture with only its header read, so that its size can be judged before memory is spent."""
    if len(data) > MAX_UPLOAD_BYTES:
        raise InvalidRequestError(
            "This picture has {size:.1f} MiB, and I can take up to {limit} MiB. Make it smaller.",
            size=len(data) / 2**20,
            limit=MAX_UPLOAD_BYTES // 2**20,
        )
    try:
        image = opened(data)
        width, height = image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidRequestError(TOO_LARGE, limit=MAX_UPLOAD_PIXELS / 1e6) from error
    except Exception as error:
        raise InvalidRequestError("This isn't a PNG, JPEG or WebP picture. Attach one of these.") from error
    if width * height > MAX_UPLOAD_PIXELS:
        image.close()
        raise InvalidRequestError(
            "This picture has {width} × {height} pixels, and I can take up to {limit:g} megapixels. Make it smaller.",
            width=width,
            height=height,
            limit=MAX_UPLOAD_PIXELS / 1e6,
        )
    return image


def _covering(image: Image.Image, width: int, height: int) -> Image.Image:
    """Returns `image` upright, as the pixels that cover `width` x `height` around its centre, in that size.

    No more than the file's own pixels and one copy are in memory at once: Pillow decodes a JPEG in a half or a quarter of its
    size where that suffices, and transparency and colours are converted in the small picture.
    """
    longer = max(width, height)
    image.draft(None, (longer, longer))  # before it is turned, so either side may become the longer one
    image = eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA").convert("RGBa")  # so that no colour of transparent pixels bleeds into their surroundings
    elif image.mode not in {"RGB", "L"}:
        image = image.convert("RGB")
    ImageOps.exif_transpose(image, in_place=True)
    scale = min(image.width / width, image.height / height)
    left, upper = (image.width - width * scale) / 2, (image.height - height * scale) / 2
    box = (left, upper, left + width * scale, upper + height * scale)
    small = image.resize((width, height), Resampling.LANCZOS, box=box, reducing_gap=2.0)
    return small.convert("RGBA") if small.mode == "RGBa" else small


def _fit(file: ImageFile, max_bytes: int) -> ImageFile:
    with Image.open(io.BytesIO(file.data), formats=FORMATS) as own:
        parameters, image = read_parameters(own), own.convert("RGB")
    data = file.data
    for smaller, quality in _ever_smaller(image):
        data = encode_webp(smaller, parameters, quality)
        if len(data) <= max_bytes:
            break
    return replace(file, name=PurePath(file.name).with_suffix(".webp").name, data=data)


def _ever_smaller(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """Yields versions with ever lower quality, then with fewer pixels."""
    for quality in QUALITIES:
        yield image, quality
    while min(image.size) > MIN_SIDE:
        image = image.resize((round(image.width * SHRINK), round(image.height * SHRINK)), Resampling.LANCZOS)
        yield image, QUALITIES[-1]
