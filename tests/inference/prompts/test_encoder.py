"""Embeddings against plain diffusers: what A1111's syntax does to them, and that nothing else does anything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.infotext.prompt_fit import PromptFit
from bot.domain.prompt_weights import CHUNK_TOKENS, MAX_CHUNKS
from bot.inference.prompts.chunking import Chunker
from bot.inference.prompts.encoder import MAX_CACHED, ONE_BY_ONE, PromptEncoder
from tests.tiny_sdxl import TinyModels, plain_pipeline

LENGTH = 77
LONG = "1girl, green hair, beanie, red scarf, night, looking up, snow, city lights, smile"  # 69 tokens, one a letter
COMPEL = [
    "hat++ cat--",
    '"hat", "cat"',
    "hat+ .and",
    "hat.swap",
    "a cat playing with a ball++ in the-- forest",
    "hat1.5",
    "hat -",
]

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def pipeline(models: TinyModels) -> Any:
    pipeline = plain_pipeline(models.folder)
    pipeline.tokenizer_2.pad_token = "!"  # as SDXL has it
    return pipeline


@pytest.fixture
def encoder(pipeline: Any) -> PromptEncoder:
    return PromptEncoder(pipeline)


@pytest.fixture
def zeros_for_empty(pipeline: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    before = pipeline.config.force_zeros_for_empty_prompt
    pipeline.register_to_config(force_zeros_for_empty_prompt=request.param)
    yield
    pipeline.register_to_config(force_zeros_for_empty_prompt=before)


def by_diffusers(pipeline: Any, prompt: str, negative_prompt: str | None = None, clip_skip: int | None = None) -> list[Any]:
    """Embeddings of both prompts, then their pooled embeddings."""
    with torch.no_grad():
        return list(pipeline.encode_prompt(prompt, negative_prompt=negative_prompt, clip_skip=clip_skip))


def encoded(encoder: PromptEncoder, prompt: str, negative_prompt: str = "", **more: Any) -> list[torch.Tensor]:
    it = encoder.encode(prompt, negative_prompt, **more)
    return [it.prompt_embeds, it.negative_prompt_embeds, it.pooled, it.negative_pooled]


def embeds(encoder: PromptEncoder, prompt: str, **more: Any) -> torch.Tensor:
    """By chunks: (n, 77, C)."""
    return encoder.encode(prompt, "", **more).prompt_embeds.unflatten(1, (-1, LENGTH))[0]


def all_equal(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("zeros_for_empty", [True, False], indirect=True)
@pytest.mark.parametrize("clip_skip", [None, 0, 1, 2])
@pytest.mark.parametrize("negative_prompt", ["lowres, bad anatomy", "", " "])
@pytest.mark.usefixtures("zeros_for_empty")
def test_an_unweighted_prompt_of_one_chunk_is_encoded_as_by_diffusers_bit_for_bit(
    pipeline: Any, encoder: PromptEncoder, negative_prompt: str, clip_skip: int | None
) -> None:
    wanted = by_diffusers(pipeline, LONG, negative_prompt or None, clip_skip)

    assert all_equal(encoded(encoder, LONG, negative_prompt, clip_skip=clip_skip), wanted)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="()[]\\"), min_size=1, max_size=18),
    st.sampled_from([None, 1]),
)
@quick
def test_any_short_text_without_syntax_is_encoded_as_by_diffusers_bit_for_bit(
    pipeline: Any, encoder: PromptEncoder, text: str, clip_skip: int | None
) -> None:
    assert all_equal(encoded(encoder, text, text, clip_skip=clip_skip), by_diffusers(pipeline, text, text, clip_skip))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"suisei \(1st costume\)", "suisei (1st costume)"),
        ("(hat:1), cat", "hat, cat"),
        ("[(hat)], cat", "hat, cat"),
        ("hat :) cat", "hat :) cat"),
        ("((hat, cat", "((hat, cat"),
        ("BREAK hat BREAK", "hat"),
        (r'\("hat", "cat"\).blend\(1, 0.5\)', '("hat", "cat").blend(1, 0.5)'),
        (r'\("hat", "cat"\).and\(\)', '("hat", "cat").and()'),
        (r"hat.swap\(cat\)", "hat.swap(cat)"),
        *((text, text) for text in COMPEL),
    ],
)
def test_what_changes_no_weight_means_its_plain_text(pipeline: Any, encoder: PromptEncoder, written: str, meant: str) -> None:
    assert all_equal(encoded(encoder, written, written), by_diffusers(pipeline, meant, meant))


@pytest.mark.parametrize("clip_skip", [None, 1])
@pytest.mark.parametrize("weight", [1.3, 2.0])
def test_a_weight_above_1_moves_its_tokens_away_from_the_empty_prompt_and_no_others(
    pipeline: Any, encoder: PromptEncoder, weight: float, clip_skip: int | None
) -> None:
    plain, _, pooled, _ = by_diffusers(pipeline, "red hat, cat", clip_skip=clip_skip)
    empty = by_diffusers(pipeline, "", clip_skip=clip_skip)[0]
    found = encoder.encode(f"red (hat:{weight}), cat", "", clip_skip=clip_skip)
    hat = slice(4, 7)  # behind the start mark and three letters

    moved = empty[:, hat] + weight * (plain - empty)[:, hat]
    assert torch.allclose(found.prompt_embeds[:, hat], moved, atol=1e-6)
    assert torch.equal(found.prompt_embeds[:, :4], plain[:, :4])
    assert torch.equal(found.prompt_embeds[:, 7:], plain[:, 7:])
    assert torch.equal(found.pooled, pooled)


def test_the_lower_a_weight_the_nearer_a_prompt_comes_to_one_without_the_words(pipeline: Any, encoder: PromptEncoder) -> None:
    weights = (1, 0.9, 0.5, 0.1, 0)
    end = [embeds(encoder, f"red (hat:{weight}), cat")[0, 9] for weight in weights]  # the last letter of "cat"
    distances = [float((one - end[-1]).norm()) for one in end]

    assert torch.equal(end[0], by_diffusers(pipeline, "red hat, cat")[0][0, 9])
    assert distances == sorted(distances, reverse=True)
    assert len(set(distances)) == len(weights)


@pytest.mark.parametrize("text", COMPEL)
def test_compels_own_syntax_means_nothing_beside_a_weight_either(pipeline: Any, encoder: PromptEncoder, text: str) -> None:
    plain = by_diffusers(pipeline, f"hat {text}")[0]

    found = encoder.encode(f"(hat:1.3) {text}", "").prompt_embeds

    assert not torch.equal(found[:, 1:4], plain[:, 1:4])
    assert torch.equal(found[:, 4:], plain[:, 4:])


def test_the_negative_prompt_has_weights_too(encoder: PromptEncoder) -> None:
    plain, weighted = (encoder.encode("hat", negative) for negative in ("bad, ugly", "(bad:1.4), ugly"))

    assert not torch.equal(weighted.negative_prompt_embeds, plain.negative_prompt_embeds)
    assert torch.equal(weighted.prompt_embeds, plain.prompt_embeds)


@pytest.mark.parametrize("clip_skip", [None, 1])
def test_each_part_between_breaks_is_encoded_like_a_prompt_of_its_own(
    pipeline: Any, encoder: PromptEncoder, clip_skip: int | None
) -> None:
    hat, cat = (by_diffusers(pipeline, text, clip_skip=clip_skip) for text in ("red hat", "cat"))

    found = encoder.encode("red hat BREAK cat", "", clip_skip=clip_skip)

    assert torch.equal(found.prompt_embeds, torch.cat([hat[0], cat[0]], dim=1))
    assert torch.equal(found.pooled, hat[2])


def test_a_long_prompt_is_cut_behind_a_comma_into_chunks_encoded_like_prompts(pipeline: Any, encoder: PromptEncoder) -> None:
    first, second = f"{LONG}, hat,", "cat"

    found = encoder.encode(f"{first} {second}", "")

    wanted = [by_diffusers(pipeline, text)[0] for text in (first, second)]
    assert torch.equal(found.prompt_embeds, torch.cat(wanted, dim=1))
    assert (found.tokens, found.dropped_tokens, found.fit.dropped_words) == (77, 0, 0)


@pytest.mark.parametrize("zeros_for_empty", [True, False], indirect=True)
@pytest.mark.parametrize(("prompt", "negative_prompt"), [("a BREAK b BREAK c", "bad"), ("hat", "a BREAK b"), ("a BREAK b", "")])
@pytest.mark.usefixtures("zeros_for_empty")
def test_the_shorter_of_both_prompts_is_filled_up_with_empty_chunks(
    pipeline: Any, encoder: PromptEncoder, prompt: str, negative_prompt: str
) -> None:
    found = encoder.encode(prompt, negative_prompt, clip_skip=1)

    assert found.prompt_embeds.shape == found.negative_prompt_embeds.shape
    if negative_prompt == "a BREAK b":
        assert torch.equal(found.prompt_embeds[:, LENGTH:], by_diffusers(pipeline, "", clip_skip=1)[0])
    elif negative_prompt:
        assert torch.equal(found.negative_prompt_embeds[:, LENGTH : 2 * LENGTH], by_diffusers(pipeline, "")[0])
    else:
        zeros = pipeline.config.force_zeros_for_empty_prompt
        assert bool(found.negative_prompt_embeds.any()) is not zeros


def test_what_does_not_fit_is_counted(encoder: PromptEncoder) -> None:
    found = encoder.encode("one, two BREAK three BREAK four BREAK five, six seven", " BREAK ".join("abcd"))

    assert found.prompt_embeds.shape[1] == MAX_CHUNKS * LENGTH
    assert found.tokens == len("one,twothreefourfive,sixseven")
    assert found.dropped_tokens == len("five,sixseven")
    assert found.fit == PromptFit(tokens=found.tokens, dropped_words=3, dropped_negative_words=1)


@given(
    st.lists(
        st.sampled_from([*"()[]!, .:", "(x:1.3)", "[y]", "BREAK", "<|endoftext|>", "hat", "!!!", "ǅİﬁ", "日本", "a" * 99]),
        max_size=60,
    )
    .map("".join)
    .flatmap(lambda signs: st.text(max_size=30).map(lambda text: text + signs))
)
@quick
def test_whatever_is_written_chunks_fit_and_embeddings_are_finite(pipeline: Any, encoder: PromptEncoder, prompt: str) -> None:
    tokenizers = pipeline.tokenizer, pipeline.tokenizer_2

    for chunk in Chunker(tokenizers).cut(prompt).chunks:
        for tokenizer in tokenizers:
            assert sum(len(tokenizer(part.text, add_special_tokens=False).input_ids) for part in chunk) <= CHUNK_TOKENS
    for tensor in encoded(encoder, prompt, prompt):
        assert torch.isfinite(tensor).all()


def test_extreme_weights_do_not_overflow_float16(models: TinyModels) -> None:
    pipeline = plain_pipeline(models.folder).to(dtype=torch.float16)

    found = encoded(PromptEncoder(pipeline), "(hat:0), (cat:0) and [(dog:0.01)]", "(bad:0.001), (ugly:2)")

    assert all(tensor.dtype == torch.float16 and bool(torch.isfinite(tensor).all()) for tensor in found)


@pytest.mark.parametrize("mark", ["<|startoftext|>", "<|endoftext|>"])
def test_clips_own_marks_in_a_prompt_do_no_harm(pipeline: Any, encoder: PromptEncoder, mark: str) -> None:
    """compel's own search for the tokens of a fragment fails on them, and says so with the words of the prompt."""
    for prompt in (f"({mark} hat:0.5), cat", f"[hat {mark}] {mark} (cat:1.2)"):
        assert all(bool(torch.isfinite(tensor).all()) for tensor in encoded(encoder, prompt, prompt))
    assert all_equal(encoded(encoder, f"hat {mark} cat"), by_diffusers(pipeline, f"hat {mark} cat"))


