"""The Discord client: its intents, the routing of actions and errors, and the services that cogs can require."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat import errors, replies
from bot.chat.actions import ERASE, AnyPress, Press, SettingsPress, press_of
from bot.chat.command_sync import Registration
from bot.chat.command_translator import CommandTranslator
from bot.chat.pressed_item import PressedItem
from bot.chat.replies import Interaction
from bot.chat.shards import PacedShardedBot
from bot.chat.stale_interactions import StaleInteractions
from bot.chat.translation import speak
from bot.domain.audience import EVERYBODY, Audience
from bot.domain.language import language_of
from bot.errors import NotAllowedError, NotFoundError
from bot.messages import translatable
from bot.metrics import Metrics
from bot.ports import MetaRepository

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = logging.getLogger(__name__)

MAX_RATELIMIT_WAIT = 60.0  # seconds; beyond it discord.py raises instead of sleeping, and the outbox waits
OWN_DATA = "privacy"  # the command that stays open to members who are not served: their stored data is still theirs
NOT_OFFERED = translatable("I don't offer this any more, so nothing happened. `/help` shows what I can do.")
GUILD_READY_TIMEOUT = 2.0  # seconds after the last server before READY counts; discord.py's own default

T = TypeVar("T")
P = TypeVar("P")
PressHandler = Callable[[Interaction, Press], Awaitable[None]]
SettingsHandler = Callable[[Interaction, SettingsPress], Awaitable[None]]
OnLogin = Callable[[], Awaitable[None]]


class PastelTree(app_commands.CommandTree["PastelBot"]):
    """The command tree with our error sink; drops interactions that came too late and refuses members who are not served."""

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Return whether to run the interaction; discord.py asks before commands, menus and completions, in their task.

        An error here would reach nobody.
        """
        if replies.is_late(interaction):
            return False
        speak(language_of(interaction.locale.value))
        if cast("dict[str, Any]", interaction.data or {}).get("name") == OWN_DATA:
            return True
        try:
            self.client.check_served(interaction)
        except NotAllowedError as error:
            if interaction.type is discord.InteractionType.autocomplete:
                with contextlib.suppress(discord.DiscordException):
                    await interaction.response.autocomplete([])
            else:
                await errors.report(self.client.metrics, interaction, error)
            return False
        return True

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        if isinstance(error, errors.NOT_OURS):
            self.client.doubt_commands()
        await errors.report(self.client.metrics, interaction, error)


