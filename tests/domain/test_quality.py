"""What a choice of quality becomes: figures, a sampler, a distilled LoRA, and back in a remix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.domain.guild_settings.settings import UNCHANGED
from bot.domain.preferences import NO_PREFERENCES, Preferences, filled
from bot.domain.profile import Catalog, Quality, Style
from bot.domain.prompt import resolve, to_draft
from bot.domain.quality import names_of, with_quality
from bot.domain.request import Draft, GenerationRequest, StyleChoice
from bot.errors import InvalidRequestError
from tests.examples import CATALOG, PASTEL, PROFILE

LCM = Style(
    name="lcm",
    title="LCM",
    families=("sdxl",),
    licence=PASTEL.licence,
    repo="someone/lcm",
    weight_name="lcm.safetensors",
    adapter_weight=0.9,
    is_distilled=True,
)
OWN = {name: replace(LCM, name=name, title=name, is_distilled=False) for name in ("ink", "line")}
STYLES = Catalog(profiles=CATALOG.profiles, styles={**CATALOG.styles, **OWN, "lcm": LCM})
INK = (StyleChoice(name="ink", weight=0.3),)
DISTILLED = Quality(num_inference_steps=8, guidance_scale=1.5, scheduler="LCMScheduler", style="lcm")
BEST = Quality(num_inference_steps=40, scheduler="UniPCMultistepScheduler", guidance_interval=(0.1, 0.9))
FINE = replace(PROFILE, num_inference_steps=29, quality={"draft": DISTILLED, "best": BEST})
QUICK = replace(PROFILE, num_inference_steps=20, quality={"draft": Quality(num_inference_steps=8)})


def ask(profile: Any = FINE, **given: Any) -> GenerationRequest:
    return resolve(Draft(prompt="a cat", seed=1, **given), profile, STYLES)


def ask_here(profile: Any = FINE, *, personal: Preferences = NO_PREFERENCES, max_steps: int | None = None, **given: Any) -> Any:
    """In a server that offers the styles `offered`, as `/anime` asks."""
    offered = given.pop("offered", ())
    settings = replace(UNCHANGED, allowed_styles=frozenset(offered), max_steps=max_steps)
    draft = Draft(prompt="a cat", seed=1, **given)
    draft = filled(draft, personal=personal, settings=settings, profile=profile, catalog=STYLES)
    return resolve(draft, profile, STYLES)


def figures(asked: GenerationRequest) -> tuple[int, float, str | None, str | None]:
    return asked.num_inference_steps, asked.guidance_scale, asked.scheduler, asked.style


def test_a_distilled_draft_brings_its_steps_guidance_sampler_and_lora() -> None:
    assert figures(ask(quality="draft")) == (8, 1.5, "LCMScheduler", "lcm")
    assert ask(quality="draft").adapter_weight == 0.9
    weighted = replace(FINE, quality={"draft": replace(DISTILLED, adapter_weight=0.5)})
    assert ask(weighted, quality="draft").adapter_weight == 0.5


@pytest.mark.parametrize("quality", [None, "standard"])
def test_standard_is_what_the_profile_says(quality: Any) -> None:
    assert ask(quality=quality) == ask()
    assert figures(ask()) == (29, 7.0, None, None)


def test_best_keeps_what_it_does_not_name_and_acts_where_it_says() -> None:
    best = ask(quality="best", style="pastel")

    assert figures(best) == (40, 7.0, "UniPCMultistepScheduler", "pastel")
    assert best.guidance_interval == (0.1, 0.9)
    assert best.adapter_weight == PASTEL.adapter_weight


def test_what_the_member_gave_wins_over_their_quality() -> None:
    assert figures(ask(quality="draft", num_inference_steps=6, guidance_scale=2.0)) == (6, 2.0, "LCMScheduler", "lcm")


@pytest.mark.parametrize("asked", [ask, ask_here])
def test_the_distilled_lora_goes_along_with_a_members_own_style(asked: Any) -> None:
    drawn = asked(quality="draft", style="pastel", adapter_weight=0.5)

    assert figures(drawn) == (8, 1.5, "LCMScheduler", "pastel")
    assert drawn.styles == (StyleChoice(name="pastel", weight=0.5), StyleChoice(name="lcm", weight=0.9))
    weighted = replace(FINE, quality={"draft": replace(DISTILLED, adapter_weight=0.4)})
    assert asked(weighted, quality="draft", style="pastel").more_styles == (StyleChoice(name="lcm", weight=0.4),)


def test_the_distilled_lora_goes_along_with_two_styles_but_has_no_room_beside_as_many_as_there_may_be() -> None:
    ink, line = StyleChoice(name="ink", weight=0.3), StyleChoice(name="line", weight=0.4)

    both = ask(quality="draft", style="pastel", more_styles=(ink,))

    assert [style.name for style in both.styles] == ["pastel", "ink", "lcm"]
    assert [style.name for style in ask(quality="draft", more_styles=(ink,)).styles] == ["lcm", "ink"]
    for own in ({"style": "pastel", "more_styles": (ink, line)}, {"more_styles": (ink, line, replace(ink, name="pastel"))}):
        with pytest.raises(InvalidRequestError, match="adds a style of its own, and I can combine up to 3"):
            ask(quality="draft", **own)
        assert len(ask(quality="best", **own).styles) == 3


@pytest.mark.parametrize(
    "own", [{"style": " LCM ", "adapter_weight": 0.7}, {"more_styles": (StyleChoice(name="lcm", weight=0.7),)}]
)
def test_the_distilled_lora_is_not_taken_twice_where_a_member_named_it(own: dict[str, Any]) -> None:
    assert ask(quality="draft", **own).styles == (StyleChoice(name="lcm", weight=0.7),)


def test_a_style_by_default_counts_as_the_members_own() -> None:
    asked = ask_here(quality="draft", personal=Preferences(style="pastel"))
    assert [style.name for style in asked.styles] == ["pastel", "lcm"]
    bare = ask_here(quality="draft", style="-", personal=Preferences(style="pastel"))
    assert figures(bare) == (8, 1.5, "LCMScheduler", "lcm")


def test_a_server_that_does_not_offer_the_distilled_lora_gets_drafts_without_it() -> None:
    assert figures(ask_here(quality="draft", offered=["pastel"])) == (15, 7.0, None, None)
    assert ask_here(quality="draft", offered=["pastel"], style="pastel").more_styles == ()
    assert figures(ask_here(quality="draft", offered=["pastel", "lcm"])) == (8, 1.5, "LCMScheduler", "lcm")


def test_the_best_that_a_server_allows_keeps_within_its_steps_but_what_was_given_is_refused_elsewhere() -> None:
    assert ask_here(quality="best", max_steps=30).num_inference_steps == 30
    assert ask_here(quality="best", max_steps=30, num_inference_steps=50).num_inference_steps == 50
    assert ask_here(QUICK, quality="draft", max_steps=30).num_inference_steps == 8


def test_a_draft_without_a_distilled_lora_only_takes_fewer_steps() -> None:
    assert figures(ask(QUICK, quality="draft")) == (8, 7.0, None, None)
    assert figures(ask(QUICK, quality="draft", style="pastel")) == (8, 7.0, None, "pastel")


def test_a_quality_that_the_model_does_not_have_is_refused_with_those_that_it_has() -> None:
    assert names_of(FINE) == ("draft", "standard", "best")
    assert names_of(QUICK) == ("draft", "standard")
    with pytest.raises(InvalidRequestError, match="You can use `draft`, `standard`"):
        ask(QUICK, quality="best")


def test_the_weight_of_a_style_is_refused_where_a_draft_has_only_its_own_lora() -> None:
    with pytest.raises(InvalidRequestError, match="only works with a `style`"):
        ask(quality="draft", adapter_weight=0.5)
    assert ask(quality="draft", style="pastel", adapter_weight=0.5).adapter_weight == 0.5


def test_more_steps_than_the_sampler_can_do_are_refused() -> None:
    assert ask(quality="draft", num_inference_steps=50).num_inference_steps == 50
    with pytest.raises(InvalidRequestError, match="LCM can do up to 50 steps"):
        ask(quality="draft", num_inference_steps=51)


@pytest.mark.parametrize("profile", [FINE, QUICK, replace(PROFILE, guidance_interval=(0.0, 0.5))])
@pytest.mark.parametrize(
    "given", [{}, {"num_inference_steps": 7}, {"guidance_scale": 3.0}, {"style": "pastel"}, {"more_styles": INK}]
)
@pytest.mark.parametrize("quality", ["draft", "standard", "best"])
def test_a_remix_form_that_nobody_changed_gives_the_same_request_in_every_quality(
    profile: Any, given: dict[str, Any], quality: Any
) -> None:
    if quality not in names_of(profile):
        return
    before = ask(profile, quality=quality, **given)

    again = resolve(replace(to_draft(before, profile), seed=1), profile, STYLES)

    assert again == before


def test_a_remix_of_a_distilled_draft_in_another_style_does_not_keep_what_suits_the_lora_alone() -> None:
    draft = to_draft(ask(quality="draft"), FINE)

    assert (draft.quality, draft.style, draft.scheduler) == ("draft", None, None)
    assert figures(resolve(replace(draft, style="pastel"), FINE, STYLES)) == (8, 1.5, "LCMScheduler", "pastel")
    styled = to_draft(ask(quality="draft", style="pastel", adapter_weight=0.5, more_styles=INK), FINE)
    assert (styled.quality, styled.style, styled.adapter_weight, styled.more_styles) == ("draft", "pastel", 0.5, INK)


def test_a_distilled_lora_is_not_offered_as_a_style_but_found_for_a_request_that_has_it() -> None:
    assert {style.name for style in STYLES.styles_for(FINE)} == {"pastel", "ink", "line"}
    assert STYLES.style("lcm", FINE) is LCM


def test_the_profiles_own_interval_is_kept_in_the_request() -> None:
    profile = replace(PROFILE, guidance_interval=(0.0, 0.5))
    assert ask(profile).guidance_interval == (0.0, 0.5)


def test_a_draft_without_quality_is_left_as_it_is() -> None:
    draft = Draft(prompt="a cat")
    assert with_quality(draft, FINE, STYLES) is draft
