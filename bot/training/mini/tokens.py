"""Writes tokenizer files in CLIP's format: every word that captions use is one token, all else is split into letters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
MAX_LENGTH = 77
WORD_END = "</w>"


def byte_symbols() -> list[str]:
    """Returns the 256 printable symbols of bytes in byte-level BPE: printable Latin-1 as it is, the rest from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    rest = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in sorted(printable)] + [chr(256 + i) for i in range(len(rest))]


def merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Returns byte-pair merges, most frequent pair first, until every word is one token."""
    pieces = {word: [*word[:-1], word[-1] + WORD_END] for word in words}
    found: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for parts in pieces.values() for pair in pairwise(parts))
        if not pairs:
            return found
        best = max(sorted(pairs), key=pairs.__getitem__)
        found.append(best)
        for parts in pieces.values():
            _merge(parts, best)


def _merge(parts: list[str], pair: tuple[str, str]) -> None:
    i = 0
    while i < len(parts) - 1:
        if (parts[i], parts[i + 1]) == pair:
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        i += 1


def write_tokenizer(folder: Path, words: Sequence[str]) -> int:
    """Write vocab.json, merges.txt and the configuration; returns the size of the vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    symbols = byte_symbols()
    pairs = merges(words)
    tokens = [*symbols, *(symbol + WORD_END for symbol in symbols)]
    tokens += [token for token in dict.fromkeys(a + b for a, b in pairs) if token not in set(tokens)]
    tokens += [START, END]
    vocab = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in pairs), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": MAX_LENGTH,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "do_lower_case": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2), encoding="utf-8")
    return len(vocab)
