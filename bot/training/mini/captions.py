"""Captions as people write prompts: Danbooru tags in any order, with synonyms, case, underscores, quality tags, noise."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

from bot.training.mini.artist.portrait import PLAIN_BACKGROUNDS, Portrait

QUALITY: tuple[str, ...] = ("masterpiece", "best quality", "high quality", "highres", "absurdres", "newest", "very aesthetic")
ALWAYS_TRUE = ("solo", "looking at viewer", "upper body", "face focus", "cute", "portrait", "anime")
# Words of negative prompts that fit none of our pictures: an encoder that never saw them could answer with anything.
UNSEEN = (
    "lowres", "bad anatomy", "bad hands", "text", "error", "missing fingers", "extra digit", "fewer digits", "cropped",
    "worst quality", "low quality", "normal quality", "jpeg artifacts", "signature", "watermark", "username", "blurry",
    "nsfw", "ugly", "bad", "extra arms", "deformed", "detailed", "beautiful", "intricate", "cinematic lighting", "standing",
    "sitting", "hands", "dynamic angle", "depth of field", "sensitive", "general", "rating", "illustration", "vivid",
)  # fmt: skip
UNKNOWN_LETTERS = "abcdefghijklmnopqrstuvwxyz"

EXPRESSION_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "smile": ("smile",),
        "open mouth": ("open mouth", "smile, open mouth", "happy, open mouth", ":d"),
        "closed eyes": ("closed eyes", "closed eyes, smile", "eyes closed", "^_^"),
        "one eye closed": ("one eye closed", "wink", "one eye closed, smile"),
        "frown": ("frown", "sad", "frown, sad"),
        "angry": ("angry", "angry, clenched teeth", "v-shaped eyebrows, angry"),
        "expressionless": ("expressionless", "serious", "closed mouth, expressionless"),
    }
)
BACKGROUND_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "night": ("night", "outdoors, night", "night sky", "night, moon", "starry sky", "outdoors, night, stars, moon"),
        "sunset": ("sunset", "outdoors, sunset", "sunset, sun", "evening, sunset"),
        "blue sky": ("blue sky", "outdoors, day", "day, clouds, blue sky", "sky, cloud", "outdoors, blue sky", "day"),
        "indoors": ("indoors", "indoors, window", "room, bookshelf", "indoors, bookshelf"),
        "cherry blossoms": (
            "cherry blossoms",
            "outdoors, cherry blossoms",
            "spring, cherry blossoms",
            "petals, cherry blossoms",
        ),
        "forest": ("forest", "outdoors, forest", "nature, forest, trees", "trees"),
        "snow": ("snow", "outdoors, snow", "winter, snow", "snowing, winter"),
    }
)
HEADWEAR_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "beanie": ("beanie", "hat, beanie"),
        "witch hat": ("witch hat", "hat, witch hat", "witch, witch hat"),
        "hair bow": ("hair bow", "bow, hair bow", "ribbon, hair bow"),
        "cat ears": ("cat ears", "animal ears", "cat ears, animal ears", "cat girl, cat ears"),
        "crown": ("crown", "crown, jewelry"),
        "hair flower": ("hair flower", "flower, hair flower", "hair ornament, hair flower"),
        "headphones": ("headphones", "wearing headphones"),
    }
)


def tags(portrait: Portrait, rng: random.Random) -> list[str]:
    """Returns true tags of the portrait, one wording of each."""
    color = {"grey": ("grey", "grey", "gray", "silver")}.get(portrait.hair_color, (portrait.hair_color,))
    found = [portrait.gender, f"{rng.choice(color)} hair", f"{portrait.eye_color} eyes", *_style(portrait, rng)]
    found += rng.choice(EXPRESSION_TAGS[portrait.expression]).split(", ")
    found += _outfit(portrait, rng)
    if portrait.headwear != "none":
        found += rng.choice(HEADWEAR_TAGS[portrait.headwear]).split(", ")
    found += _background(portrait, rng)
    if portrait.glasses:
        found.append(rng.choice(("glasses", "glasses", "eyewear", "wearing glasses")))
    if portrait.blush:
        found.append("blush")
    if portrait.dark_skin:
        found.append(rng.choice(("dark skin", "dark-skinned", "tan")))
    if portrait.gender == "1boy" and rng.random() < 0.2:
        found.append("male focus")
    return found


def _style(portrait: Portrait, rng: random.Random) -> list[str]:
    match portrait.hair_style:
        case "bob cut":
            return [rng.choice(("bob cut", "bob"))]
        case "braid":
            return [rng.choice(("braid", "single braid"))]
        case "twintails":
            return [rng.choice(("twintails", "twintails", "twin tails"))]
        case style:
            return [style]


def _outfit(portrait: Portrait, rng: random.Random) -> list[str]:
    color, outfit = portrait.outfit_color, portrait.outfit
    match outfit:
        case "armor":
            return [rng.choice(("armor", "knight, armor", "armour"))]
        case "serafuku":
            name = rng.choice(("serafuku", "school uniform", "sailor collar", "school uniform, serafuku")).split(", ")
            return [*name, f"{color} sailor collar"] if rng.random() < 0.5 else [f"{color} {name[0]}", *name[1:]]
        case "turtleneck":
            return rng.choice(
                (
                    [f"{color} turtleneck"],
                    [f"{color} sweater", "turtleneck"],
                    ["turtleneck", f"{color} sweater"],
                    ["turtleneck"],
                )
            )
        case "collared shirt":
            return [f"{color} {rng.choice(('shirt', 'collared shirt'))}", *rng.choice(((), ("necktie",)))]
        case _:
            return [f"{color} {outfit}" if rng.random() < 0.75 else outfit]


def _background(portrait: Portrait, rng: random.Random) -> list[str]:
    name = portrait.background.removesuffix(" background")
    if name in PLAIN_BACKGROUNDS:
        plain = rng.choice((f"{name} background", f"{name} background", f"simple background, {name} background"))
        return [*plain.split(", ")]
    return rng.choice(BACKGROUND_TAGS[portrait.background]).split(", ")


def caption(portrait: Portrait, rng: random.Random) -> str:
    """Returns one caption: usually most of the tags, sometimes few, at times with words that say nothing."""
    found = tags(portrait, rng)
    keep = 1.0 if rng.random() < 0.5 else rng.uniform(0.3, 1.0)
    found = [tag for tag in found if rng.random() < keep] or [rng.choice(found)]
    found += [tag for tag in ALWAYS_TRUE if rng.random() < 0.12]
    found += noise(rng, 3) if rng.random() < 0.15 else []
    rng.shuffle(found)
    if rng.random() < 0.4:
        found = [*rng.sample(QUALITY, rng.randint(1, 3)), *found]
    elif rng.random() < 0.2:
        found += rng.sample(QUALITY, rng.randint(1, 2))
    return dress(found, rng)


def dress(found: list[str], rng: random.Random) -> str:
    """Returns the tags joined as people do: commas mostly, spaces or underscores sometimes."""
    if rng.random() < 0.1:
        found = [tag.replace(" ", "_") for tag in found]
    return rng.choices((", ", ",", " "), (12, 2, 1))[0].join(found)


def noise(rng: random.Random, most: int) -> list[str]:
    """Returns up to `most` words that say nothing about a picture: common ones and made-up ones."""
    words = [rng.choice(UNSEEN) for _ in range(rng.randint(1, most))]
    if rng.random() < 0.3:
        words.append("".join(rng.choice(UNKNOWN_LETTERS) for _ in range(rng.randint(3, 9))))
    return words


def empty_caption(rng: random.Random) -> str:
    """Returns a caption that says nothing, like a negative prompt, or quality tags alone."""
    words = noise(rng, 20) if rng.random() < 0.7 else rng.sample(QUALITY, rng.randint(1, 4))
    return dress(words, rng)


def vocabulary() -> tuple[str, ...]:
    """Returns every word that captions use, each once, sorted."""
    wordings = [*EXPRESSION_TAGS.values(), *BACKGROUND_TAGS.values(), *HEADWEAR_TAGS.values()]
    phrases = [*QUALITY, *ALWAYS_TRUE, *UNSEEN, *(text for group in wordings for text in group), *EXTRA_WORDS]
    words = {word for text in phrases for word in text.replace(",", " ").replace("-", " ").split() if word.isalpha()}
    return tuple(sorted(words))


EXTRA_WORDS = (
    "girl boy hair eyes background simple blonde brown black red pink blue green purple",
    "white grey gray silver orange aqua yellow",
    "short long twintails twin tails ponytail bob cut braid single sweater turtleneck serafuku school uniform sailor collar",
    "hoodie kimono dress armor armour knight collared shirt necktie glasses eyewear wearing blush",
    "dark skin skinned tan male focus",
    "none hat",
)
