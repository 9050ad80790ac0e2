"""The message catalogues. `python -m tests.locales.catalogues` (`make messages`) updates them and lists what is missing.

Templates are found where they are used, by the names in KEYWORDS; Babel reads and writes the files.
"""

from __future__ import annotations

import io
import string
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from bot.domain.language import Language

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "bot" / "locales"
DOMAIN = "pastel"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # Babel would write the time of the run
SOURCES = ("bot", "cogs")
TERMINAL = ("bot/bench/", "bot/training/", "bot/draw_command.py", "bot/demo/")  # what only operators read stays English
MEMBER_ERRORS = ("UserError", "InvalidRequestError", "NotFoundError", "NotAllowedError", "QuotaError", "GenerationError")
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "message": None,
    "translatable": None,
    "locale_str": None,
    "plural": (1, 2),
    "counted": (1, 2),
    **dict.fromkeys(MEMBER_ERRORS),
}
TRANSLATED = tuple(language for language in Language if language is not Language.ENGLISH)


def po_file(language: Language) -> Path:
    return FOLDER / language.value.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.po"


def template(keywords: dict[str, tuple[int, ...] | None] = KEYWORDS) -> Catalog:
    """Returns the templates of the sources, in the order of their files."""
    catalogue = Catalog(domain=DOMAIN, charset="utf-8")
    for source in SOURCES:
        found = extract_from_dir(
            ROOT / source, [("**.py", "python")], keywords=keywords, comment_tags=("Translators:",), strip_comment_tags=True
        )
        for name, _line, ids, comments, context in sorted(found, key=lambda one: one[:2]):
            if f"{source}/{name}".startswith(TERMINAL):
                continue
            catalogue.add(ids, None, [(f"{source}/{name}", 0)], auto_comments=comments, context=context)
    return catalogue


def read(language: Language) -> Catalog:
    path = po_file(language)
    if not path.exists():
        return Catalog(locale=language.value.replace("-", "_"), domain=DOMAIN, charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language.value.replace("-", "_"), domain=DOMAIN)


def as_po(catalogue: Catalog) -> bytes:
    """Returns the file without what changes at each run: dates and line numbers."""
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=120, omit_header=True, include_lineno=False, sort_output=False, ignore_obsolete=True)
    fields_of_header = {
        "Content-Type": "text/plain; charset=utf-8",
        "Language": catalogue.locale_identifier,
        "Plural-Forms": catalogue.plural_forms,
    }
    header = "".join(f'"{name}: {value}\\n"\n' for name, value in fields_of_header.items())
    return f'msgid ""\nmsgstr ""\n{header}\n'.encode() + buffer.getvalue()


def as_mo(catalogue: Catalog) -> bytes:
    """Returns the compiled file, the same at each run."""
    catalogue.creation_date = catalogue.revision_date = LONG_AGO
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def updated(language: Language, wanted: Catalog) -> Catalog:
    """Returns the language's catalogue with exactly the templates that are wanted; a changed one has to be translated anew."""
    known = read(language)
    fresh = Catalog(locale=language.value.replace("-", "_"), domain=DOMAIN, charset="utf-8")
    for message in _messages(wanted):
        before = known.get(message.id if isinstance(message.id, str) else message.id[0])
        same = before is not None and before.id == message.id
        fresh.add(
            message.id, before.string if same and before else None, message.locations, auto_comments=message.auto_comments
        )
    return fresh


def missing(catalogue: Catalog) -> list[str]:
    """Returns the templates that have no translation."""
    return [_text(message) for message in _messages(catalogue) if not all(_strings(message))]


def faults(catalogue: Catalog) -> Iterator[str]:
    """Yields a line for each translation whose placeholders are not those of its template, or whose plurals are incomplete."""
    for message in _messages(catalogue):
        strings = _strings(message)
        if isinstance(message.id, tuple) and len(strings) != catalogue.num_plurals:
            yield f"{_text(message)}: {len(strings)} plural forms, {catalogue.num_plurals} are needed"
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        allowed = {fields(one) for one in ids}
        optional = {found - {"count"} for found in allowed} if isinstance(message.id, tuple) else set[frozenset[str]]()
        for said in strings:
            if said and fields(said) not in allowed | optional:
                yield f"{_text(message)}: {sorted(fields(said))} in place of {sorted(fields(ids[0]))}"


def fields(template: str) -> frozenset[str]:
    """Returns the names in braces, with their formats; ["?"] where the braces make no sense."""
    try:
        return frozenset(
            f"{name}:{spec}" if spec else name for _, name, spec, _ in string.Formatter().parse(template) if name is not None
        )
    except ValueError:
        return frozenset({"?"})


def _messages(catalogue: Catalog) -> Iterator[Message]:
    return (message for message in catalogue if message.id)


def _strings(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, list | tuple) else (message.string or "",)


def _text(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def main() -> int:
    """Bring every catalogue up to date; returns 1 where a translation is missing or wrong."""
    wanted, wrong = template(), 0
    for language in TRANSLATED:
        catalogue = updated(language, wanted)
        path = po_file(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_po(catalogue))
        path.with_suffix(".mo").write_bytes(as_mo(read(language)))
        lacking, broken = missing(catalogue), list(faults(catalogue))
        wrong += len(lacking) + len(broken)
        print(f"{language.value}: {len(lacking)} missing, {len(broken)} wrong, of {len(catalogue)}")
        for line in (*lacking, *broken):
            print(f"  {line!r}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
