"""What the syntax of prompts does to pictures, drawn with the production generator."""

from __future__ import annotations

from bot.domain.infotext.prompt_fit import PromptFit
from bot.inference.generator import DiffusersGenerator
from tests.inference.conftest import draw, make_request, pixels


async def drawn(generator: DiffusersGenerator, prompt: str, **more: object) -> bytes:
    return pixels((await draw(generator, make_request(prompt=prompt, **more))).images[0].data).tobytes()


async def test_a_weight_changes_the_picture_and_a_weight_of_1_does_not(shared_generator: DiffusersGenerator) -> None:
    plain = await drawn(shared_generator, "1girl, green hair")

    assert await drawn(shared_generator, "1girl, (green hair:1)") == plain
    assert await drawn(shared_generator, "1girl, (green hair:1.4)") != plain
    assert await drawn(shared_generator, "1girl, [green hair]") != plain


async def test_words_beyond_the_first_chunk_count_in_both_prompts(shared_generator: DiffusersGenerator) -> None:
    start = "1girl, " * 15

    first = await drawn(shared_generator, f"{start}hat")
    assert await drawn(shared_generator, f"{start}cat") != first
    assert await drawn(shared_generator, f"{start}hat", negative_prompt=f"{start}cat") != first


async def test_a_style_draws_with_embeddings_of_its_own(shared_generator: DiffusersGenerator) -> None:
    """The LoRA changes the text encoders, so that kept embeddings must not outlive it."""
    styled = {"style": "pastel", "adapter_weight": 0.7}
    before = await drawn(shared_generator, "(beret:1.2)", **styled)
    await drawn(shared_generator, "(beret:1.2)")
    await drawn(shared_generator, "(beret:1.2)", style="pastel", adapter_weight=0.2)

    assert await drawn(shared_generator, "(beret:1.2)", **styled) == before


async def test_a_picture_says_how_many_tokens_its_prompt_has_and_what_did_not_fit(shared_generator: DiffusersGenerator) -> None:
    short = await draw(shared_generator, make_request(prompt="1girl, (hat:1.2)"))
    long = await draw(shared_generator, make_request(prompt="a BREAK b BREAK c BREAK two words"))

    assert PromptFit.read(short.images[0].parameters) == PromptFit(tokens=len("1girl,hat"))
    assert PromptFit.read(long.images[0].parameters) == PromptFit(tokens=len("abctwowords"), dropped_words=2)
