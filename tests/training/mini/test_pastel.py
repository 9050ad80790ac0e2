from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot.training.lora.dataset import read_folder
from bot.training.mini.artist.palette import HAIR
from bot.training.mini.artist.portrait import random_portrait
from bot.training.mini.artist.render import draw_portrait
from bot.training.mini.pastel import from_oklab, pastel, picture_values, to_oklab, write_pastel_folder


@pytest.fixture(scope="module")
def portraits() -> list[Image.Image]:
    rng = random.Random(2)
    return [draw_portrait(random_portrait(rng), 128, 128, supersampling=2) for _ in range(12)]


def saturation(picture: Image.Image) -> float:
    """Mean saturation as HSV has it, 0..255."""
    return float(np.asarray(picture.convert("HSV"))[..., 1].mean())


def lightness(picture: Image.Image) -> float:
    return float(to_oklab(picture_values(picture))[..., 0].mean())


def test_every_portrait_becomes_lighter_and_less_saturated(portraits: list[Image.Image]) -> None:
    for portrait in portraits:
        soft = pastel(portrait)
        assert soft.size == portrait.size
        assert lightness(soft) > lightness(portrait) + 0.02
        assert saturation(soft) < 0.85 * saturation(portrait)
        assert to_oklab(picture_values(soft))[..., 0].min() > 0.35


def test_a_colour_keeps_its_name() -> None:
    for color in ("red", "green", "blue", "purple", "orange", "aqua", "blonde", "pink"):
        flat = Image.new("RGB", (64, 64), HAIR[color])
        before, after = (to_oklab(picture_values(picture))[32, 32] for picture in (flat, pastel(flat)))
        angles = [np.degrees(np.arctan2(lab[2], lab[1])) for lab in (before, after)]
        assert abs((angles[1] - angles[0] + 180) % 360 - 180) < 25, color


def test_white_stays_white_and_black_becomes_soft() -> None:
    assert min(pastel(Image.new("RGB", (32, 32), "white")).getpixel((16, 16))) >= 250
    red, green, blue = pastel(Image.new("RGB", (32, 32), "black")).getpixel((16, 16))
    assert red > green > 60
    assert blue > green


def test_an_ink_line_stands_out_less_than_before() -> None:
    picture = Image.new("RGB", (128, 128), (255, 200, 190))
    picture.paste((60, 40, 60), (63, 0, 65, 128))
    rows = [to_oklab(picture_values(image))[64, :, 0] for image in (picture, pastel(picture))]
    before, after = (row[20] - row.min() for row in rows)

    assert 0.1 < after < 0.6 * before


def test_oklab_is_inverted_exactly() -> None:
    values = np.random.default_rng(0).random((16, 16, 3))

    assert np.allclose(from_oklab(to_oklab(values)), values, atol=1e-6)
    assert np.allclose(to_oklab(np.ones((1, 1, 3))), [1, 0, 0], atol=1e-3)


def test_a_folder_of_pastels_is_ready_to_train_on_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        write_pastel_folder(tmp_path / name, 3, seed, [(64, 64), (48, 64)])
    one, two, three = (
        {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())} for name in ("one", "two", "three")
    )
    assert one == two
    assert one.keys() == three.keys()
    assert one != three
    found = read_folder(tmp_path / "one")
    assert [(picture.width, picture.height) for picture in found] == [(64, 64), (48, 64), (64, 64)]
    assert len({picture.caption for picture in found}) == 3