class PastelBot(PacedShardedBot):
    """The client; asks Discord only for interactions and the list of servers, without privileged intents.

    Cogs get their services with `require`, in their `setup`. Buttons and forms are routed to the handler of their action, so
    that this layer knows no service. `on_login` runs when commands and extensions are loaded, before the gateway opens.
    `meta` None: commands are registered at every start. `audience` is asked at every entry point. `ticks` are seconds of a
    clock that nobody sets.
    """

    def __init__(
        self,
        *,
        metrics: Metrics,
        meta: MetaRepository | None,
        extensions: Sequence[str],
        on_login: OnLogin | None = None,
        audience: Audience = EVERYBODY,
        guild_ready_timeout: float = GUILD_READY_TIMEOUT,
        shard_count: int | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # a bot without a voice needs no warning
        super().__init__(
            command_prefix=commands.when_mentioned,  # never used: messages do not reach us
            help_command=None,
            tree_cls=PastelTree,
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
            max_messages=None,
            max_ratelimit_timeout=MAX_RATELIMIT_WAIT,
            guild_ready_timeout=guild_ready_timeout,
            shard_count=shard_count,
            activity=discord.CustomActivity("Type /anime to draw"),
        )
        self.metrics = metrics
        self._registration = Registration(self.tree, meta, ticks=ticks)
        self._extension_names = tuple(extensions)
        self._on_login = on_login
        self._audience = audience
        self._has_logged_in = False
        self._provided: dict[type[Any], Any] = {}
        self._actions: dict[str, PressHandler] = {}
        self._forms: dict[str, PressHandler] = {}
        self._settings_handler: SettingsHandler | None = None
        self._freshness = StaleInteractions(ticks)
        self._lost_shards: set[int] = set()

    def provide(self, kind: type[T], instance: T) -> None:
        """Register the one instance of `kind` that cogs may require."""
        self._provided[kind] = instance

    def provide_all(self, services: DataclassInstance) -> None:
        """Register each field of a dataclass as the one instance of its class."""
        for field in fields(services):
            instance: object = getattr(services, field.name)
            self.provide(type(instance), instance)

    def require(self, kind: type[T]) -> T:
        """Return the provided instance. Raises LookupError where the composition root forgot it."""
        try:
            return cast("T", self._provided[kind])
        except KeyError:
            raise LookupError(f"Nobody provided {kind.__name__}; see bot/bootstrap.py") from None

    def on_action(self, action: str, handler: PressHandler) -> None:
        """Let `handler` answer presses of the buttons of that action; a second one replaces the first (a reloaded cog)."""
        self._actions[action] = handler

    def on_form(self, action: str, handler: PressHandler) -> None:
        """Let `handler` answer submitted forms of that action."""
        self._forms[action] = handler

    def on_settings(self, handler: SettingsHandler) -> None:
        """Let `handler` answer all components of the settings panel, its forms too."""
        self._settings_handler = handler

    def check_served(self, interaction: Interaction) -> None:
        """Raise NotAllowedError for a member whom the operator does not serve in this place."""
        self._audience.check(user_id=interaction.user.id, guild_id=interaction.guild_id)

    async def press(self, interaction: Interaction, press: AnyPress) -> None:
        """Pass a pressed button or a used select to its handler."""
        if isinstance(press, SettingsPress):
            await self._handle(self._settings_handler, interaction, press)
        else:
            await self._handle(self._actions.get(press.action), interaction, press)

    async def setup_hook(self) -> None:
        self._has_logged_in = True
        for name in self._extension_names:
            await self.load_extension(name)
        self.add_dynamic_items(PressedItem)
        await self.tree.set_translator(CommandTranslator())
        if self.application_id is None:
            raise RuntimeError("discord.py knows no application id after the login")
        await self._registration.settle(self.application_id)
        if self._on_login is not None:
            await self._on_login()

    def doubt_commands(self) -> None:
        """Check the registered commands: Discord seems to offer members commands that are not ours."""
        if self.application_id is not None:
            self._registration.doubt(self.application_id)

    async def close(self) -> None:
        await self._registration.stop()
        if self._has_logged_in:
            await super().close()
        else:  # discord.py 2.7.1 (shard.py) closes a queue that only the login makes
            await self.http.close()

    async def is_connected(self) -> bool:
        """Return whether every shard has its gateway connection."""
        return self.is_ready() and not self.is_closed() and not self._lost_shards

    def dispatch(self, event_name: str, /, *args: Any, **kwargs: Any) -> None:
        """Stamp interactions; discord.py calls this synchronously, before any task that handles the event has run."""
        if event_name == "interaction":
            interaction: Interaction = args[0]
            late = self._freshness.is_stale(interaction.created_at, discord.utils.utcnow())
            replies.stamp(interaction, self.metrics, late=late)
        super().dispatch(event_name, *args, **kwargs)

    async def on_interaction(self, interaction: Interaction) -> None:
        """Route forms by their custom id, not by discord.py's memory, so that one opened before a restart still works.

        Refuses those without a handler: Discord would only say that the interaction failed.
        """
        custom_id = str(cast("dict[str, Any]", interaction.data or {}).get("custom_id", ""))
        press = press_of(custom_id)
        is_form = interaction.type is discord.InteractionType.modal_submit
        if is_form and isinstance(press, Press):
            await self._handle(self._forms.get(press.action), interaction, press)
        elif is_form and press:
            await self.press(interaction, press)
        elif is_form or (interaction.type is discord.InteractionType.component and not press):
            await self._handle(None, interaction, custom_id)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        del args, kwargs  # they may contain a prompt
        self.metrics.errors.inc()
        log.exception("Error in %s", event_method)  # noqa: LOG004 - discord.py calls this while it handles the exception

    async def on_shard_disconnect(self, shard_id: int) -> None:
        self._lost_shards.add(shard_id)

    async def on_shard_ready(self, shard_id: int) -> None:
        self._lost_shards.discard(shard_id)

    async def on_shard_resumed(self, shard_id: int) -> None:
        self._lost_shards.discard(shard_id)

    async def _handle(
        self, handler: Callable[[Interaction, P], Awaitable[None]] | None, interaction: Interaction, press: P
    ) -> None:
        if replies.is_late(interaction):
            return
        speak(language_of(interaction.locale.value))
        try:
            if not (isinstance(press, Press) and press.action == ERASE):
                self.check_served(interaction)
            if handler is None:
                raise NotFoundError(NOT_OFFERED)
            await handler(interaction, press)
        except Exception as error:  # noqa: BLE001 - the sink decides; discord.py would only log it
            await errors.report(self.metrics, interaction, error)
