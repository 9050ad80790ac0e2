"""Reads weights files without loading them: safetensors headers, and whether a diffusers folder is complete.

Format: an 8-byte length, a JSON header with every tensor's shape and place, then the data (github.com/huggingface/safetensors).
A file that was cut off or has extra bytes is noticed by its length; changed bytes inside the data are not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.domain.profile import PICKLE_ENDINGS

MODEL_COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2")
COMPONENT_LIBRARIES = frozenset({"diffusers", "transformers"})
PIPELINE_CLASSES = frozenset({"StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline"})
LFS_POINTER = b"version https://git-lfs"
GGUF = b"GGUF"
PLAIN_DTYPES = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})  # numbers that need no scale or table


class WeightsError(Exception):
    """Tells what is wrong with a file or folder, as the end of a sentence that starts with its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Names, shapes and types (such as "F16") of all tensors, and the file's own notes (`__metadata__`)."""

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Read the header and compare it with the file's length. Raises WeightsError."""
    from safetensors import SafetensorError, safe_open

    if path.suffix.lower() in PICKLE_ENDINGS:
        raise WeightsError("is a pickle file, which can run code when it is opened; use a .safetensors file")
    try:
        with path.open("rb") as file:
            start = file.read(len(LFS_POINTER))
            if start.startswith(GGUF):
                raise WeightsError("is a GGUF file, whose quantised weights Pastel does not read; use a .safetensors file")
            if start == LFS_POINTER:
                raise WeightsError("is a Git LFS pointer, not the weights; run `git lfs pull` or download the file itself")
        opened: Any = safe_open(path, framework="np")
        with opened as tensors:
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 (no iterator)
            return Header(
                shapes={name: tuple(one.get_shape()) for name, one in slices.items()},
                dtypes={name: one.get_dtype() for name, one in slices.items()},
                metadata=tensors.metadata() or {},
            )
    except FileNotFoundError:
        raise WeightsError("does not exist") from None
    except SafetensorError as error:
        raise WeightsError(f"is damaged or was cut off ({error}); download it again") from None
    except OSError as error:
        raise WeightsError(f"cannot be read ({error.strerror or type(error).__name__})") from None


def quantised_dtype(dtype: str) -> str | None:
    """Returns the type if its numbers mean nothing without tables or scales beside them, else None."""
    return None if dtype in PLAIN_DTYPES else dtype


def check_folder(folder: Path, variant: str | None) -> None:
    """Check that a diffusers SDXL folder is complete and needs no foreign code. Raises WeightsError."""
    if not folder.is_dir():
        raise WeightsError("does not exist")
    index = read_json(folder / "model_index.json")
    if index.get("_class_name") not in PIPELINE_CLASSES:
        raise WeightsError(f"is not an SDXL model: model_index.json names {index.get('_class_name')!r}")
    for name, value in index.items():
        library: object = value[0] if isinstance(value, list) and value else None  # pyright: ignore[reportUnknownVariableType] # JSON
        if library is not None and library not in COMPONENT_LIBRARIES:
            raise WeightsError(f"wants code of its own for {name} ({library!r}); Pastel runs no code from model folders")
    for component in MODEL_COMPONENTS:
        read_json(folder / component / "config.json")
        for file in component_files(folder / component, variant):
            _named(file, folder)
    read_json(folder / "scheduler" / "scheduler_config.json")


def component_files(folder: Path, variant: str | None) -> list[Path]:
    """Returns a component's weights files: the variant's, else the plain ones. Raises WeightsError when there are none."""
    files = sorted(folder.glob("*.safetensors"))
    plain = [file for file in files if "." not in file.stem]
    wanted = [file for file in files if variant is not None and re.search(rf"\.{re.escape(variant)}(-|$)", file.stem)]
    if chosen := wanted or plain:
        return chosen
    if any(file.suffix.lower() in PICKLE_ENDINGS for file in folder.glob("*")):
        raise WeightsError(f"has only pickle files in {folder.name}, which can run code; get the .safetensors version")
    raise WeightsError(f"has no .safetensors file in {folder.name}; download the model again")


def has_variant(folder: Path, variant: str) -> bool:
    """Returns whether the UNet, the largest part, comes in this variant."""
    return any(re.search(rf"\.{re.escape(variant)}(-|$)", file.stem) for file in (folder / "unet").glob("*.safetensors"))


def file_sha256(path: Path, *, skip_header: bool = False) -> str:
    """Returns the SHA-256 in hexadecimal; without the header it is A1111's and Civitai's hash of a LoRA (AutoV3, 12 digits)."""
    with path.open("rb") as file:
        if skip_header:
            file.seek(8 + int.from_bytes(file.read(8), "little"))
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(file: Path, folder: Path) -> None:
    try:
        read_header(file)
    except WeightsError as error:
        raise WeightsError(f"has a bad file: {file.relative_to(folder)} {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Returns a configuration that belongs to weights. Raises WeightsError."""
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"lacks {path.name} (in {path.parent.name}); download the model again") from None
    except (OSError, ValueError):
        raise WeightsError(f"has a damaged {path.name} (in {path.parent.name}); download the model again") from None
    if not isinstance(value, dict):
        raise WeightsError(f"has a damaged {path.name} (in {path.parent.name}); download the model again")
    return {str(key): item for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON
