"""How people hide a word from a filter. Written apart from what undoes it: no table here comes from the bot."""

from __future__ import annotations

import re
from collections.abc import Callable

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CYRILLIC = str.maketrans("aceopxyis", "асеорхуіѕ")
GREEK = str.maketrans("aoiuvk", "αοιυνκ")
CAPITALS = str.maketrans("ABEHIKMNOPTXYZ", "ΑΒΕΗΙΚΜΝΟΡΤΧΥΖ")
SMALL_CAPITALS = str.maketrans("abcdegiklnoprtu", "ᴀʙᴄᴅᴇɢɪᴋʟɴᴏᴘʀᴛᴜ")
LEET = str.maketrans("aeio", "4310")
SYMBOLS = str.maketrans("ais", "@!$")


def words(change: Callable[[str], str]) -> Callable[[str], str]:
    """Change each run of letters that has no figures beside it."""
    return lambda prompt: re.sub(r"(?<![\da-zA-Z])[a-zA-Z]+(?![\da-zA-Z])", lambda match: change(match[0]), prompt)


def tags(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda prompt: ", ".join(change(tag) for tag in prompt.split(", "))


def shifted(start: int) -> Callable[[str], str]:
    """Letters as those of another of Unicode's alphabets, which begins at `start`."""
    return lambda prompt: "".join(chr(start + LETTERS.index(char)) if char in LETTERS else char for char in prompt.lower())


def between(mark: str) -> Callable[[str], str]:
    return words(mark.join)


def drawn_out(word: str) -> str:
    """The first vowel three times."""
    return re.sub(r"[aeiou]", lambda match: match[0] * 3, word, count=1)


DISGUISES: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "full width": shifted(0xFF41),
    "mathematical bold": shifted(0x1D41A),
    "mathematical script": shifted(0x1D4EA),
    "circled": shifted(0x24D0),
    "black circles": shifted(0x1F150),
    "black squares": shifted(0x1F170),
    "flags": shifted(0x1F1E6),
    "Cyrillic": lambda prompt: prompt.translate(CYRILLIC),
    "Greek": lambda prompt: prompt.translate(GREEK),
    "Greek capitals": lambda prompt: prompt.upper().translate(CAPITALS),
    "small capitals": lambda prompt: prompt.translate(SMALL_CAPITALS),
    "accents": between("\u0301"),
    "many marks": between("\u0336\u0353\u0300"),
    "zero-width spaces": between("\u200b"),
    "soft hyphens": between("\u00ad"),
    "word joiners": between("\u2060"),
    "Hangul fillers": between("\u3164"),
    "variation selectors": between("\ufe0f"),
    "figures for vowels": words(lambda word: word.translate(LEET)),
    "a five for an s": words(lambda word: word.replace("s", "5")),
    "a seven for a t": words(lambda word: word.replace("t", "7")),
    "symbols": words(lambda word: word.translate(SYMBOLS)),
    "a capital i for an l": lambda prompt: prompt.replace("l", "I"),
    "dots": between("."),
    "hyphens": between("-"),
    "underscores": between("_"),
    "slashes": between("/"),
    "emoji": between("\U0001f338"),
    "letters apart": tags(lambda tag: " ".join(re.findall(r"\d+|\S", tag))),
    "letters drawn out": words(drawn_out),
    "underscores for spaces": lambda prompt: prompt.replace(" ", "_"),
    "hyphens for spaces": tags(lambda tag: tag.replace(" ", "-")),
    "no spaces after commas": lambda prompt: prompt.replace(", ", ","),
    "weights": tags(lambda tag: f"({tag}:1.3)"),
    "bare weights": tags(lambda tag: f"{tag}:1.2"),
    "round brackets": tags(lambda tag: f"(({tag}))"),
    "square brackets": tags(lambda tag: f"[{tag}]"),
    "curly brackets": tags(lambda tag: f"{{{tag}}}"),
    "escaped brackets": tags(lambda tag: rf"\({tag}\)"),
    "BREAK": lambda prompt: prompt.replace(", ", " BREAK "),
    "in the address of a LoRA": lambda prompt: f"<lora:{prompt}:0.8>",
}
