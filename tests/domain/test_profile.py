"""Looking up models, sizes and styles by name."""

from __future__ import annotations

import pytest

from bot.errors import InvalidRequestError, ModelError
from tests.examples import CATALOG, PASTEL, PROFILE


def test_a_size_is_found_by_name_in_any_case() -> None:
    assert PROFILE.size(" PORTRAIT ").height == 96
    assert PROFILE.size(None).name == "square"


def test_an_unknown_size_names_those_that_exist() -> None:
    with pytest.raises(InvalidRequestError, match="`square`, `portrait`"):
        PROFILE.size("huge")


def test_an_unknown_model_names_those_that_exist() -> None:
    assert CATALOG.profile("test") is PROFILE
    with pytest.raises(ModelError, match=r"'nope'.*older, test"):
        CATALOG.profile("nope")


def test_only_styles_of_the_models_family_are_offered() -> None:
    assert CATALOG.styles_for(PROFILE) == (PASTEL,)
    with pytest.raises(InvalidRequestError, match=r"You can use \*\*Pastel Anime\*\*"):
        CATALOG.style("pixel", PROFILE)


@pytest.mark.parametrize("name", ["pastel", " Pastel ", "PASTEL ANIME"])
def test_a_style_is_found_by_name_or_title(name: str) -> None:
    assert CATALOG.style(name, PROFILE) is PASTEL