@pytest.fixture
def calls(pipeline: Any) -> Iterator[list[str]]:
    """An entry for each run of the second text encoder."""
    calls: list[str] = []
    hook = pipeline.text_encoder_2.register_forward_hook(lambda *_: calls.append("run"))
    yield calls
    hook.remove()


def test_a_text_is_encoded_once_for_each_set_of_loras(encoder: PromptEncoder, calls: list[str]) -> None:
    for variant in ("", "", "pastel:0.8", "pastel:0.7", "pastel:0.8"):
        encoder.encode("hat", "bad", variant=variant)

    assert len(calls) == 2 * 3
    encoder.encode("cat", "bad")
    assert len(calls) == 2 * 3 + 1


@pytest.mark.parametrize("clip_skip", [None, 1])
@pytest.mark.parametrize("prompt", ["[x]," * 60, "(x:0.5)[[y]]" * 90, "hat " + "[x] (y:1.3) " * 40])
def test_many_lowered_words_are_encoded_side_by_side_and_give_what_they_gave_one_by_one(
    pipeline: Any, calls: list[str], monkeypatch: pytest.MonkeyPatch, prompt: str, clip_skip: int | None
) -> None:
    together = encoded(PromptEncoder(pipeline), prompt, "", clip_skip=clip_skip)
    number = len(calls)
    monkeypatch.setattr("bot.inference.prompts.encoder.ONE_BY_ONE", 1_000)
    alone = encoded(PromptEncoder(pipeline), prompt, "", clip_skip=clip_skip)

    assert number <= 6 * MAX_CHUNKS < len(calls) - number
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(together, alone, strict=True))


