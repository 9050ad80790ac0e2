"""What pictures from anywhere say of themselves: found wherever it stands and however it is written, and never for long."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot.domain.infotext.picture_settings import PictureSettings
from bot.domain.infotext.reader import parse
from bot.errors import InvalidRequestError
from bot.inference.images.codec import _read_parameters  # pyright: ignore[reportPrivateUsage] # the codec's, without its thread
from bot.inference.images.png_chunks import MAX_TEXT_BYTES, texts

TEXT = "1girl, beanie\nNegative prompt: hat\nSteps: 20, Seed: 5, Size: 832x1216"
EXIF_IFD, USER_COMMENT = 0x8769, 0x9286


def encoded(image: Image.Image | None = None, kind: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    (image or Image.new("RGB", (64, 64))).save(file, kind, **more)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(*chunks: bytes, behind: bool = False, data: bytes | None = None) -> bytes:
    """A PNG with chunks in front of its pixels or behind."""
    data = encoded() if data is None else data
    place = len(data) - 12 if behind else 33
    return data[:place] + b"".join(chunks) + data[place:]


def png(**texts: str) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key.replace("_dash_", "-"), text)
    return encoded(pnginfo=info)


def jpeg(comment: bytes, field: int = 7) -> bytes:
    """One whose Exif comment is so many bytes, whatever they are, of that type of field."""
    count = len(comment)
    first = struct.pack("<HHHIII", 1, EXIF_IFD, 4, 1, 26, 0)
    second = struct.pack("<HHHIII", 1, USER_COMMENT, field, count, 44, 0)
    return encoded(kind="JPEG", exif=b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + comment)


def stealth(text: str, *, packed: bool = True, size: tuple[int, int] = (64, 64), claim: int | None = None) -> Image.Image:
    body = gzip.compress(text.encode()) if packed else text.encode()
    bits = (b"stealth_pngcomp" if packed else b"stealth_pnginfo") + struct.pack(">I", 8 * len(body) if claim is None else claim)
    digits = [int(bit) for byte in bits + body for bit in f"{byte:08b}"]
    image = Image.new("RGBA", size, (10, 20, 30, 255))
    for place, bit in enumerate(digits[: size[0] * size[1]]):
        x, y = divmod(place, size[1])
        image.putpixel((x, y), (10, 20, 30, 254 | bit))
    return image


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_text_is_read_in_front_of_the_pixels_and_behind(kind: bytes, behind: bool) -> None:
    body = {
        b"tEXt": b"parameters\0" + TEXT.encode(),
        b"zTXt": b"parameters\0\0" + zlib.compress(TEXT.encode()),
        b"iTXt": b"parameters\0\1\0en\0Parameter\0" + zlib.compress(TEXT.encode()),
    }[kind]

    assert _read_parameters(with_chunks(chunk(kind, body), behind=behind)) == TEXT


@pytest.mark.parametrize("text", ["é hat\nSteps: 4", "緑 hat\nSteps: 4"])
def test_text_is_read_in_utf_8_and_in_latin_1(text: str) -> None:
    for encoding in ("utf-8", "latin-1"):
        if encoding == "utf-8" or text.isascii() or "é" in text:
            assert _read_parameters(with_chunks(chunk(b"tEXt", b"parameters\0" + text.encode(encoding)))) == text


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + TEXT.encode("utf-16-be"),
        b"UNICODE\0" + TEXT.encode("utf-16-le"),
        b"UNICODE\0" + TEXT.encode(),
        b"UNICODE\0" + TEXT.encode("utf-16"),
        b"UNICODE\0" + b"\xfe\xff" + TEXT.encode("utf-16-be"),
        b"UNICODE\0" + TEXT.encode("utf-8-sig"),
        b"UNICODE\0" + (TEXT + "\0\0").encode("utf-16-be"),
        b"UNICODE\0" + (TEXT + "\0").encode("utf-16-le") + b"\0",
        b"ASCII\0\0\0" + TEXT.encode() + b"\0" * 9,
        b"ASCII\0\0\0" + TEXT.encode("utf-16-le"),
        b"JIS\0\0\0\0\0" + TEXT.encode("iso2022_jp"),
        bytes(8) + TEXT.encode(),
        bytes(8) + TEXT.encode("utf-16-be"),
        TEXT.encode(),
        TEXT.encode("utf-8-sig") + b"\0",
    ],
)
def test_an_exif_comment_is_read_in_every_encoding_that_is_met(comment: bytes) -> None:
    for field in (7, 1, 2):
        if field != 2 or b"\0\0" not in comment[8:]:  # what Pillow takes for text ends at the first NUL that fills it up
            assert _read_parameters(jpeg(comment, field)) == TEXT


def test_an_exif_comment_keeps_letters_of_every_alphabet() -> None:
    text = "緑の髪 é ☆\nSteps: 4, Seed: 5"
    for encoding in ("utf-8", "utf-16", "utf-16-be", "utf-16-le"):
        assert _read_parameters(jpeg(b"UNICODE\0" + text.encode(encoding))) == text


@pytest.mark.parametrize("comment", ["Screenshot", "ASCII\0\0\0Made with a camera, Steps taken: 3", "Size: 3x4"])
def test_what_stands_in_a_comment_by_chance_is_no_prompt(comment: str) -> None:
    assert _read_parameters(jpeg(comment.encode())) is None


@pytest.mark.parametrize("where", ["first", "description", "comment", "png", "windows"])
def test_other_places_for_a_comment_are_looked_at(where: str) -> None:
    exif = Image.Exif()
    if where == "comment":
        assert _read_parameters(encoded(kind="JPEG", comment=TEXT)) == TEXT
        return
    exif[{"first": USER_COMMENT, "description": 0x010E, "png": USER_COMMENT, "windows": 0x9C9C}[where]] = (
        TEXT.encode("utf-16-le") + b"\0\0" if where == "windows" else TEXT
    )

    assert _read_parameters(encoded(kind="PNG" if where == "png" else "JPEG", exif=exif)) == TEXT


GRAPH = json.dumps(
    {"2": {"class_type": "CLIPTextEncode", "inputs": {"text": "1girl"}}}
    | {"3": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": 20, "positive": ["2", 0]}}}
)


@pytest.mark.parametrize(
    ("data", "prompt"),
    [
        (png(invokeai_metadata=json.dumps({"positive_prompt": "1girl", "seed": 5})), "1girl"),
        (png(sd_dash_metadata=json.dumps({"image": {"prompt": "1girl", "seed": 5}})), "1girl"),
        (png(Software="NovelAI", Description="1girl", Comment=json.dumps({"uc": "hat", "seed": 5})), "1girl"),
        (png(prompt=GRAPH, workflow="{}"), "1girl"),
        (png(workflow='{"nodes": [], "links": []}', prompt="{}", parameters=TEXT), "1girl, beanie"),
        (png(parameters='{"unknown": 1}', prompt=GRAPH), "1girl"),
    ],
)
def test_each_programs_own_keys_are_read(data: bytes, prompt: str) -> None:
    text = _read_parameters(data)

    assert text is not None
    assert (parse(text).prompt, parse(text).seed) == (prompt, 5)


def test_comfyuis_webp_is_read() -> None:
    exif = Image.Exif()
    exif[0x0110], exif[0x010F] = f"prompt:{GRAPH}", "workflow:{}"

    assert _read_parameters(encoded(kind="WEBP", exif=exif)) == GRAPH


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("kind", "size"), [("PNG", (64, 64)), ("WEBP", (200, 31)), ("PNG", (3, 2000))])
def test_a_text_that_is_hidden_in_the_alpha_channel_is_read(packed: bool, kind: str, size: tuple[int, int]) -> None:
    text = json.dumps({"Software": "NovelAI", "Comment": json.dumps({"prompt": "1girl 緑", "uc": "hat", "seed": 5})})
    image = stealth(text, packed=packed, size=size)

    assert _read_parameters(encoded(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))) == text


def test_a_hidden_text_that_claims_too_much_says_nothing() -> None:
    bomb = "x" * (8 * MAX_TEXT_BYTES)
    for image in (stealth(TEXT, claim=2**32 - 1), stealth(TEXT, claim=0), stealth(bomb, size=(512, 512))):
        try:
            assert _read_parameters(encoded(image)) is None
        except InvalidRequestError as error:
            assert "characters of text" in str(error)  # noqa: PT017 - either is an answer


@pytest.mark.timeout(60)  # a second where the work grows with the length, and hours where it grows with its square
def test_a_text_that_unpacks_to_more_than_can_be_settings_is_refused_and_of_other_keys_nothing_is_unpacked() -> None:
    packed = zlib.compress(bytes(100_000_000), 9)
    assert _read_parameters(with_chunks(chunk(b"zTXt", b"notes\0\0" + packed))) is None
    letters = zlib.compress(b"x" * 100_000_000, 9)
    with pytest.raises(InvalidRequestError, match="characters of text"):
        _read_parameters(with_chunks(chunk(b"zTXt", b"parameters\0\0" + letters)))
    found = texts(with_chunks(chunk(b"zTXt", b"parameters\0\0" + letters)), frozenset({"parameters"}))

    assert len(found["parameters"]) == MAX_TEXT_BYTES


def test_a_graph_is_read_beyond_the_length_of_a_prompt_and_refused_beyond_what_can_be_shown() -> None:
    for notes, is_read in ((150_000, True), (300_000, False)):
        graph = json.loads(GRAPH) | {"9": {"class_type": "Note", "inputs": {"x": "y" * notes}}}
        if is_read:
            assert _read_parameters(png(prompt=json.dumps(graph))) == json.dumps(graph)
        else:
            with pytest.raises(InvalidRequestError, match="too much to be settings"):
                _read_parameters(png(prompt=json.dumps(graph)))


@pytest.mark.timeout(60)  # a second where the work grows with the length, and hours where it grows with its square
def test_as_many_chunks_as_a_file_can_have_take_no_long_time() -> None:
    assert _read_parameters(with_chunks(chunk(b"tEXt", b"a\0b") * 600_000, behind=True)) is None


# The property: whatever a file says, what is read of it stands in it.

WORDS = st.text(st.characters(exclude_categories=["C"], exclude_characters="<>"), max_size=12)
PROMPT = st.lists(WORDS | st.sampled_from(["1girl", "<lora:a:.5>", "<lyco:b>", '"', "{x}", "Steps: 3,", "."]), max_size=6).map(
    " ".join
)
NUMBERS = st.integers(-9, 10**22) | st.floats() | st.sampled_from(["20", "7.5", "1e999", "nan", "٣", "", "1_0"])


SURE = st.integers(1, 99_999)


@st.composite
def infotexts(draw: st.DrawFn) -> str:
    keys = st.sampled_from(["Steps", "Seed", "CFG scale", "Size", "Sampler", "Lora hashes", "Note", "Model"])
    values = NUMBERS.map(str) | WORDS | PROMPT.map(json.dumps) | st.sampled_from(["8x8", '"a: 0, b: 1"', '"x\ny"', '{"a":1}'])
    pairs = draw(st.lists(st.tuples(keys, values), max_size=8))
    joint = st.sampled_from(["\n", " ", ", ", ".", "\r\n"])
    words = draw(joint).join([draw(PROMPT), f"Negative prompt: {draw(PROMPT)}"])
    numbers = [f"Steps: {draw(SURE)}", f"Seed: {draw(SURE)}", f"Size: {draw(SURE)}x{draw(SURE)}"]
    return words + draw(joint) + ", ".join([*numbers, *(f"{key}: {value}" for key, value in pairs)])


@st.composite
def objects(draw: st.DrawFn) -> str:
    keys = ["prompt", "negative_prompt", "uc", "seed", "steps", "cfg_scale", "width", "height", "model", "resolution"]
    values: Any = draw(st.dictionaries(st.sampled_from(keys), PROMPT | NUMBERS, max_size=9))
    loras = st.lists(
        st.tuples(WORDS, NUMBERS).map(list) | st.fixed_dictionaries({"model": WORDS, "weight": NUMBERS}), max_size=3
    )
    values |= {"steps": draw(SURE | NUMBERS), "seed": draw(SURE | NUMBERS)}
    values |= {"loras": draw(loras)}
    match draw(st.sampled_from(["flat", "swarm", "novelai", "graph"])):
        case "swarm":
            values = {"sui_image_params": values}
        case "novelai":
            values = {"Software": "NovelAI", "Description": draw(PROMPT), "Comment": json.dumps(values)}
        case "graph":
            inputs = {"positive": ["2", 0], "negative": draw(PROMPT), "seed": draw(NUMBERS), "steps": draw(NUMBERS)}
            values = {"1": {"class_type": "x", "inputs": inputs}, "2": {"inputs": {"text": draw(PROMPT)}}}
        case _:
            pass
    return json.dumps(values, ensure_ascii=draw(st.booleans()))


def written(text: str, way: str) -> bytes:
    match way:
        case "png":
            return with_chunks(
                chunk(b"iTXt", b"parameters\0\0\0\0\0" + text.encode(errors="replace")), behind=len(text) % 2 == 0
            )
        case "exif":
            return jpeg(b"UNICODE\0" + text.encode("utf-16-be", errors="replace"))
        case "bare":
            return jpeg(text.encode(errors="replace") + b"\0")
        case _:
            return encoded(stealth(text.encode(errors="replace").decode(), size=(128, 128)))


def unescaped(text: str) -> Iterator[str]:
    """The text, and what every quoted part of it means, and every quoted part of that."""
    yield text.replace("\r\n", "\n").replace("\r", "\n")
    for quoted in re.finditer(r'(?="((?:[^"\\]|\\.)*)")', text, re.DOTALL):  # from every quote on, since any may be the first
        try:
            inner = json.loads(f'"{quoted[1]}"', strict=False)
        except ValueError:
            inner = quoted[1]
        yield inner
        if inner.lstrip().startswith("{"):
            yield from unescaped(inner)


def bare(text: str) -> str:
    """Without tags, and without blanks and commas, which tags take along."""
    return re.sub(r"[\s,]", "", re.sub(r"<(?:lora|lyco)[^<>]*>", "", text))


def check(found: PictureSettings, text: str) -> None:
    parts = list(unescaped(text))
    for value in (found.prompt, found.negative_prompt):
        assert any(bare(value) in bare(part) for part in parts)
        assert "<lora:" not in value
    for name in (found.sampler, found.model, *(lora.name for lora in found.loras)):
        assert name is None or any(name in part for part in parts)
    numbers = {number for part in parts for number in numbers_in(part)}
    whole = [found.steps, found.seed, *(found.size or ())]
    assert all(number in numbers for number in (*whole, found.guidance_scale) if number is not None)
    assert all(lora.weight in {None, 1.0, *numbers} for lora in found.loras)


def numbers_in(text: str) -> Iterator[float]:
    for token in re.split(r"[^\w.+-]+|(?<=\d)[x×](?=\d)", text):
        for read in (int, float):
            try:
                yield read(token)
            except ValueError:
                continue


@settings(max_examples=200)
@given(infotexts() | objects() | PROMPT | st.text(), st.sampled_from(["png", "exif", "bare", "alpha"]))
def test_whatever_is_read_of_a_picture_stands_in_it(text: str, way: str) -> None:
    read = _read_parameters(written(text, way))

    if read is not None:
        found = parse(read)
        check(found, read)
        if not found.is_understood:
            assert found == PictureSettings(prompt="", program=found.program, is_understood=False)


@settings(max_examples=100)
@given(infotexts() | objects(), st.sampled_from(["png", "exif", "alpha"]), st.data())
def test_no_damage_to_a_picture_raises_anything_unforeseen(text: str, way: str, data: st.DataObject) -> None:
    whole = bytearray(written(text, way))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    del whole[data.draw(st.integers(len(whole) // 2, len(whole))) :]
    try:
        read = _read_parameters(bytes(whole))
    except InvalidRequestError:
        return
    if read is not None:
        parse(read)
