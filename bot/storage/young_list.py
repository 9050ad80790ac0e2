"""`safety/characters.csv` and `safety/bodies.csv`: who is drawn as a child. Operators add rows in files of the same names."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

from bot.domain.young_list import NOBODY, YoungList, body, character

_CHARACTER = re.compile(r"(?P<name>[^()]+) \((?P<series>[^()]+)\)")  # as Danbooru writes it
_ALONE = {"yes": True, "no": False}


def read_young(folder: Path, problems: list[str]) -> YoungList:
    """Returns the rows of `folder`; a missing file has none. Adds one line to `problems` for each row that says nothing."""
    characters = _read(folder / "safety" / "characters.csv", ("character", "alone"), _character, problems)
    return characters | _read(folder / "safety" / "bodies.csv", ("words",), _body, problems)


def _read(path: Path, columns: tuple[str, ...], parse: Callable[[dict[str, str]], YoungList], problems: list[str]) -> YoungList:
    rows: set[frozenset[str]] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # a spreadsheet writes a mark at the start
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != columns:
                raise ValueError(f"the first line must be {','.join(columns)!r}")
            for row in reader:
                try:
                    rows |= parse(row).rows
                except ValueError as error:
                    problems.append(f"{path}: line {reader.line_num}: {error}")
    except FileNotFoundError:
        return NOBODY
    except (OSError, ValueError, csv.Error) as error:  # ValueError: UTF-8 and the first line
        problems.append(f"{path}: {str(error).splitlines()[0]}")
    return YoungList(frozenset(rows))


def _character(row: dict[str, str]) -> YoungList:
    named = _CHARACTER.fullmatch((row["character"] or "").strip())
    alone = _ALONE.get((row["alone"] or "").strip())
    if named is None or alone is None or len(row) > 2:  # more values than columns stand under a key of their own
        raise ValueError("must look like 'name (series),yes' or 'name (series),no'; no: only beside its series")
    return character(named["name"].strip(), named["series"].strip(), alone=alone)


def _body(row: dict[str, str]) -> YoungList:
    return body(row["words"] or "")
