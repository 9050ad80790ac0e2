"""Expands paths that people write where no shell reads them: in `.env`, in Docker's environment, in TOML files."""

from __future__ import annotations

import os
import re
from pathlib import Path

HOME = re.compile(r"\$HOME(?=/|$)|\$\{HOME\}(?=/|$)")
VARIABLE = re.compile(r"\$\{|\$[A-Za-z_]")


def as_in_a_shell(path: str) -> Path:
    """Returns the path with a leading `~`, `~user` or `$HOME` replaced by the home folder.

    Raises ValueError, with what to do, for an unknown home folder and for any other variable, unless such a path exists: a
    folder of that name would be made.
    """
    written = HOME.sub("~", path, count=1) if HOME.match(path) else path
    try:
        meant = Path(written).expanduser()
    except RuntimeError:
        raise ValueError("begins with the home folder of a user who has none here. Write the path itself") from None
    if any(VARIABLE.search(place.name) and not os.path.lexists(place) for place in (meant, *meant.parents)):
        raise ValueError("has a $NAME in it, which nothing fills in. Write the path itself")
    return meant
