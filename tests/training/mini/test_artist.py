import random
from dataclasses import replace

import numpy as np
import pytest

from bot.training.mini.artist import palette
from bot.training.mini.artist.portrait import BACKGROUNDS, CHOICES, PLAIN_BACKGROUNDS, Portrait, random_portrait
from bot.training.mini.artist.render import draw_portrait, usual_face, usual_mouth

PLAIN = Portrait(
    gender="1girl",
    hair_color="green",
    hair_style="long hair",
    eye_color="red",
    expression="smile",
    outfit="collared shirt",
    outfit_color="black",
    headwear="none",
    background="white background",
    glasses=False,
    blush=False,
    dark_skin=False,
    seed=5,
)


def pixels(portrait: Portrait, width: int = 128, height: int = 128) -> np.ndarray:
    return np.asarray(draw_portrait(portrait, width, height), dtype=int)


def share_near(picture: np.ndarray, color: palette.Color, distance: int = 36) -> float:
    return float((np.abs(picture - np.array(color)).sum(axis=2) < distance).mean())


def test_the_same_portrait_gives_the_same_picture_and_another_seed_another() -> None:
    first = pixels(PLAIN)
    assert np.array_equal(first, pixels(PLAIN))
    assert not np.array_equal(first, pixels(replace(PLAIN, seed=6)))


@pytest.mark.parametrize("color", palette.HAIR)
def test_hair_has_the_color_that_its_label_says(color: str) -> None:
    outfit = "blue" if color == "black" else "black"
    portrait = replace(PLAIN, hair_color=color, outfit_color=outfit, background="green background")
    picture = pixels(replace(portrait, background="pink background") if color == "green" else portrait)
    shares = {name: share_near(picture, value) for name, value in palette.HAIR.items()}
    assert shares[color] > 0.05
    assert max(shares, key=shares.__getitem__) == color


@pytest.mark.parametrize("color", palette.EYES)
def test_open_eyes_have_their_color_and_closed_eyes_show_none(color: str) -> None:
    hair = "white" if color != "aqua" else "brown"
    portrait = replace(PLAIN, eye_color=color, hair_color=hair, outfit="armor", outfit_color="white")
    value = palette.EYES[color]
    seen = share_near(pixels(portrait, 256, 256), value, 60)
    hidden = share_near(pixels(replace(portrait, expression="closed eyes"), 256, 256), value, 60)
    assert seen > hidden + 0.002


@pytest.mark.parametrize("color", PLAIN_BACKGROUNDS)
def test_a_plain_background_has_its_color_in_the_corner(color: str) -> None:
    corner = pixels(replace(PLAIN, background=f"{color} background"))[2, 2]
    assert np.abs(corner - np.array(palette.PLAIN[color])).max() <= 6


def test_night_is_dark_and_day_is_blue() -> None:
    night = pixels(replace(PLAIN, background="night"))[:20].mean(axis=(0, 1))
    day = pixels(replace(PLAIN, background="blue sky"))[:20].mean(axis=(0, 1))
    assert night.mean() < 90 < day.mean()
    assert day[2] > day[0] + 30


@pytest.mark.parametrize("field", [*CHOICES])
def test_every_label_changes_the_picture(field: str) -> None:
    pictures = [pixels(replace(PLAIN, **{field: value})).tobytes() for value in CHOICES[field]]
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("field", ["glasses", "blush", "dark_skin"])
def test_every_mark_changes_the_picture(field: str) -> None:
    assert not np.array_equal(pixels(PLAIN), pixels(replace(PLAIN, **{field: True})))


@pytest.mark.parametrize("size", [(96, 128), (128, 96), (64, 64)])
def test_pictures_have_the_size_that_was_asked_for(size: tuple[int, int]) -> None:
    for background in BACKGROUNDS:
        assert draw_portrait(replace(PLAIN, background=background), *size, supersampling=1).size == size


def test_labels_are_drawn_independently_and_boys_seldom_wear_dresses() -> None:
    rng = random.Random(1)
    portraits = [random_portrait(rng) for _ in range(3000)]
    for field, values in CHOICES.items():
        assert {getattr(portrait, field) for portrait in portraits} == set(values)
    boys = [portrait for portrait in portraits if portrait.gender == "1boy"]
    assert sum(boy.outfit == "dress" for boy in boys) < 0.04 * len(boys)


def share_inside(box: tuple[float, float, float, float], differences: list[np.ndarray]) -> float:
    left, top, right, bottom = box
    rows, columns = np.nonzero(np.array(differences).sum(axis=0))
    weights = np.array(differences).sum(axis=0)[rows, columns]
    within = (rows > top) & (rows < bottom) & (columns > left) & (columns < right)
    return float(weights[within].sum() / weights.sum())


def changed_by(expressions: tuple[str, str], size: tuple[int, int]) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for seed in range(12):
        first, second = (pixels(replace(PLAIN, seed=seed, expression=name), *size) for name in expressions)
        found.append((first != second).any(axis=2))
    return found


@pytest.mark.parametrize("size", [(256, 256), (224, 288), (288, 224)])
def test_what_an_expression_changes_lies_in_the_usual_face(size: tuple[int, int]) -> None:
    box = usual_face(*size)

    assert share_inside(box, changed_by(("smile", "angry"), size)) > 0.9
    assert (box[2] - box[0]) * (box[3] - box[1]) < size[0] * size[1] / 5


@pytest.mark.parametrize("size", [(256, 256), (224, 288), (288, 224)])
def test_what_an_open_mouth_changes_lies_where_mouths_usually_are(size: tuple[int, int]) -> None:
    box = usual_mouth(*size)

    assert share_inside(box, changed_by(("smile", "open mouth"), size)) > 0.9
    assert (box[2] - box[0]) * (box[3] - box[1]) < size[0] * size[1] / 14
