"""Pictures in and out: what members upload is not to be trusted, and what we post keeps what it knows about itself."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from bot.domain.image import MAX_UPLOAD_BYTES, ImageFile, Upload
from bot.errors import InvalidRequestError
from bot.inference.images import codec as image_files
from bot.inference.images.codec import STRANGERS_NICENESS, STRANGERS_THREADS, PillowCodec
from bot.inference.images.metadata import EXIF_IFD, PILLOWS_OWN, USER_COMMENT, XMP_KEY, encode_png, packing, read_parameters
from bot.storage.images import DiskImageStore
from tests.fakes import FakeClock

ROOT = Path(__file__).resolve().parents[3]
ORIENTATION = 0x0112
MARK = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PARAMETERS = "1girl, 緑の髪 ☆\nNegative prompt: lowres\nSteps: 4, Seed: 1, Size: 64x64"


def picture(width: int = 60, height: int = 40, *, mode: str = "RGB", seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


async def read(data: bytes, width: int = 64, height: int = 64) -> Upload:
    return await PillowCodec().read_upload(data, width=width, height=height)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred kB at most that decodes to width x height grey pixels."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(min(width + 1, 65_536))) for _ in range(min(height, 4096)))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows + packer.flush()) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A compressed comment of 100 MB."""
    data = encoded(picture())
    comment = b"x\0\0" + zlib.compress(bytes(100_000_000), 9)
    return data[:33] + chunk(b"zTXt", comment) + data[33:]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_an_upload_is_cropped_around_its_centre_to_the_size_and_is_a_png(kind: str) -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    upload = await read(encoded(image, kind), 64, 64)

    assert (upload.width, upload.height) == (64, 64)
    with opened(upload.data) as result:
        assert (result.format, result.mode, result.size) == ("PNG", "RGB", (64, 64))
        assert np.abs(np.asarray(result).reshape(-1, 3).mean(0) - [0, 0, 255]).max() < 12


async def test_an_upload_keeps_no_metadata() -> None:
    info = PngInfo()
    info.add_text("parameters", "private words")
    exif = Image.Exif()
    exif[0x010E] = "private words"
    data = encoded(picture(), pnginfo=info, exif=exif)
    assert b"private words" in data

    upload = await read(data)
    assert b"private" not in upload.data
    assert opened(upload.data).info == {}


async def test_an_upload_is_turned_upright() -> None:
    image = Image.new("RGB", (64, 64), "red")
    image.paste("blue", (0, 0, 64, 32))  # blue above
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be shown turned by 90 degrees clockwise: blue comes to the right
    upload = await read(encoded(image, "JPEG", exif=exif, quality=95))

    right, left = (opened(upload.data).getpixel(place) for place in ((60, 32), (4, 32)))
    assert right[2] > 200 > left[2]  # pyright: ignore[reportIndexIssue, reportOptionalSubscript] # RGB
    assert left[0] > 200  # pyright: ignore[reportIndexIssue, reportOptionalSubscript] # RGB


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
async def test_what_is_transparent_becomes_white(mode: str) -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0)).convert(mode)
    data = encoded(image, transparency=0) if mode == "P" else encoded(image)

    assert opened((await read(data)).data).getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "CMYK"])
async def test_odd_colour_modes_are_read(mode: str) -> None:
    if mode == "I;16":
        data = encoded(Image.fromarray(np.full((64, 64), 32_896, dtype=np.uint16)))
    else:
        data = encoded(picture(64, 64, mode=mode), "JPEG" if mode == "CMYK" else "PNG")
    image = opened((await read(data)).data)

    assert image.mode == "RGB"
    if mode == "I;16":
        assert image.getpixel((5, 5)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("depth", "pixels", "hidden"), [(1, 0x40, 0), (2, 0x40, 1), (4, 0x50, 5), (8, 0x5000, 0x50), (16, 0x50510000, 0x5051)]
)
async def test_a_grey_that_is_transparent_becomes_white_at_every_depth(depth: int, pixels: int, hidden: int) -> None:
    row = pixels.to_bytes(max(1, depth // 4))  # a grey, and one that is shown
    header = struct.pack(">IIBBBBB", 2, 1, depth, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"tRNS", struct.pack(">H", hidden)) + chunk(b"IDAT", zlib.compress(b"\0" + row))
    seen = np.asarray(opened((await read(b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b""), 64, 32)).data))

    assert seen[:, :8].min() == 255
    assert depth == 1 or seen[:, -8:].max() == 0


async def test_a_colour_of_16_bits_that_is_transparent_becomes_white() -> None:
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + struct.pack(">HHHHHH", 0x5051, 1, 2, 0, 0, 0xFFFF))
    parts = chunk(b"IHDR", header) + chunk(b"tRNS", struct.pack(">HHH", 0x5051, 1, 2)) + chunk(b"IDAT", pixels)
    seen = np.asarray(opened((await read(b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b""), 64, 32)).data))

    assert seen[0, 0].tolist() == [255, 255, 255]
    assert seen[0, -1].tolist() == [0, 0, 255]


