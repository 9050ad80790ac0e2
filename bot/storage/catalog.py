"""Loads the catalogue of models and styles: TOML files, shipped ones and the operator's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bot.domain.profile import Catalog, ModelProfile, Style
from bot.domain.prompt_rules.young_list import read_young
from bot.errors import ModelError
from bot.paths import as_in_a_shell
from bot.storage.catalog_files import ProfileToml, StyleToml
from bot.storage.catalog_sources import Resolve, Toml
from bot.storage.private_files import check_searchable

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
Value = TypeVar("Value", ModelProfile, Style)
Parse = Callable[[Mapping[str, object], str, Resolve], Value]


def load_catalog(shipped_dir: Path, data_dir: Path) -> Catalog:
    """Reads `profiles/*.toml` and `styles/*.toml` of both folders; in `data_dir` a file of the same name wins.

    A relative `folder`, `file` or `config` of a profile is looked for in `models`, then beside the profile, of `data_dir` and
    then of `shipped_dir` (a style's `file`: in `loras`, then beside the style). Weights are not opened. The rows of
    `safety/*.csv` of both folders count. Raises ModelError with one line a problem, naming file and field, and FolderError
    where this user may not look into `data_dir`.
    """
    check_searchable(data_dir)
    problems: list[str] = []
    profiles = _read_all("profiles", "models", _profile, shipped_dir, data_dir, problems)
    styles = _read_all("styles", "loras", _style, shipped_dir, data_dir, problems)
    young = read_young(shipped_dir / "safety", problems) | read_young(data_dir / "safety", problems)
    catalog = Catalog(profiles=profiles, styles=styles, young=young)
    if problems := problems or list(_missing_styles(catalog)):
        raise ModelError(*problems)
    return catalog


def _read_all(
    folder: str, weights: str, parse: Parse[Value], shipped_dir: Path, data_dir: Path, problems: list[str]
) -> dict[str, Value]:
    def resolve(path: str) -> Path:
        wanted = as_in_a_shell(path)
        places = [root.resolve() / place / wanted for root in (data_dir, shipped_dir) for place in (weights, folder)]
        return next((place for place in places if place.exists()), places[0])

    files = {path.stem: path for root in (shipped_dir, data_dir) for path in sorted((root / folder).glob("*.toml"))}
    found: dict[str, Value] = {}
    for name, path in files.items():
        try:
            if not NAME.fullmatch(name):
                raise ValueError("the file's name must consist of a-z, 0-9, '.', '_' and '-'")
            found[name] = parse(tomllib.loads(path.read_text(encoding="utf-8")), name, resolve)
        except ValidationError as error:
            problems += [f"{path}: {_line(detail)}" for detail in error.errors(include_url=False)]
        except (OSError, ValueError) as error:  # ValueError: TOML, UTF-8, the name
            problems.append(f"{path}: {str(error).splitlines()[0]}")
    return found


def _missing_styles(catalog: Catalog) -> Iterator[str]:
    for name, profile in catalog.profiles.items():
        for quality, figures in profile.quality.items():
            style = catalog.styles.get(figures.style) if figures.style else None
            if figures.style and (style is None or profile.family not in style.families):
                fault = f"there is no style {figures.style!r} for {profile.family!r}"
                yield f"profiles/{name}.toml: quality.{quality}.style: {fault}"


def _profile(values: Mapping[str, object], name: str, resolve: Resolve) -> ModelProfile:
    return _checked(ProfileToml, values).profile(name, resolve)


def _style(values: Mapping[str, object], name: str, resolve: Resolve) -> Style:
    return _checked(StyleToml, values).style(name, resolve)


Model = TypeVar("Model", bound=Toml)


def _checked(model: type[Model], values: Mapping[str, object]) -> Model:
    return model.model_validate(values)


def _line(detail: ErrorDetails) -> str:
    """Returns "field: what is wrong", in our words where pydantic's speak of Python."""
    field = ".".join(str(part) for part in detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    messages = {
        "missing": "is missing",
        "extra_forbidden": "is not a setting that Pastel knows",
        "multiple_of": "must be a multiple of 8 (the model's grid)",
        "value_error": str(context.get("error", "")),
        "string_too_short": "must not be empty",
        "string_pattern_mismatch": f"must look like {context.get('pattern', '')}",
    }
    message = messages.get(kind) or detail["msg"].replace("Input should be", "must be")
    return f"{field}: {message}" if field else message
