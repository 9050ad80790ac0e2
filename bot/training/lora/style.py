"""Writes the style file that offers a trained LoRA to members where Pastel looks for it, or prints it as an example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import FolderError, InvalidRequestError
from bot.storage.catalog import NAME
from bot.training.lora.options import LoraOptions

if TYPE_CHECKING:
    from bot.training.lora.model import TrainingModel


def style_text(options: LoraOptions, model: TrainingModel) -> str:
    """Returns the style file as TOML; JSON's strings are TOML's."""
    values: dict[str, object] = {"title": options.title, "families": [model.family], "file": _file(options)}
    values |= {"adapter_weight": 1.0} | ({"trigger_words": options.trigger} if options.trigger else {})
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    licence = json.dumps(model.profile.licence.name, ensure_ascii=False)
    return "\n".join([*lines, "", "[licence]", f"name = {licence}", ""])


def _file(options: LoraOptions) -> str:
    """Returns the file as a style file names it: by its path below the folder of LoRAs, else in full."""
    loras, path = (options.data_dir / "loras").resolve(), options.out.resolve()
    return str(path.relative_to(loras) if path.is_relative_to(loras) else path)


def style_path(options: LoraOptions) -> Path:
    return options.data_dir / "styles" / f"{options.style}.toml"


def check_style(options: LoraOptions, text: str) -> None:
    """Check, before hours of training, that the style can be written. Raises InvalidRequestError, FolderError."""
    if options.style is None:
        return
    if not NAME.fullmatch(options.style):
        raise InvalidRequestError("A style's name consists of a-z, 0-9, '.', '_' and '-'. Give --style another one.")
    path = style_path(options)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise FolderError(f"{path} is there already and says something else. Remove it, or give --style another name.")


def write_style(options: LoraOptions, text: str) -> None:
    """Write the style file, or print it as an example. Raises FolderError."""
    if options.style is None:
        print(f"To offer it to members, write this to {options.data_dir / 'styles' / options.out.stem}.toml:\n\n{text}")
        return
    path = style_path(options)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FolderError(f"{path} cannot be written ({error.strerror}). Write it yourself:\n{text}") from None
    print(f"Members find it as the style `{options.style}` after the next start of Pastel ({path}).")
