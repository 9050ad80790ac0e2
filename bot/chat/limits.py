"""Discord's limits (reference: Message Components, Application Commands; discord.py 2.7.1 checks only some of them)."""

from __future__ import annotations

from typing import Final

MAX_OPTIONS: Final = 25  # options of a select, and choices of a command's option
OPTION_LENGTH: Final = 100  # characters of a select's option; also of a choice's name
DESCRIPTION_LENGTH: Final = 100  # characters of a command's description, and of its options'
FORM_TEXT_LENGTH: Final = 45  # characters of a form's title, and of its labels
HINT_LENGTH: Final = 100  # characters of the description below a label
BUTTON_LENGTH: Final = 80  # characters of a button's label
MESSAGE_LENGTH: Final = 4_000  # characters of all texts of one message with components
ALT_TEXT_LENGTH: Final = 1_024  # characters of a picture's description
