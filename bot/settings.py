"""Reads the settings from the environment and `.env`, once, and checks all at once. The only reader of the environment."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from bot.domain.guild_settings.definitions import MAX_DAYS
from bot.errors import SettingsError
from bot.paths import as_in_a_shell
from bot.setting_sources import Environment, Unclear, hand_over, unreadable_lines

SHIPPED_DATA = Path(__file__).resolve().parent.parent / "data"  # profiles, styles and models of the checkout
TOKEN_SHAPE = re.compile(r"[\w-]{10,}\.[\w-]{4,}\.[\w-]{20,}")  # user id, timestamp and signature, base64url each
DEVICE_SHAPE = r"^(auto|cpu|mps|cuda(:\d+)?)$"
HOST_SHAPE = r"^([0-9a-fA-F:.]+|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)$"  # an IP address of either kind, or a name
LINK_SHAPE = r"^https?://[^\s()<>\[\]]+$"  # brackets would end a link in Discord's Markdown
DiscordId = Annotated[int, Field(ge=1, le=2**63 - 1)]
ServerWeight = Annotated[float, Field(ge=0.1, le=10)]
EXPECTED = {
    "data_dir": "the path of a folder",
    "device": "auto, cpu, mps, cuda or cuda:N",
    "max_batch": "a whole number from 1 to 16, or 0 to have it measured",
    "reproducible": "true or false",
    "precision": "auto or exact",
    "compile": "true or false",
    "graphs": "off, auto or on",
    "watermark": "true or false",
    "log_level": "DEBUG, INFO, WARNING or ERROR",
    "log_format": "text or json",
    "http_host": "an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them",
    "http_port": "a port from 1 to 65535, or 0 for none",
    "min_free_mb": "a whole number of megabytes, or 0 to never look",
    "picture_days": "a whole number of days, or 0 to keep pictures for as long as servers say",
    "prompt_days": "a whole number of days, or 0 to keep prompts for as long as servers say",
    "daily_credits": "a whole number of credits, or 0 for no limit",
    "user_daily_credits": "a whole number of credits, or 0 for no limit",
    "max_waiting_jobs": "a whole number of jobs, or 0 for no limit",
    "server_weights": "ids of servers with weights from 0.1 to 10, such as 123456789012345678=2, 876543210987654321=0.5",
    "served_servers": "ids of servers with commas between, such as 123456789012345678, 876543210987654321",
    "blocked_users": "ids of users with commas between, such as 123456789012345678, 876543210987654321",
    "source_url": "an address that begins with https:// or http://, without spaces or brackets",
}


class _FromEnvironment(BaseSettings):
    """Settings that are read from the environment and `.env`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources; the environment wins over `.env`, as everywhere."""
        del init_settings, env_settings, file_secret_settings
        return (Environment(settings_cls), dotenv_settings)


class Settings(_FromEnvironment):
    """All settings of the operator; the names in upper case are the environment variables."""

    discord_token: SecretStr | None = Field(default=None, description="The bot's token from the Discord Developer Portal.")
    data_dir: Path = Field(default=Path("data"), description="Folder for the database, pictures and your own models.")
    model: str | None = Field(default=None, description="Model profile; unset: animagine-xl with CUDA, else mini.")
    device: str = Field(default="auto", pattern=DEVICE_SHAPE, description="auto, cpu, mps, cuda or cuda:N.")
    max_batch: int = Field(default=0, ge=0, le=16, description="Pictures that share a step; 0 = measured in the first pause.")
    reproducible: bool = Field(default=False, description="true: a picture never depends on those drawn beside it (slower).")
    precision: Literal["auto", "exact"] = Field(default="auto", description="exact: CPUs draw in float32, quicker or not.")
    compile: bool = Field(default=False, description="true: compile the model on a GPU; the first start takes minutes longer.")
    graphs: Literal["off", "auto", "on"] = Field(default="off", description="CUDA graphs; auto: where they are proven to pay.")
    watermark: bool = Field(default=False, description="true: lay an invisible watermark over every picture.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="How much is logged.")
    log_format: Literal["text", "json"] = Field(default="text", description="text for people, json for log collectors.")
    http_host: str = Field(default="127.0.0.1", pattern=HOST_SHAPE, description="Address of /healthz and /metrics.")
    http_port: int = Field(default=0, ge=0, le=65535, description="Port of /healthz and /metrics; 0 = off.")
    min_free_mb: int = Field(default=500, ge=0, description="Below it, megabytes of free disk, nothing is taken or drawn.")
    picture_days: int = Field(default=0, ge=0, le=MAX_DAYS, description="The most that pictures are kept; 0 = no limit.")
    prompt_days: int = Field(default=0, ge=0, le=MAX_DAYS, description="The most that prompts are kept; 0 = no limit.")
    daily_credits: int = Field(default=0, ge=0, description="Credits of a member a day in each server; 0 = no limit.")
    user_daily_credits: int = Field(default=0, ge=0, description="Credits of a member a day over all servers; 0 = no limit.")
    max_waiting_jobs: int = Field(default=10, ge=0, description="Waiting jobs of a member in each server; 0 = no limit.")

    server_weights: Annotated[dict[DiscordId, ServerWeight], NoDecode] = Field(
        default={}, description="A server's share of the queue, where it is not 1: id=weight, id=weight."
    )
    served_servers: Annotated[frozenset[DiscordId], NoDecode] = Field(
        default=frozenset(), description="The only servers whose members are served; empty: all, and direct messages."
    )
    blocked_users: Annotated[frozenset[DiscordId], NoDecode] = Field(
        default=frozenset(), description="Users whom nothing is drawn for, anywhere."
    )
    source_url: str | None = Field(
        default=None,
        pattern=LINK_SHAPE,
        max_length=300,
        description="Where the code that runs here is published; `/about` links it.",
    )

    @field_validator("server_weights", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if len({name.strip() for name, _, _ in pairs}) < len(pairs):
            raise ValueError("a server stands there twice")
        return {name.strip(): weight.strip() for name, _, weight in pairs}

    @field_validator("served_servers", "blocked_users", mode="before")
    @classmethod
    def _ids(cls, value: Any) -> Any:
        return {one.strip() for one in value.split(",") if one.strip()} if isinstance(value, str) else value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _home(cls, value: Any) -> Any:
        try:
            return as_in_a_shell(value) if isinstance(value, str) else value
        except ValueError as error:
            raise PydanticCustomError("unclear", "{sentence}", {"sentence": str(error)}) from None

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("log_format", "device", "precision", "graphs", "http_host", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("*", mode="before")
    @classmethod
    def _clear(cls, value: Any, info: ValidationInfo) -> Any:  # the last validator here is the first to run
        del info
        if isinstance(value, Unclear):
            raise PydanticCustomError("unclear", "{sentence}", {"sentence": str(value)})
        return value

    @classmethod
    def load(cls, *, need_token: bool) -> Self:
        """Read and check everything. Raises SettingsError with one line a problem; values are never repeated in it."""
        problems: list[str] = []
        settings: Self | None = None
        try:
            if broken := unreadable_lines(Path(".env")):
                raise SettingsError(tuple(broken))  # other problems cannot be known then
            hand_over(Path(".env"))
            settings = cls()
            problems += _contradictions(settings)
        except ValidationError as error:
            problems += [
                _line(detail["loc"], detail["msg"] if detail["type"] == "unclear" else None) for detail in error.errors()
            ]
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f".env cannot be read ({type(error).__name__}). Make it a UTF-8 text file that this user may read.")
        if need_token:
            problems += _token_problems(_token_alone() if settings is None else settings.token())
        if problems or settings is None:
            raise SettingsError(tuple(problems))
        return settings

    def token(self) -> str:
        """Return the token itself; only the login may ask for it."""
        return _secret(self.discord_token)


def _secret(token: SecretStr | None) -> str:
    return token.get_secret_value().strip() if token else ""


class _TokenAlone(_FromEnvironment):
    """Reads the token even if other settings are wrong, so that all problems are reported at once."""

    discord_token: SecretStr | None = None

    @field_validator("discord_token", mode="before")
    @classmethod
    def _clear(cls, value: Any) -> Any:
        if isinstance(value, Unclear):
            raise PydanticCustomError("unclear", "told already")
        return value


def _token_alone() -> str | None:
    """Returns the token; None where it was refused already, or nothing could be read."""
    try:
        return _secret(_TokenAlone().discord_token)
    except (ValidationError, OSError, UnicodeDecodeError):
        return None


def _token_problems(token: str | None) -> list[str]:
    if token is None:
        return []
    where = "Copy it from discord.com/developers/applications > your application > Bot > Reset Token into .env."
    if not token:
        return [f"DISCORD_TOKEN is not set. {where} (To try Pastel without a token, run `make demo`.)"]
    if not TOKEN_SHAPE.fullmatch(token):
        return [f"DISCORD_TOKEN does not look like a bot token (three parts with dots between). {where}"]
    return []


def _contradictions(settings: Settings) -> list[str]:
    """Returns a sentence for every two settings that contradict each other."""
    found: list[str] = []
    if settings.compile and settings.device in {"cpu", "mps"}:
        found.append(
            f"COMPILE=true needs an NVIDIA GPU, and DEVICE={settings.device} draws without one. Take one of the two out."
        )
    if settings.graphs == "on" and settings.device in {"cpu", "mps"}:
        found.append(f"GRAPHS=on needs an NVIDIA GPU, and DEVICE={settings.device} draws without one. Take one of the two out.")
    if settings.graphs == "on" and settings.compile:
        found.append("COMPILE=true makes CUDA graphs of its own, and GRAPHS=on others. Take one of the two out.")
    if settings.watermark and find_spec("imwatermark") is None:
        found.append(
            "WATERMARK=true needs a package that is not installed. Install it with "
            "`.venv/bin/python -m pip install '.[watermark]'`, or take WATERMARK out."
        )
    if 0 < settings.user_daily_credits < settings.daily_credits:
        found.append(
            "DAILY_CREDITS, of one server, is more than USER_DAILY_CREDITS, of all together, so nobody could use it up. "
            "Lower the first or raise the second."
        )
    return found


def _line(location: tuple[int | str, ...], fault: str | None) -> str:
    name = str(location[0])
    if fault is not None:
        return f"{name.upper()} {fault}."
    return f"{name.upper()} must be {EXPECTED.get(name, 'a text')}. Correct it in .env or the environment."


def has_desktop() -> bool:
    """Returns whether a browser window could open; a text browser would seize the terminal."""
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
