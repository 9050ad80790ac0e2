"""Where a prompt is cut, with tokenizers that know a few words."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from bot.domain.prompt_weights import CHUNK_TOKENS, MAX_CHUNKS, MAX_TOKENS
from bot.inference.prompts.chunking import Chunker
from bot.training.mini.tokens import write_tokenizer


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> tuple[CLIPTokenizer, CLIPTokenizer]:
    """The first knows "!!!!" as one token, the second only single signs, as it is with SDXL's."""
    folder = tmp_path_factory.mktemp("tokenizers")
    return known(folder / "first", "hat", "green", "!!!!"), known(folder / "second", "hat", "green")


@pytest.fixture
def chunker(tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]) -> Chunker:
    return Chunker(tokenizers)


def known(folder: Path, *words: str) -> CLIPTokenizer:
    write_tokenizer(folder, words)
    return CLIPTokenizer.from_pretrained(str(folder))


def texts(chunker: Chunker, prompt: str) -> list[str]:
    return ["".join(fragment.text for fragment in chunk) for chunk in chunker.cut(prompt).chunks]


def test_a_full_chunk_ends_behind_the_last_comma(chunker: Chunker) -> None:
    tags = "green hat, " * 24 + "green hat"  # 3 tokens each: 72, and 3 more would be 75

    assert texts(chunker, f"{tags}, green green green") == ["green hat, " * 24 + "green hat, ", "green green green"]
    assert texts(chunker, f"{tags} hat hat") == ["green hat, " * 24, "green hat hat hat"]


def test_a_comma_far_back_does_not_shorten_a_chunk(chunker: Chunker) -> None:
    assert texts(chunker, "green, " + "hat " * 80) == ["green, " + "hat " * 73, "hat " * 7]


def test_a_long_word_behind_a_comma_overfills_no_chunk(
    chunker: Chunker, tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]
) -> None:
    cut = texts(chunker, f"{'x' * 40}, {'y' * 15} {'z' * 70}")

    assert [len(tokenizers[0](text, add_special_tokens=False).input_ids) for text in cut] == [41, 15, 70]


def test_no_word_is_dropped_for_the_sake_of_a_tidy_cut(chunker: Chunker) -> None:
    prompt = f"{'hat ' * 69}green, {'hat ' * 154}"

    cut = chunker.cut(prompt)

    assert (cut.tokens, cut.dropped_tokens, len(cut.chunks)) == (MAX_TOKENS, 0, MAX_CHUNKS)


def test_chunks_fit_the_tokenizer_that_needs_more_tokens(
    chunker: Chunker, tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]
) -> None:
    cut = texts(chunker, "!!!! " * 40)

    assert [len(tokenizers[1](text, add_special_tokens=False).input_ids) for text in cut] == [72, 72, 16]
    assert chunker.cut("!!!! " * 40).tokens == 40


def test_a_word_longer_than_a_chunk_is_cut_anywhere(chunker: Chunker) -> None:
    cut = texts(chunker, "x" * 160)

    assert "".join(cut) == "x" * 160
    assert len(cut) == MAX_CHUNKS
    assert all(len(text) <= CHUNK_TOKENS for text in cut)


def test_what_lies_beyond_the_last_chunk_is_counted_and_dropped(chunker: Chunker) -> None:
    cut = chunker.cut("hat " * 230 + "green, (green:1.2)")

    assert (cut.tokens, cut.dropped_tokens, cut.dropped_words) == (233, 8, 7)
    assert "green" not in "".join(texts(chunker, "hat " * 230 + "green"))


@pytest.mark.parametrize("prompt", ["[x]," * 500, "((hat)),y" * 200, "1," * 1000, "\U0001f600" * 2000, "a b" * 600])
def test_a_prompt_of_thousands_of_words_is_measured_in_a_few_calls(
    tokenizers: tuple[CLIPTokenizer, CLIPTokenizer], prompt: str
) -> None:
    calls = 0

    def counted(texts: list[str], **more: object) -> object:
        nonlocal calls
        calls += 1
        return tokenizers[0](texts, **more)

    assert Chunker((counted, counted)).cut(prompt).tokens >= len(prompt) // 4
    assert calls <= 30
