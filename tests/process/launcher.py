"""Runs the bot's real command line against a local Discord: python -m tests.process.launcher ORIGIN COMMAND..."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from tests.local_discord.attach import attach

PATIENCE = 2.7  # seconds; Discord gives 3


def launch(origin: str, argv: Sequence[str], sabotage: str | None = None) -> NoReturn:
    """Do what `python -m bot` does; `sabotage` names a bug of tests.process.sabotage to plant first."""
    attach(origin)
    be_patient()
    if sabotage:
        from tests.process.sabotage import plant

        plant(sabotage)
    from bot.__main__ import leave, main

    leave(main(argv))


def be_patient() -> None:
    """Ask nobody for patience before Discord's own limit is near: a machine that runs tests is slow, whatever its disk."""
    from bot.services import intakes, reception

    reception.Reception.__init__.__kwdefaults__["patience"] = intakes.PATIENCE = PATIENCE


if __name__ == "__main__":
    launch(sys.argv[1], sys.argv[2:])
