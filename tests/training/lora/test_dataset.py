"""A folder of pictures as people keep it: odd formats, damage, shapes, captions."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bot.errors import FolderError
from bot.training.lora.dataset import Batches, Frame, Picture, caption_for, frame, make_buckets, open_picture, read_folder
from tests.training.lora_examples import options

SDXL = {(1024, 1024), (1152, 896), (896, 1152), (1216, 832), (832, 1216), (1344, 768), (768, 1344), (1536, 640), (640, 1536)}


def save(path: Path, image: Image.Image, caption: str | None = "1girl", **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    return path


def plain(width: int = 8, height: int = 8, color: str = "red") -> Image.Image:
    return Image.new("RGB", (width, height), color)


def whole(width: int, height: int) -> Frame:
    return Frame(width=width, height=height, scaled=(width, height), left=0, top=0)


def test_pictures_of_all_three_formats_are_found_with_captions_and_kohyas_repeats(tmp_path: Path) -> None:
    save(tmp_path / "a.PNG", plain(10, 12), "\ufeff1girl,\n smile ")
    save(tmp_path / "10_people" / "b.jpg", plain())
    save(tmp_path / "3_hats" / "c.webp", plain())
    save(tmp_path / "more" / "d.jpeg", plain())
    (tmp_path / "notes.md").write_text("not a picture")

    found = read_folder(tmp_path)
    assert [(picture.path.name, picture.repeats) for picture in found] == [
        ("a.PNG", 1),
        ("b.jpg", 10),
        ("c.webp", 3),
        ("d.jpeg", 1),
    ]
    assert (found[0].caption, found[0].width, found[0].height) == ("1girl, smile", 10, 12)


@pytest.mark.parametrize("name", ["CAT.TXT", "CAT.Txt", "cat.txt"])
def test_a_caption_is_found_whatever_the_case_of_its_name(name: str, tmp_path: Path) -> None:
    save(tmp_path / "CAT.JPG", plain(), caption=None, format="JPEG")
    (tmp_path / name).write_text("1girl")

    assert [picture.caption for picture in read_folder(tmp_path)] == ["1girl"]


def test_of_several_captions_the_one_named_as_ever_counts(tmp_path: Path) -> None:
    save(tmp_path / "cat.png", plain(), "exact")
    for name in ("CAT.txt", "cat.TXT"):
        (tmp_path / name).write_text("other")

    assert [picture.caption for picture in read_folder(tmp_path)] == ["exact"]


def test_a_grey_scan_of_16_bits_keeps_its_greys(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    path = save(tmp_path / "grey.png", Image.fromarray(values))

    seen = open_picture(path, whole(64, 64)).astype(int)
    assert abs(seen[..., 0] - values // 257).max() <= 1


def test_a_picture_with_a_large_colour_profile_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", plain(color="teal"), icc_profile=random.Random(0).randbytes(3_000_000))

    assert [found.caption for found in read_folder(tmp_path)] == ["1girl"]
    assert open_picture(path, whole(8, 8))[0, 0].tolist() == [0, 128, 128]


def test_of_an_animation_the_first_frame_is_learnt(tmp_path: Path) -> None:
    for ending in ("png", "webp"):
        later = {"save_all": True, "append_images": [plain(color="blue")], "lossless": True}
        path = save(tmp_path / f"a.{ending}", plain(), **later)

        assert open_picture(path, whole(8, 8))[0, 0].tolist() == [255, 0, 0]


def test_broken_files_are_all_named_in_one_sentence(tmp_path: Path) -> None:
    sound = save(tmp_path / "sound.png", Image.effect_noise((64, 64), 50).convert("RGB"))
    (tmp_path / "cut.png").write_bytes(sound.read_bytes()[:2000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "sound.webp").write_bytes(b"RIFF....")
    save(tmp_path / "odd.png", plain()).with_suffix(".txt").write_bytes(b"\xff\xfe\x00bad")

    with pytest.raises(FolderError) as caught:
        read_folder(tmp_path)
    told = str(caught.value)
    assert all(name in told for name in ("cut.png", "empty.jpg", "sound.webp", "odd.png"))
    assert "sound.png" not in told
    assert told.endswith("Mend or remove them.")
    assert "\n" not in told


def test_a_picture_without_a_caption_is_named_unless_there_is_a_trigger(tmp_path: Path) -> None:
    for index in range(7):
        save(tmp_path / f"{index}.png", plain(), caption=None)

    with pytest.raises(FolderError, match=r"no caption: 0\.png, .*4\.png and 2 more\. Write NAME\.txt .* --trigger"):
        read_folder(tmp_path)
    assert len(read_folder(tmp_path, trigger="mystyle")) == 7


def test_a_missing_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="does not exist"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(FolderError, match="holds no PNG"):
        read_folder(tmp_path)


def test_a_camera_that_was_turned_gives_a_turned_picture(tmp_path: Path) -> None:
    image = plain(16, 8, "blue")
    image.paste("red", (0, 0, 8, 8))  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = save(tmp_path / "a.png", image, exif=exif)

    (found,) = read_folder(tmp_path)
    assert (found.width, found.height) == (8, 16)
    pixels = open_picture(path, whole(8, 16))
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert pixels[-1, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    path = save(tmp_path / "a.png", image.convert(mode) if mode != "P" else image.quantize(4))

    pixels = open_picture(path, whole(8, 8))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 7].max() < 255


def test_buckets_of_1024_contain_sdxls_own_and_those_of_256_the_small_models() -> None:
    large, small = make_buckets(1024, 8), make_buckets(256, 16)

    assert set(large) >= SDXL
    assert all(width % 64 == height % 64 == 0 and width * height <= 1024**2 for width, height in large)
    assert {(256, 256), (224, 288), (288, 224)} <= set(small)
    assert all(width % 16 == height % 16 == 0 for width, height in make_buckets(128, 16))


def test_a_picture_fills_the_bucket_of_the_nearest_shape_and_is_cut_evenly() -> None:
    framed = frame(2000, 1000, make_buckets(1024, 8))

    assert (framed.width, framed.height) == (1408, 704)
    assert framed.scaled == (1408, 704)
    square = frame(1100, 1000, [(64, 64)])
    assert (square.scaled, square.left, square.top) == ((70, 64), 3, 0)


def test_only_what_lies_outside_the_frame_is_cut(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    path = save(tmp_path / "a.png", Image.fromarray(pixels))

    framed = frame(30, 10, [(10, 10)])
    assert open_picture(path, framed).min() == 255


def test_an_epoch_shows_every_picture_as_often_as_it_repeats_and_mixes_no_sizes() -> None:
    repeats = [1, 3, 2, 1, 1]
    pictures = [Picture(path=Path(f"{i}.png"), caption="", repeats=n, width=1, height=1) for i, n in enumerate(repeats)]
    frames = [whole(64, 64), whole(64, 64), whole(48, 80), whole(48, 80), whole(64, 64)]
    batches = Batches(pictures, frames, 2, seed=1)

    for epoch in range(3):
        shown = [batches.at(epoch * batches.per_epoch + place) for place in range(batches.per_epoch)]
        assert Counter(index for batch in shown for index in batch) == dict(enumerate(repeats))
        assert all(len({frames[index].width for index in batch}) == 1 for batch in shown)
    first = [batches.at(step) for step in range(batches.per_epoch)]
    assert first == [Batches(pictures, frames, 2, seed=1).at(step) for step in range(batches.per_epoch)]
    assert first != [batches.at(step) for step in range(batches.per_epoch, 2 * batches.per_epoch)]
    assert batches.counts == {(48, 80): 3, (64, 64): 5}


def test_captions_are_shuffled_behind_the_kept_tags_dropped_at_times_and_led_by_the_trigger() -> None:
    chosen = options(
        "x", Path(), Path("a.safetensors"), trigger="mystyle", shuffle_tags=True, keep_tags=1, caption_dropout=0.25
    )
    rng = random.Random(1)
    seen = [caption_for("1girl, a, b,, c ", chosen, rng) for _ in range(400)]

    said = [text.split(", ") for text in seen if text is not None]
    assert 60 < seen.count(None) < 140
    assert {tuple(tags[:2]) for tags in said} == {("mystyle", "1girl")}
    assert {tuple(tags[2:]) for tags in said} == {(x, y, z) for x in "abc" for y in "abc" for z in "abc" if len({x, y, z}) == 3}
    as_written = options("x", Path(), Path("a.safetensors"), caption_dropout=0.0)
    assert caption_for("1girl, a, b", as_written, rng) == "1girl, a, b"
