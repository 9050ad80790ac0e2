from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from bot.training.mini.captions import vocabulary
from bot.training.mini.networks import build_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    return build_tokenizer(folder)


def test_every_word_of_the_vocabulary_is_one_token(tokenizer: CLIPTokenizer) -> None:
    assert [word for word in vocabulary() if tokenizer.tokenize(word) != [f"{word}</w>"]] == []


def test_unknown_words_come_back_from_their_pieces(tokenizer: CLIPTokenizer) -> None:
    ids = tokenizer("xylophone, ß zq9", add_special_tokens=False).input_ids
    assert len(ids) > 6
    assert tokenizer.decode(ids).replace(" ", "") == "xylophone,ßzq9"


def test_case_does_not_matter_and_prompts_are_cut_at_77(tokenizer: CLIPTokenizer) -> None:
    assert tokenizer("GREEN Hair").input_ids == tokenizer("green hair").input_ids
    ids = tokenizer("green hair, " * 60, padding="max_length", truncation=True, max_length=77).input_ids
    assert len(ids) == 77
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)


def test_two_builds_give_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build_tokenizer(tmp_path / name)
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
