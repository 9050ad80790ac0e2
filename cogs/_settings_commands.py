"""Makes the commands of `/settings` that change a setting, from its row and by its kind."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice, Range, locale_str

from bot.chat.cards.markdown import shorten, visible
from bot.chat.limits import MAX_OPTIONS, OPTION_LENGTH
from bot.chat.settings.controls import size_choices
from bot.chat.settings.pages import COMMAND_GROUPS
from bot.chat.settings.text import SETTING_TEXTS
from bot.domain.guild_settings import kinds
from bot.domain.guild_settings.audit_log import Edit
from bot.domain.guild_settings.definitions import SETTINGS, Setting
from bot.domain.guild_settings.edits import assign, exclude, give_role, include
from bot.domain.guild_settings.serialization import to_values
from bot.domain.request import MAX_PROMPT_LENGTH
from bot.services.guild_settings import GuildSettingsService
from cogs._channels import DrawnIn, PostedIn
from cogs._settings_reply import revise, settings_for_choices

Command = app_commands.Command[Any, ..., None]
Complete = Callable[[discord.Interaction[Any], str], Coroutine[Any, Any, list[Choice[Any]]]]
_Maker = Callable[[str, locale_str], Command]
"""Makes a command from a name and a description."""
NEEDED: Any = object()
"""The default of an option that cannot be left out."""


def add_setting_commands(group: app_commands.Group, rules: GuildSettingsService) -> None:
    """Adds the commands of every setting to `group`, in subgroups where their names have two words."""
    groups: dict[str, app_commands.Group] = {}
    for setting in SETTINGS.values():
        for path, command in _SettingCommands(setting, rules).made():
            first, _, rest = path.partition(" ")
            if rest and first not in groups:
                groups[first] = app_commands.Group(name=first, description=locale_str(COMMAND_GROUPS[first]))
                group.add_command(groups[first])
            (groups[first] if rest else group).add_command(command)


class _SettingCommands:
    """The commands of one setting. Their input is checked when the edit runs."""

    def __init__(self, setting: Setting, rules: GuildSettingsService) -> None:
        self._name = setting.name
        self._kind = setting.kind
        self._text = SETTING_TEXTS[setting.name]
        self._rules = rules

    def made(self) -> Iterable[tuple[str, Command]]:
        """Yields each command with the words after `/settings`."""
        for (path, description), make in zip(self._text.commands, self._makers(), strict=True):
            yield path, make(path.rpartition(" ")[2], locale_str(description))

    def _makers(self) -> tuple[_Maker, ...]:
        match self._kind:
            case kinds.Words() | kinds.Channels() | kinds.Roles() | kinds.Styles():
                return self._list_makers(self._kind)
            case kinds.RoleNumbers(low, high):
                without = self._setter(discord.Role, lambda role: give_role(self._name, str(role.id), None), option="role")
                return (self._role_setter(Range[int, low, high]), without, self._clearer({}))
            case _:
                return (self._value_maker(self._kind),)

    def _value_maker(self, kind: kinds.Kind) -> _Maker:
        match kind:
            case kinds.Number(low, high):
                complete = self._sizes if isinstance(kind, kinds.Pixels) else None
                return self._setter(Range[int, low, high], default=None, complete=complete)
            case kinds.Text():
                return self._setter(Range[str, 0, MAX_PROMPT_LENGTH], default="")
            case kinds.Flag():
                return self._setter(str, lambda chosen: assign(self._name, chosen == str(True)))
            case kinds.Channel():
                return self._setter(PostedIn, default=None)
            case kinds.Style():
                return self._setter(str, self._default_style, default=None, complete=self._every_style)
            case _:
                is_optional = isinstance(kind, kinds.Choice) and kind.optional
                return self._setter(str, default=None if is_optional else NEEDED)

    def _list_makers(self, kind: kinds.Words | kinds.Channels | kinds.Roles | kinds.Styles) -> tuple[_Maker, ...]:
        added: Callable[[Any], str] = str
        removed: Callable[[Any], str] = str
        offered, listed = None, None
        match kind:
            case kinds.Words():
                annotation, listed = Range[str, 1, kinds.MAX_WORD_LENGTH], self._listed
            case kinds.Channels():
                annotation = DrawnIn
            case kinds.Roles():
                annotation, added, removed = discord.Role, _id_of, _id_of
            case kinds.Styles():
                annotation, added, offered, listed = str, self._rules.style_name, self._every_style, self._listed
        return (
            self._setter(annotation, lambda value: include(self._name, added(value)), complete=offered),
            self._setter(annotation, lambda value: exclude(self._name, removed(value)), complete=listed),
            self._clearer([]),
        )

    def _setter(
        self,
        annotation: Any,
        edit: Callable[[Any], Edit] | None = None,
        *,
        default: Any = NEEDED,
        complete: Complete | None = None,
        option: str | None = None,
    ) -> _Maker:
        """Returns a maker of a command with one option."""

        def make(name: str, description: locale_str) -> Command:
            async def run(interaction: discord.Interaction, value: Any) -> None:
                await revise(self._rules, interaction, edit(value) if edit else assign(self._name, value))

            run.__annotations__["value"] = annotation if default is not None else annotation | None
            if default is not NEEDED:
                run.__defaults__ = (default,)
            app_commands.rename(value=option or self._text.option)(run)
            if self._text.choices:
                named = self._text.choices.items()
                app_commands.choices(value=[Choice(name=locale_str(label), value=str(value)) for value, label in named])(run)
            command: Command = app_commands.Command(name=name, description=description, callback=run)
            if complete is not None:
                command.autocomplete("value")(complete)
            return command

        return make

    def _role_setter(self, annotation: Any) -> _Maker:
        def make(name: str, description: locale_str) -> Command:
            async def run(interaction: discord.Interaction, role: discord.Role, value: Any) -> None:
                await revise(self._rules, interaction, give_role(self._name, str(role.id), value))

            run.__annotations__["value"] = annotation
            app_commands.rename(value=self._text.option)(run)
            return app_commands.Command(name=name, description=description, callback=run)

        return make

    def _clearer(self, empty: Any) -> _Maker:
        def make(name: str, description: locale_str) -> Command:
            async def run(interaction: discord.Interaction) -> None:
                await revise(self._rules, interaction, assign(self._name, empty))

            return app_commands.Command(name=name, description=description, callback=run)

        return make

    def _default_style(self, style: str | None) -> Edit:
        return assign(self._name, None if style is None else self._rules.style_name(style))

    async def _sizes(self, interaction: discord.Interaction, current: str) -> list[Choice[Any]]:
        """Returns all sizes, whatever was typed: there are few, and nobody knows their pixels by heart."""
        del interaction, current
        return [Choice(name=label, value=amount) for label, amount in size_choices(self._rules.profile.sizes)][:MAX_OPTIONS]

    async def _every_style(self, interaction: discord.Interaction, current: str) -> list[Choice[Any]]:
        del interaction
        return _choices((style.name for style in self._rules.styles), current)

    async def _listed(self, interaction: discord.Interaction, current: str) -> list[Choice[Any]]:
        settings = await settings_for_choices(self._rules, interaction)
        listed: Iterable[str] = () if settings is None else to_values(settings)[self._name]
        return _choices(listed, current)


def _id_of(role: discord.Role) -> str:
    return str(role.id)


def _choices(names: Iterable[str], current: str) -> list[Choice[Any]]:
    """Returns those of `names` that contain `current`."""
    typed = current.strip().casefold()
    fitting = [name for name in names if typed in name.casefold()]
    return [Choice(name=shorten(visible(name), OPTION_LENGTH) or "…", value=name) for name in fitting[:MAX_OPTIONS]]