@pytest.mark.parametrize("behind", [False, True])
async def test_a_16_bit_png_is_turned_upright_wherever_it_says_how_it_lies(behind: bool) -> None:
    values = np.zeros((64, 64), dtype=np.uint16)
    values[:32] = 0xFFFF  # white above
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    data = encoded(Image.fromarray(values))
    place = len(data) - 12 if behind else 33

    seen = opened((await read(data[:place] + turned + data[place:])).data)

    assert (seen.getpixel((60, 32)), seen.getpixel((4, 32))) == ((255, 255, 255), (0, 0, 0))


async def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    for kind in ("PNG", "WEBP"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True, duration=100)
        assert opened((await read(data)).data).getpixel((32, 32)) == (255, 0, 0)


async def test_a_narrow_strip_is_stretched_to_cover_the_size() -> None:
    upload = await read(encoded(picture(1, 3000)), 128, 64)

    assert opened(upload.data).size == (128, 64)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: b"", "isn't a PNG, JPEG or WebP"),
        (lambda: b"hello", "isn't a PNG, JPEG or WebP"),
        (lambda: encoded(picture(), "GIF"), "isn't a PNG, JPEG or WebP"),
        (lambda: encoded(picture(), "TIFF"), "isn't a PNG, JPEG or WebP"),
        (lambda: encoded(picture(), "BMP"), "isn't a PNG, JPEG or WebP"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "isn't a PNG, JPEG or WebP"),
        (lambda: encoded(picture())[:100], "damaged or incomplete"),
        (lambda: encoded(picture(200, 200), "JPEG")[:-2000], "damaged or incomplete"),
        (lambda: encoded(picture(200, 200), "WEBP")[:-2000], ""),
        (lambda: encoded(picture())[:-40] + bytes(40), "damaged or incomplete"),
        (lambda: bytes(MAX_UPLOAD_BYTES + 1), "10.0 MiB, and I can take up to 10 MiB"),
        (lambda: encoded(picture()) + bytes(12 * 2**20), "12.0 MiB, and I can take up to 10 MiB"),
        (lambda: bomb(4100, 4100), "has 4100 × 4100 pixels, and I can take up to 16.8 megapixels"),
        (lambda: bomb(12_000, 12_000), "too large"),
        (lambda: bomb(60_000, 60_000), "too large"),
        (lambda: bomb(2**31 - 1, 2**31 - 1), "too large"),
        (lambda: bomb(4000, 4000)[:2000], "damaged or incomplete"),
    ],
)
async def test_a_hostile_or_broken_upload_is_refused_with_a_sentence(make: Callable[[], bytes], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await read(make())

    assert complaint in str(caught.value)
    assert str(caught.value).endswith((".", "again.", "these.", "smaller."))


def profile_of(size: int) -> bytes:
    """A colour profile, which nobody reads, of so many bytes."""
    return b"icc\0\0" + zlib.compress(os.urandom(size), 0)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iCCP", profile_of(3_000_000)),
        chunk(b"zTXt", b"notes\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"zTXt", b"notes\0\0" + zlib.compress(bytes(100_000_000), 9)),
        chunk(b"tEXt", b"notes\0" + b"x" * 3_000_000),
        b"".join(chunk(b"tEXt", b"notes\0" + b"x" * 900_000) for _ in range(8)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iTXt", b"damaged"),
        chunk(b"prVt", b"x" * 3_000_000),
    ],
)
async def test_a_png_is_taken_at_both_doors_however_much_stands_in_it_beside_the_pixels(extra: bytes) -> None:
    whole = encode_png(Image.new("RGB", (64, 64), "teal"), PARAMETERS)
    for place in (33, len(whole) - 12):
        data = whole[:place] + extra + whole[place:]

        assert opened((await read(data)).data).getpixel((5, 5)) == (0, 128, 128)
        assert await PillowCodec().read_parameters(data) == PARAMETERS


async def test_a_bomb_is_refused_before_its_pixels_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL.PngImagePlugin import PngImageFile

    def never(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImageFile, "load", never)
    with pytest.raises(InvalidRequestError, match="has 4100 × 4100 pixels"):
        await read(bomb(4100, 4100))


async def test_whatever_pillow_thinks_of_a_members_metadata_fills_no_log() -> None:
    odd = b"".join(struct.pack("<HHII", tag, 2, 10**9, 8) for tag in range(1, 500))  # texts that lie beyond the file
    data = encoded(picture())
    data = data[:33] + chunk(b"eXIf", b"II*\0" + struct.pack("<IH", 8, 499) + odd + bytes(4)) + data[33:]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        codec = PillowCodec()
        assert await codec.read_parameters(data) is None
        await codec.read_upload(data, width=64, height=64)

    assert [str(one.message) for one in said] == []


async def test_two_hundred_mangled_files_either_read_or_are_refused() -> None:
    chance = random.Random(1)
    originals = [encoded(picture(120, 90), kind) for kind in ("PNG", "JPEG", "WEBP")]
    outcomes = {"read": 0, "refused": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(200):
            data = bytearray(originals[number % 3])
            for _ in range(chance.randint(1, 12)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            del data[chance.randrange(len(data) // 2, len(data)) :: chance.choice([1, 10**9])]
            try:
                assert (await read(bytes(data))).width == 64
                outcomes["read"] += 1
            except InvalidRequestError:
                outcomes["refused"] += 1

    assert sum(outcomes.values()) == 200
    assert outcomes["refused"] > 50


async def test_a_finished_picture_says_how_it_was_made_and_that_a_model_made_it() -> None:
    data = encode_png(picture(64, 64), PARAMETERS)
    with opened(data) as image:
        assert image.info["parameters"] == PARAMETERS
        assert MARK.decode() in image.info[XMP_KEY]
    assert "user" not in image.info


async def test_a_file_that_fits_is_left_alone() -> None:
    file = ImageFile(name="a.png", data=encode_png(picture(64, 64), PARAMETERS), description="alt")

    assert await PillowCodec().fit(file, len(file.data)) is file


@pytest.mark.parametrize(("share", "same_size"), [(0.9, True), (0.02, False)])
async def test_a_file_that_does_not_fit_becomes_webp_and_then_smaller_and_keeps_what_it_knows(
    share: float, same_size: bool
) -> None:
    file = ImageFile(name="7-1.png", data=encode_png(picture(512, 384), PARAMETERS), description="alt")
    limit = int(len(file.data) * share)
    fitted = await PillowCodec().fit(file, limit)

    assert len(fitted.data) <= limit
    assert (fitted.name, fitted.description) == ("7-1.webp", "alt")
    with opened(fitted.data) as image:
        assert image.format == "WEBP"
        assert (image.size == (512, 384)) == same_size
        assert abs(image.width / image.height - 4 / 3) < 0.02
        assert read_parameters(image) == PARAMETERS
        assert MARK in image.info["xmp"]


def with_comment(kind: str, comment: object) -> bytes:
    """A picture whose Exif UserComment is `comment`."""
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = comment
    return encoded(picture(), kind, exif=exif)


@pytest.mark.parametrize("write", ["add_text", "add_itxt"])
@pytest.mark.parametrize("compressed", [False, True])
async def test_the_parameters_of_a_png_are_read_whichever_way_they_are_kept(write: str, compressed: bool) -> None:
    info = PngInfo()
    getattr(info, write)("parameters", PARAMETERS, zip=compressed)

    assert await PillowCodec().read_parameters(encoded(picture(), pnginfo=info)) == PARAMETERS


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + PARAMETERS.encode("utf-16-be"),
        b"UNICODE\0" + PARAMETERS.encode("utf-16-le"),
        b"ASCII\0\0\0" + PARAMETERS.encode(),
    ],
)
async def test_the_parameters_of_an_exif_comment_are_read_in_either_order_of_bytes(kind: str, comment: bytes) -> None:
    assert await PillowCodec().read_parameters(with_comment(kind, comment)) == PARAMETERS


@pytest.mark.parametrize(
    "data",
    [
        encoded(picture()),
        encoded(picture(), "JPEG"),
        encoded(picture(), "WEBP"),
        with_comment("JPEG", b""),
        with_comment("JPEG", b"UNICODE\0"),
        with_comment("JPEG", b"JIS\0\0\0\0\0abc"),
        with_comment("JPEG", b"\0" * 8 + b"words of a camera"),
    ],
)
async def test_a_picture_that_says_nothing_has_no_parameters(data: bytes) -> None:
    assert await PillowCodec().read_parameters(data) is None


async def test_reading_parameters_decodes_no_pixels() -> None:
    info = PngInfo()
    info.add_text("parameters", PARAMETERS.replace("緑の髪 ☆", "hat"))
    data = encoded(picture(), pnginfo=info)
    broken = data[: data.index(b"IDAT") + 8]

    assert await PillowCodec().read_parameters(broken) == PARAMETERS.replace("緑の髪 ☆", "hat")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "isn't a PNG"),
        (b"Steps: 4", "isn't a PNG"),
        (bomb(30_000, 30_000), "too large"),
        (bytes(MAX_UPLOAD_BYTES + 1), "up to 10 MiB"),
        (with_comment("JPEG", b"ASCII\0\0\0" + b"x" * 50_001), "50,001 characters"),
    ],
)
async def test_parameters_are_read_within_the_same_bounds_as_uploads(data: bytes, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        await PillowCodec().read_parameters(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_damage_in_what_a_picture_says_raises_nothing_unforeseen(kind: str) -> None:
    data = bytearray(encode_png(picture(), PARAMETERS) if kind == "PNG" else with_comment(kind, b"ASCII\0\0\0" + b"Steps: 4"))
    choose = random.Random(0)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(4):
            damaged[choose.randrange(min(400, len(data)))] = choose.randrange(256)
        with contextlib.suppress(InvalidRequestError):
            await PillowCodec().read_parameters(bytes(damaged))


async def test_a_picture_without_parameters_gets_none_when_it_is_made_smaller() -> None:
    file = ImageFile(name="preview.png", data=encoded(picture(256, 256)))
    fitted = await PillowCodec().fit(file, 60_000)

    assert read_parameters(opened(fitted.data)) is None


async def test_nothing_is_decoded_on_the_event_loops_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from bot.inference.images import codec as image_files

    seen: list[threading.Thread] = []
    original = image_files._opened  # pyright: ignore[reportPrivateUsage]

    def recorded(data: bytes) -> Image.Image:
        seen.append(threading.current_thread())
        return original(data)

    monkeypatch.setattr(image_files, "_opened", recorded)
    await read(encoded(picture()))

    assert len(seen) == 1
    assert seen[0] is not threading.current_thread()


async def test_strangers_files_hold_none_of_our_own_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, released = threading.Event(), threading.Event()
    reading: list[str] = []

    def slow(*_: object) -> None:
        reading.append(threading.current_thread().name)
        begun.set()
        released.wait(60)

    monkeypatch.setattr(image_files, "_read_upload", slow)
    codec, store = PillowCodec(), DiskImageStore(tmp_path, FakeClock())
    flood = [asyncio.create_task(codec.read_upload(b"", width=64, height=64)) for _ in range(40)]
    try:
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
            assert begun.wait(10)
            key = await store.save("0123456789abcdef", 1, 0, encoded(picture()))
            kept = ImageFile(name="x.png", data=await store.read(key), description="")
            assert len((await codec.fit(kept, 2_000)).data) <= 2_000
            await asyncio.get_running_loop().getaddrinfo("localhost", 80)  # a look-up of a name, on asyncio's own threads
        assert len(reading) <= STRANGERS_THREADS
    finally:
        for task in flood:
            task.cancel()
        released.set()
        await codec.close()
        await store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows how nice a thread is")
async def test_strangers_files_are_read_by_threads_that_stand_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        image_files, "_read_parameters", lambda _: str(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    )
    usual = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert int(await PillowCodec().read_parameters(b"") or 0) == min(19, usual + STRANGERS_NICENESS)


def grained() -> Image.Image:
    """A painting: soft colours with a little grain."""
    grain = np.random.default_rng(5).normal(0, 3, (512, 512, 3))
    ramps = np.linspace(40, 200, 512)[:, None, None] + np.linspace(0, 40, 512)[None, :, None] + grain
    return Image.fromarray(ramps.clip(0, 255).astype(np.uint8))


def written() -> Image.Image:
    page = Image.new("RGB", (512, 512), "white")
    for line in range(0, 512, 14):
        ImageDraw.Draw(page).text((4, line), "the same words again and again " * 4, fill="black")
    return page


@pytest.mark.parametrize(("draws", "chosen"), [(grained, zlib.Z_RLE), (written, PILLOWS_OWN)])
def test_a_png_is_packed_the_quick_way_unless_that_makes_it_larger(draws: Callable[[], Image.Image], chosen: int) -> None:
    image = draws()
    data = encode_png(image, PARAMETERS)
    both = {packed: io.BytesIO() for packed in (zlib.Z_RLE, PILLOWS_OWN)}
    for packed, buffer in both.items():
        image.save(buffer, "PNG", compress_type=packed)
    smaller = min(both, key=lambda packed: both[packed].tell())

    assert packing(image) == chosen == smaller
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(image))
    assert len(data) < both[chosen].tell() + 2_000


MEMORY = """
import resource, sys
from bot.inference.images.codec import _read_upload
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_read_upload(data, 1024, 1024)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is KiB there")
@pytest.mark.parametrize(("kind", "mode", "most"), [("PNG", "RGBA", 180), ("JPEG", "RGB", 60), ("PNG", "I;16", 180)])
def test_the_largest_file_that_is_taken_needs_its_pixels_and_one_copy(kind: str, mode: str, most: int) -> None:
    data = encoded(Image.new(mode, (4096, 4096)), kind)
    done = subprocess.run([sys.executable, "-c", MEMORY], input=data, capture_output=True, check=True, cwd=ROOT)

    assert int(done.stdout) <= most, "MiB"
