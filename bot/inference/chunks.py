"""A prompt cut into chunks that the text encoders can read, 75 tokens each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bot.domain.prompt_weights import CHUNK_TOKENS, MAX_CHUNKS, Fragment, Part, parse

COMMA_REACH = 20  # tokens that a chunk may end early so that no tag is torn: A1111's own number
SPLINTER = 15  # tokens at most of each piece that a word longer than a chunk is cut into
_WORD = re.compile(r"[^\s,]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """What of a prompt is encoded: at most MAX_CHUNKS chunks, and how much there was and did not fit."""

    chunks: tuple[Part, ...]
    tokens: int
    dropped_tokens: int
    dropped_words: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is never cut: a word, a run of signs, or what was cut from a word longer than a chunk."""

    text: str
    weight: float
    tokens: int  # as members count
    room: int  # what it takes of a chunk: SDXL's second tokenizer needs more tokens for "!!!" than its first


class Chunker:
    """Cuts prompts for a pair of tokenizers, which read the same text nearly alike."""

    def __init__(self, tokenizers: Sequence[Any]) -> None:
        self._tokenizers = tokenizers

    def cut(self, prompt: str) -> Chunks:
        """Each part of the prompt begins a chunk. What lies beyond the last chunk is dropped."""
        parts = [[piece for fragment in part for piece in self._pieces(fragment)] for part in parse(prompt)]
        packed = min((_packed(parts, reach) for reach in (COMMA_REACH, 0)), key=lambda chunks: _tokens(chunks[MAX_CHUNKS:]))
        dropped = packed[MAX_CHUNKS:]
        return Chunks(
            chunks=tuple(_joined(chunk) for chunk in packed[:MAX_CHUNKS]),
            tokens=_tokens(packed),
            dropped_tokens=_tokens(dropped),
            dropped_words=sum(len(_WORD.findall("".join(piece.text for piece in chunk))) for chunk in dropped),
        )

    def _pieces(self, fragment: Fragment) -> Iterator[_Piece]:
        for word in self._words(fragment.text):
            tokens, room = self._lengths(word)
            if room:
                yield _Piece(word, fragment.weight, tokens, room)

    def _words(self, text: str) -> Iterator[str]:
        """The text at the tokenizer's own joints, each with the white space behind it."""
        encoded = self._tokenizers[0](text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        places = zip(encoded.word_ids(), encoded["offset_mapping"], strict=True)
        starts = [min(start for _, (start, _) in word) for _, word in groupby(places, key=lambda place: place[0])]
        starts = sorted({0, *starts})
        for start, end in zip(starts, (*starts[1:], len(text)), strict=True):
            word = text[start:end]
            yield from self._splinters(word) if self._lengths(word)[1] > CHUNK_TOKENS else (word,)

    def _splinters(self, word: str) -> Iterator[str]:
        if len(word) <= 1 or self._lengths(word)[1] <= SPLINTER:
            yield word
            return
        middle = len(word) // 2
        yield from self._splinters(word[:middle])
        yield from self._splinters(word[middle:])

    def _lengths(self, text: str) -> tuple[int, int]:
        lengths = [len(tokenizer(text, add_special_tokens=False, verbose=False).input_ids) for tokenizer in self._tokenizers]
        return lengths[0], max(lengths)


def _packed(parts: Iterable[Sequence[_Piece]], reach: int) -> list[list[_Piece]]:
    """The pieces in chunks, however many; a full one ends behind the last comma where that is within reach."""
    chunks: list[list[_Piece]] = []
    for part in parts:
        chunk: list[_Piece] = []
        for piece in part:
            while chunk and _room(chunk) + piece.room > CHUNK_TOKENS:
                end = _end(chunk, reach)
                chunks.append(chunk[:end])
                chunk = chunk[end:]
            chunk.append(piece)
        if chunk:
            chunks.append(chunk)
    return chunks


def _end(chunk: Sequence[_Piece], reach: int) -> int:
    for end in range(len(chunk), 0, -1):
        if chunk[end - 1].text.rstrip().endswith(","):
            return end
        if _room(chunk[end - 1 :]) > reach:
            break
    return len(chunk)


def _room(pieces: Iterable[_Piece]) -> int:
    return sum(piece.room for piece in pieces)


def _tokens(chunks: Iterable[Iterable[_Piece]]) -> int:
    return sum(piece.tokens for chunk in chunks for piece in chunk)


def _joined(chunk: Iterable[_Piece]) -> Part:
    """Pieces of the same weight as one fragment."""
    runs = groupby(chunk, key=lambda piece: piece.weight)
    return tuple(Fragment("".join(piece.text for piece in run), weight) for weight, run in runs)
