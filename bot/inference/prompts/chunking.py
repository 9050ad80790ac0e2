"""Cuts a prompt into chunks that the text encoders can read, 75 tokens each."""

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
    """The encoded part of a prompt, at most MAX_CHUNKS chunks, and how many tokens there were and did not fit."""

    chunks: tuple[Part, ...]
    tokens: int
    dropped_tokens: int
    dropped_words: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """An indivisible piece: a word, a run of signs, or a part of a word longer than a chunk."""

    text: str
    weight: float
    tokens: int  # as members count
    room: int  # the room that it takes in a chunk: SDXL's second tokenizer needs more tokens for "!!!" than its first


class Chunker:
    """Cuts prompts for a pair of tokenizers, which read the same text nearly alike."""

    def __init__(self, tokenizers: Sequence[Any]) -> None:
        self._tokenizers = tokenizers

    def cut(self, prompt: str) -> Chunks:
        """Returns the chunks. Each part of the prompt begins one; text beyond the last chunk is dropped."""
        parts = [list(self._pieces(part)) for part in parse(prompt)]
        packed = min((_packed(parts, reach) for reach in (COMMA_REACH, 0)), key=lambda chunks: _tokens(chunks[MAX_CHUNKS:]))
        dropped = packed[MAX_CHUNKS:]
        return Chunks(
            chunks=tuple(_joined(chunk) for chunk in packed[:MAX_CHUNKS]),
            tokens=_tokens(packed),
            dropped_tokens=_tokens(dropped),
            dropped_words=sum(len(_WORD.findall("".join(piece.text for piece in chunk))) for chunk in dropped),
        )

    def _pieces(self, fragments: Sequence[Fragment]) -> Iterator[_Piece]:
        """Yields the pieces. All texts of a part are read together: a tokenizer's call takes longer than its work on a word."""
        texts = self._words([fragment.text for fragment in fragments])
        words = [(word, fragment.weight) for fragment, found in zip(fragments, texts, strict=True) for word in found]
        for (word, weight), (tokens, room) in zip(words, self._lengths([word for word, _ in words]), strict=True):
            if room > CHUNK_TOKENS:
                yield from (_Piece(part, weight, *lengths) for part, lengths in self._splinters(word))
            elif room:
                yield _Piece(word, weight, tokens, room)

    def _words(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Yields each text cut at the tokenizer's own joints, each word with the white space behind it."""
        encoded = self._tokenizers[0](texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        for index, text in enumerate(texts):
            places = zip(encoded.word_ids(index), encoded["offset_mapping"][index], strict=True)
            starts = [min(start for _, (start, _) in word) for _, word in groupby(places, key=lambda place: place[0])]
            starts = sorted({0, *starts})
            yield [text[start:end] for start, end in zip(starts, (*starts[1:], len(text)), strict=True)]

    def _splinters(self, word: str) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yields halves of halves of a word, with their lengths."""
        parts = [word]
        while True:
            measured = list(zip(parts, self._lengths(parts), strict=True))
            long = [len(part) > 1 and room > SPLINTER for part, (_, room) in measured]
            if not any(long):
                return ((part, lengths) for part, lengths in measured if lengths[1])
            parts = [half for part, cut in zip(parts, long, strict=True) for half in (_halves(part) if cut else (part,))]

    def _lengths(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """Returns each word's length: its tokens as members count, and what it takes of a chunk."""
        different = list(dict.fromkeys(words))
        if not different:
            return []
        read = [tokenizer(different, add_special_tokens=False, verbose=False).input_ids for tokenizer in self._tokenizers]
        counted = [[len(ids) for ids in lists] for lists in read]
        lengths = {word: (counts[0], max(counts)) for word, *counts in zip(different, *counted, strict=True)}
        return [lengths[word] for word in words]


def _halves(word: str) -> tuple[str, str]:
    middle = len(word) // 2
    return word[:middle], word[middle:]


def _packed(parts: Iterable[Sequence[_Piece]], reach: int) -> list[list[_Piece]]:
    """Returns the pieces in chunks, however many; a full one ends behind the last comma if that is within reach."""
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
    """Returns the chunk with pieces of the same weight as one fragment."""
    runs = groupby(chunk, key=lambda piece: piece.weight)
    return tuple(Fragment("".join(piece.text for piece in run), weight) for weight, run in runs)
