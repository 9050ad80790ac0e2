import random
import re

from bot.training.mini.artist.palette import HAIR
from bot.training.mini.artist.portrait import random_portrait
from bot.training.mini.captions import UNSEEN, caption, empty_caption, tags, vocabulary
from bot.training.mini.dataset import Bucket, portrait_at


def test_a_caption_names_no_hair_color_but_the_true_one() -> None:
    rng = random.Random(3)
    named = 0
    for _ in range(500):
        portrait = random_portrait(rng)
        text = caption(portrait, rng).replace("_", " ")
        colors = re.findall(rf"\b({'|'.join(HAIR)}|gray|silver) hair", text)
        named += len(colors)
        assert all(color == portrait.hair_color or portrait.hair_color == "grey" for color in colors)
    assert named > 300


def test_a_caption_names_what_is_worn_only_when_it_is_worn() -> None:
    rng = random.Random(4)
    for _ in range(300):
        portrait = random_portrait(rng)
        found = tags(portrait, rng)
        assert ("beanie" in found) == (portrait.headwear == "beanie")
        assert any("glasses" in tag or tag == "eyewear" for tag in found) == portrait.glasses
        assert ("blush" in found) == portrait.blush
        assert found[0] == portrait.gender


def test_captions_vary_in_order_and_completeness() -> None:
    rng = random.Random(5)
    portrait = random_portrait(rng)
    captions = {caption(portrait, rng) for _ in range(50)}
    assert len(captions) == 50
    lengths = {len(text.split(",")) for text in captions}
    assert max(lengths) - min(lengths) > 4


def test_an_empty_caption_names_nothing_that_is_drawn() -> None:
    rng = random.Random(6)
    for _ in range(200):
        text = empty_caption(rng).replace("_", " ")
        assert not re.search(r"\b(hair|eyes|girl|boy|night)\b", text)


def test_every_word_of_every_caption_is_in_the_vocabulary() -> None:
    rng, words = random.Random(7), set(vocabulary())
    for _ in range(500):
        for tag in tags(random_portrait(rng), rng):
            assert set(re.findall(r"[a-z]{2,}", tag)) <= words
    assert {word for tag in UNSEEN for word in tag.split()} <= words


def test_a_picture_keeps_its_labels_when_the_bucket_grows() -> None:
    small, large = Bucket(width=64, height=64, count=10), Bucket(width=64, height=64, count=1000)
    assert portrait_at(1, small, 9) == portrait_at(1, large, 9)
    assert portrait_at(1, small, 9) != portrait_at(2, small, 9)
