"""The first message on the page: an introduction, and prompts to press."""

from __future__ import annotations

from dataclasses import dataclass

from discord import ButtonStyle, ui

from bot.chat.actions import NO_JOB, Press

EXAMPLE_ACTION = "example"
COLOUR = 0xF5A9C8
GREETING = """## Welcome to Pastel
This is the real bot in a pretend Discord on your computer: commands, queue, model and pictures are real. \
No token is needed, and nothing leaves this machine."""
CALL = "Press a prompt to draw it:"
HINTS = (
    """-# Type `/` for all commands. *Viewing as*, above, turns you into a moderator. Ctrl-C in the terminal ends the demo."""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A prompt to press, and the short label of its button."""

    label: str
    emoji: str
    prompt: str


EXAMPLES = (
    Example(label="Night walk", emoji="🌃", prompt="1girl, green hair, beanie, night, city lights, looking at viewer"),
    Example(label="Cherry blossoms", emoji="🌸", prompt="1girl, pink hair, school uniform, cherry blossoms, smile"),
    Example(label="Stargazer", emoji="🌠", prompt="1boy, silver hair, scarf, starry sky, meadow, looking up"),
    Example(label="Sunny hat", emoji="🌻", prompt="1girl, blonde hair, straw hat, white dress, sunflower, blue sky"),
)


def welcome() -> ui.LayoutView:
    """Returns the message; its buttons are found by their custom id, like those of a card."""
    view = ui.LayoutView(timeout=None)
    buttons = [_button(number, example) for number, example in enumerate(EXAMPLES, start=1)]
    view.add_item(
        ui.Container(
            ui.TextDisplay(GREETING),
            ui.TextDisplay(CALL),
            ui.ActionRow(*buttons),
            ui.TextDisplay(HINTS),
            accent_colour=COLOUR,
        )
    )
    view.stop()
    return view


def example_of(press: Press) -> Example | None:
    """Returns the example whose button was pressed; None for an unknown custom id."""
    number = press.image or 0
    return EXAMPLES[number - 1] if 1 <= number <= len(EXAMPLES) else None


def _button(number: int, example: Example) -> ui.Button[ui.LayoutView]:
    press = Press(action=EXAMPLE_ACTION, job_id=NO_JOB, image=number)
    return ui.Button(label=example.label, emoji=example.emoji, style=ButtonStyle.secondary, custom_id=press.custom_id)
