"""Compares weights with the sha256 that profiles and styles name, before a file is loaded. Does not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.domain.profile import ModelProfile, ModelSource, Style
from bot.inference.formats.weights import MODEL_COMPONENTS, WeightsError, component_files, file_sha256
from bot.inference.loading.model_files import cached_folder

CURE = "Download it again; if you changed it yourself, correct sha256 in the TOML file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A repo's state in the hub's cache: its commit, and the sha256 of its weights by path. `file` is the file that names it,
    with its revision already or without.
    """

    file: str
    repo: str
    commit: str
    has_revision: bool
    sha256: Mapping[str, str]
    is_style: bool = False


def check_pins(folder: Path, pins: Mapping[str, str]) -> None:
    """Compare the named files in full: a second for 2 GB. Raises WeightsError."""
    for name, wanted in pins.items():
        check_pin(folder / name, wanted, name)


def check_pin(file: Path, wanted: str, name: str = "") -> str:
    """Returns the file's sha256. `name` is the file's name in sentences. Raises WeightsError if it is not the wanted one."""
    try:
        found = file_sha256(file)
    except FileNotFoundError:
        raise WeightsError(f"lacks {name or file.name}, whose sha256 the TOML file names") from None
    except OSError as error:
        raise WeightsError(f"cannot be read ({name or file.name}: {error.strerror or type(error).__name__})") from None
    if found != wanted:
        raise WeightsError(f"is not what the TOML file names: {name or file.name} has the sha256 {found}")
    return found


def fetched(profile: ModelProfile, styles: Iterable[Style], cache_dir: Path | None = None) -> list[Fetched]:
    """Returns what the hub's cache has of repos that are not wholly pinned. Reads every file in full: seconds."""
    classifier = profile.classifier.source if profile.classifier is not None else None
    found = [
        _of_source(profile.source, f"profiles/{profile.name}.toml", cache_dir, "model_index.json", profile.variant),
        _of_source(profile.vae, f"profiles/{profile.name}.toml", cache_dir, "config.json"),
        _of_source(classifier, f"profiles/{profile.name}.toml", cache_dir, "config.json"),
        *(_of_style(style, cache_dir) for style in styles),
    ]
    return [one for one in found if one is not None]


def _of_source(
    source: ModelSource | None, file: str, cache_dir: Path | None, marker: str, variant: str | None = None
) -> Fetched | None:
    if source is None or source.repo is None or (source.revision and source.sha256):
        return None
    folder = cached_folder(source.repo, source.revision, cache_dir, marker)
    if folder is None:
        return None
    try:
        weights = _weights(folder, variant)
    except WeightsError:
        return None  # half of a download, of which the check of the model speaks
    digests = {path.relative_to(folder).as_posix(): file_sha256(path) for path in weights}
    return Fetched(file=file, repo=source.repo, commit=folder.name, has_revision=source.revision is not None, sha256=digests)


def _weights(folder: Path, variant: str | None) -> list[Path]:
    """Returns the files that are loaded: of each component, or of the folder itself."""
    components = [folder / name for name in MODEL_COMPONENTS if (folder / name).is_dir()] or [folder]
    return [file for component in components for file in component_files(component, variant)]


def _of_style(style: Style, cache_dir: Path | None) -> Fetched | None:
    if style.repo is None or style.weight_name is None or (style.revision and style.sha256):
        return None
    folder = cached_folder(style.repo, style.revision, cache_dir, style.weight_name)
    if folder is None:
        return None
    return Fetched(
        file=f"styles/{style.name}.toml",
        repo=style.repo,
        commit=folder.name,
        has_revision=style.revision is not None,
        sha256={style.weight_name: file_sha256(folder / style.weight_name)},
        is_style=True,
    )
