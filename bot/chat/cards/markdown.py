"""Escapes members' words for Discord's Markdown: shown letter for letter, pinging nobody, linking nowhere."""

from __future__ import annotations

import unicodedata

# Every sign that begins a construct in Discord's Markdown: emphasis, code, spoilers, quotes, headings, lists, masked links,
# mentions, custom emoji, timestamps, and `:` for the links that clients find by themselves.
_SIGNS = frozenset("\\*_~`|>#-+[]()<!:/.")
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters by category, but invisible
_PARTING = frozenset({"Cc", "Zl", "Zp"})  # control characters and line ends, by category
_ODD = _PARTING | {"Cf", "Cs", "Mn", "Me"}
_MAX_MARKS = 3  # combining marks on one letter; more would cover the neighbouring lines
_BREAK = "\u200b"  # zero width; ends a mention before it starts


def visible(text: str) -> str:
    """Returns `text` on one line, without invisible characters and those that change its direction.

    A right-to-left override shows another prompt than the one drawn, and zero-width characters hide words in it.
    """
    categories = {char: unicodedata.category(char) for char in set(text)}
    if _ODD.isdisjoint(categories.values()) and _BLANKS.isdisjoint(categories):
        return " ".join(text.split())  # fast path: a picture's text may be long, and nearly all are plain
    kept: list[str] = []
    marks = 0
    for char in text:
        category = categories[char]
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category in _PARTING or char in _BLANKS:
            kept.append(" ")
        elif category not in {"Cf", "Cs"} and marks <= _MAX_MARKS:
            kept.append(char)
    return " ".join("".join(kept).split())


def shorten(text: str, limit: int) -> str:
    """Returns at most `limit` characters, ending in "…" where something was cut, at a word's end if one is near."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    word_end = cut.rfind(" ", limit * 3 // 4)
    return cut[: word_end if word_end > 0 else None].rstrip(" ,") + "…"


def escape(text: str) -> str:
    """Returns `text` escaped so that Discord shows it literally: no formatting, no link, no mention.

    The result is up to twice as long as `text`.
    """
    return "".join(f"\\{char}" if char in _SIGNS else f"@{_BREAK}" if char == "@" else char for char in text)


def heading(text: str) -> str:
    """Returns `text` as a heading."""
    return f"### {text}"


def small(text: str) -> str:
    """Returns `text` small and grey."""
    return f"-# {text}"


def link(text: str, url: str) -> str:
    """Returns `text` as a link."""
    return f"[{text}]({url})"


def code_block(text: str) -> str:
    """Returns `text` in a code block; backticks in a row are separated, since nothing can escape them there."""
    apart = text.replace("``", f"`{_BREAK}`")
    return f"```\n{apart}\n```"
