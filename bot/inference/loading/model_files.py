"""Finds a model's files and checks whether they can be used. Knows the hub's cache; does not import torch."""

from __future__ import annotations

import re
from pathlib import Path

from bot.domain.profile import PICKLE_ENDINGS, ModelProfile, ModelSource, Style
from bot.errors import ModelError
from bot.inference.formats.checkpoints import check_checkpoint, check_components, check_vae
from bot.inference.formats.weights import WeightsError, check_folder, read_header

COMMIT = re.compile(r"[0-9a-f]{40}")
SDXL_CONFIG_REPO = "stabilityai/stable-diffusion-xl-base-1.0"  # where diffusers finds the configuration that single files lack


def check_weights(profile: ModelProfile, cache_dir: Path | None = None, *, offline: bool = False) -> None:
    """Check in a second whether the model can load; contacts nobody. Raises ModelError, one line.

    A model of the hub passes if it is in the cache or may be downloaded. `cache_dir` None is the hub's own cache.
    """
    offline = is_offline(offline=offline)
    _check_source(profile, profile.source, cache_dir, offline=offline)
    if profile.vae is not None:
        _check_vae(profile, profile.vae, cache_dir, offline=offline)


def is_offline(*, offline: bool) -> bool:
    """Returns whether the hub may not be contacted; HF_HUB_OFFLINE counts too."""
    from huggingface_hub import constants

    return offline or constants.HF_HUB_OFFLINE


def cached_folder(repo: str, revision: str | None, cache_dir: Path | None, file: str = "model_index.json") -> Path | None:
    """Returns a repo's snapshot folder in the hub's cache, if `file` is there; for a commit as `revision`, exactly its own."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, cache_dir=cache_dir, revision=revision)
    if not isinstance(found, str):
        return None
    folder = Path(found.removesuffix(file)) if "/" in file else Path(found).parent
    is_other = revision is not None and COMMIT.fullmatch(revision) and folder.name != revision
    return None if is_other else folder


def style_file(style: Style, cache_dir: Path | None) -> Path | None:
    """Returns the path of a LoRA, whether it exists or not; None for one of the hub that is not in the cache."""
    if style.file is not None:
        return style.file
    name = str(style.weight_name)
    folder = cached_folder(str(style.repo), style.revision, cache_dir, name)
    return None if folder is None else folder / name


def model_error(profile: ModelProfile, place: str, fault: object, cure: str = "") -> ModelError:
    """Returns the one-line error that an operator sees."""
    return ModelError(f"The model {profile.name!r} cannot be used: {place} {fault}.{f' {cure}' if cure else ''}")


def _check_source(profile: ModelProfile, source: ModelSource, cache_dir: Path | None, *, offline: bool) -> None:
    if source.folder is not None:
        _checked(profile, source.folder, profile.variant)
    elif source.file is not None:
        _check_single_file(profile, source.file, source.config, cache_dir, offline=offline)
    elif source.repo is not None:
        cached = cached_folder(source.repo, source.revision, cache_dir)
        if cached is not None and offline:
            _checked(profile, cached, profile.variant)
        elif cached is None and offline:
            raise not_downloaded(profile, source.repo)


def _check_single_file(
    profile: ModelProfile, file: Path, config: Path | None, cache_dir: Path | None, *, offline: bool
) -> None:
    if config is not None:
        refuse_pickles(profile, config)
    try:
        check_checkpoint(file, config, has_vae=profile.vae is not None)
    except WeightsError as error:
        cure = f"Put the file there, or set MODEL to another profile than {profile.name!r}." if not file.exists() else ""
        raise model_error(profile, str(file), error, cure) from None
    if config is None and offline and cached_folder(SDXL_CONFIG_REPO, None, cache_dir) is None:
        raise model_error(
            profile,
            str(file),
            "needs SDXL's configuration, which is not in the cache and cannot be downloaded offline",
            "Go online once, or set `config` in the profile's [source] to the folder of an SDXL model in diffusers layout.",
        )


def _check_vae(profile: ModelProfile, source: ModelSource, cache_dir: Path | None, *, offline: bool) -> None:
    if source.repo is not None:
        if offline and cached_folder(source.repo, source.revision, cache_dir, "config.json") is None:
            raise not_downloaded(profile, source.repo)
        return
    files = [source.file] if source.file is not None else sorted(source.folder.glob("*.safetensors")) if source.folder else []
    if not files:
        raise model_error(profile, f"its VAE folder {source.folder}", "has no .safetensors file")
    for file in files:
        try:
            check_vae(read_header(file))
        except WeightsError as error:
            raise model_error(profile, f"its VAE {file}", error) from None


def refuse_pickles(profile: ModelProfile, config: Path) -> None:
    """Raises ModelError if a single file's `config` folder has pickled weights too, which diffusers would open regardless."""
    if not (config / "model_index.json").is_file():
        raise model_error(profile, f"its config folder {config}", "has no model_index.json")
    if any(path.suffix.lower() in PICKLE_ENDINGS for path in config.rglob("*")):
        raise model_error(profile, f"its config folder {config}", "holds pickle files, which can run code", "Remove them.")


def not_downloaded(profile: ModelProfile, repo: str) -> ModelError:
    """Returns the error for a repo that is offline and not in the cache."""
    return model_error(
        profile,
        repo,
        "is not on this machine and cannot be downloaded offline",
        "Start once with a network and without HF_HUB_OFFLINE, or set MODEL to a model that is here.",
    )


def _checked(profile: ModelProfile, folder: Path, variant: str | None) -> None:
    try:
        check_folder(folder, variant)
        check_components(folder, variant)
    except WeightsError as error:
        cure = f"Put the model there, or set MODEL to another profile than {profile.name!r}." if not folder.exists() else ""
        raise model_error(profile, f"the folder {folder}", error, cure) from None