def test_a_few_lowered_words_are_encoded_alone_as_ever(encoder: PromptEncoder, calls: list[str]) -> None:
    encoder.encode("cat, " + "[x]," * ONE_BY_ONE, "hat")
    several = len(calls)
    encoder.encode("cat, " + "[x]," * (ONE_BY_ONE + 1), "hat")

    assert several > ONE_BY_ONE > len(calls) - several


def test_clip_skip_is_never_answered_from_what_was_kept_without_it(encoder: PromptEncoder, pipeline: Any) -> None:
    encoder.encode("hat", "hat")

    assert all_equal(encoded(encoder, "hat", "hat", clip_skip=1), by_diffusers(pipeline, "hat", "hat", 1))


def test_of_many_texts_the_default_negative_prompt_is_kept(encoder: PromptEncoder, calls: list[str]) -> None:
    for index in range(3 * MAX_CACHED):
        encoder.encode(f"hat {index}", "bad")

    assert len(calls) == 3 * MAX_CACHED + 1


def test_no_word_of_a_prompt_is_printed_or_logged(
    encoder: PromptEncoder, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("transformers", "diffusers", "compel"):
        logging.getLogger(name).addHandler(caplog.handler)

    for prompt in ("secret, " * 60, "(secret:1.3), [secret]" * 20, f"secret {'secret' * 40}", "<|endoftext|> (secret:0.5)"):
        encoder.encode(prompt, prompt)

    for name in ("transformers", "diffusers", "compel"):
        logging.getLogger(name).removeHandler(caplog.handler)
    written = "".join([*capfd.readouterr(), caplog.text]).casefold()
    assert "secret" not in written
    assert "longer than" not in written
