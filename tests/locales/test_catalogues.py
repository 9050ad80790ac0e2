"""Every language says everything, with the values of the English sentence, within Discord's limits."""

from __future__ import annotations

import pytest
from babel.messages.catalog import Catalog

from bot.domain.language import Language
from tests.locales import catalogues
from tests.locales.catalogues import TRANSLATED

LONGEST = 100  # characters of a description or a choice's name (Discord: Application Commands)


@pytest.fixture(scope="module")
def wanted() -> Catalog:
    return catalogues.template()


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_every_sentence_and_no_other(language: Language, wanted: Catalog) -> None:
    has = {message.id for message in catalogues.read(language) if message.id}

    assert {message.id for message in wanted if message.id} == has, "Run `make messages`."
    assert catalogues.missing(catalogues.read(language)) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_values_of_its_sentence(language: Language) -> None:
    assert list(catalogues.faults(catalogues.read(language))) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_compiled_catalogue_is_that_of_its_source(language: Language) -> None:
    compiled = catalogues.po_file(language).with_suffix(".mo").read_bytes()

    assert compiled == catalogues.as_mo(catalogues.read(language)), "Run `make messages`."


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_a_command_says_of_itself_fits_into_discords_list(language: Language, wanted: Catalog) -> None:
    said = catalogues.read(language)
    for one in catalogues.template(keywords={"locale_str": None}):
        if one.id:
            translation = said.get(one.id)
            assert translation is not None
            assert len(str(translation.string)) <= LONGEST, f"{one.id!r} in {language.value}"


def test_a_wrong_placeholder_is_found() -> None:
    catalogue = Catalog(locale="de", domain=catalogues.DOMAIN)
    catalogue.add("Use {limit}.", "Nimm {count}.")
    catalogue.add(("{count} step", "{count} steps"), ("{count} Schritt",))

    assert len(list(catalogues.faults(catalogue))) == 2
