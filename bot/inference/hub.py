"""Tells what models, styles and classifiers need from the hub and what is missing, and runs a process that fetches it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from bot.domain.downloads import Download, DownloadError, Transfer
from bot.domain.profile import ModelProfile, ModelSource, Style
from bot.errors import ModelError
from bot.inference.classifier import files as classifier_files
from bot.inference.formats.weights import WeightsError, check_folder
from bot.inference.hub_fetch import NETWORK_CURE, fetch
from bot.inference.loading.model_files import SDXL_CONFIG_REPO, cached_folder, is_offline, model_error
from bot.pools import Pool

SILENCE = 45.0  # seconds without a byte after which a hub counts as one that does not answer
STOP_SECONDS = 2.0  # to remove a half-written file
SILENT = f"could not be downloaded: the hub did not answer for {SILENCE:.0f} s"

PARTS = ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae")
MODEL_FILES = ("model_index.json", *(f"{part}/*.{kind}" for part in PARTS for kind in ("json", "txt", "safetensors")))
VAE_FILES = ("config.json", *(f"diffusion_pytorch_model{rest}" for rest in (".safetensors", "-*.safetensors", "*.index.json")))
CONFIG_FILES = ("model_index.json", *(f"{part}/*.{kind}" for part in PARTS for kind in ("json", "txt")))


def lacking_of_model(profile: ModelProfile, cache_dir: Path | None = None, *, offline: bool = False) -> tuple[Download, ...]:
    """Returns what the model and its VAE need from the hub that is not in its cache. Reads the disk, contacts nobody."""
    if is_offline(offline=offline):
        return ()
    wanted = [*_of_source(profile, profile.source, cache_dir), *_of_vae(profile, profile.vae, cache_dir)]
    return tuple(dict.fromkeys(wanted))


def fetch_model(profile: ModelProfile, cache_dir: Path | None = None) -> None:
    """Fetch what the model lacks, on this thread, for commands that do nothing else meanwhile. Raises ModelError."""
    for download in lacking_of_model(profile, cache_dir):
        try:
            fetch(download, cache_dir, lambda _: None)
        except DownloadError as error:
            raise model_error(profile, download.repo, error.fault, error.cure) from error


class HuggingFaceHub:
    """Implements services.fetching.HubGateway. `cache_dir` None is the hub's own cache; offline, nothing is needed from it."""

    def __init__(self, profile: ModelProfile, *, cache_dir: Path | None = None, offline: bool = False) -> None:
        self._profile = profile
        self._cache_dir = cache_dir
        self._offline = offline
        self._pool = Pool("hub", 1)

    async def lacking(self) -> tuple[Download, ...]:
        return await self._pool.run(self._lacking)

    async def lacks(self, style: Style) -> Download | None:
        return await self._pool.run(self._lacks, style)

    async def fetch(self, download: Download, on_progress: Callable[[Transfer], None]) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot.inference.hub_fetch",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await self._follow(process, download, on_progress)
        finally:
            await asyncio.shield(_end(process))

    def refusal(self, download: Download, error: DownloadError) -> ModelError:
        classifier = self._profile.classifier
        if classifier is not None and download.repo == classifier.source.repo:
            return classifier_files.classifier_error(classifier, error.fault, error.cure)
        return model_error(self._profile, download.repo, error.fault, error.cure)

    async def close(self) -> None:
        await self._pool.close()

    async def _follow(
        self, process: asyncio.subprocess.Process, download: Download, on_progress: Callable[[Transfer], None]
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        order = {"download": asdict(download), "cache_dir": str(self._cache_dir) if self._cache_dir else None}
        process.stdin.write(json.dumps(order).encode() + b"\n")
        seen = None
        deadline = asyncio.get_running_loop().time() + SILENCE
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    line = await process.stdout.readline()
            except TimeoutError:
                raise DownloadError(SILENT, NETWORK_CURE) from None
            if not line:
                raise DownloadError("could not be downloaded: the download broke off", NETWORK_CURE)
            told = json.loads(line)
            if "fault" in told:
                raise DownloadError(told["fault"], told["cure"])
            if "fetched" in told:
                return
            transfer = Transfer(**told)
            if transfer != seen:
                seen = transfer
                deadline = asyncio.get_running_loop().time() + SILENCE
                on_progress(transfer)

    def _lacking(self) -> tuple[Download, ...]:
        classifier = self._profile.classifier
        judge = () if classifier is None else classifier_files.lacking(classifier, self._cache_dir, offline=self._offline)
        return (*judge, *lacking_of_model(self._profile, self._cache_dir, offline=self._offline))

    def _lacks(self, style: Style) -> Download | None:
        if style.repo is None or style.weight_name is None or is_offline(offline=self._offline):
            return None
        if cached_folder(style.repo, style.revision, self._cache_dir, style.weight_name) is not None:
            return None
        return Download(title=style.title, repo=style.repo, revision=style.revision, patterns=(style.weight_name,))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process, which has a moment to tidy up."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _of_source(profile: ModelProfile, source: ModelSource, cache_dir: Path | None) -> tuple[Download, ...]:
    if source.repo is not None:
        cached = cached_folder(source.repo, source.revision, cache_dir)
        if cached is not None and _is_whole(cached, profile.variant):
            return ()
        return (_model_download(profile, source.repo, source.revision, MODEL_FILES),)
    if source.file is not None and source.config is None:
        return _configuration(profile, cache_dir)
    return ()


def _of_vae(profile: ModelProfile, source: ModelSource | None, cache_dir: Path | None) -> tuple[Download, ...]:
    if source is None:
        return ()
    if source.repo is not None:
        if cached_folder(source.repo, source.revision, cache_dir, "config.json") is not None:
            return ()
        return (_model_download(profile, source.repo, source.revision, VAE_FILES),)
    return _configuration(profile, cache_dir) if source.file is not None and source.config is None else ()


def _configuration(profile: ModelProfile, cache_dir: Path | None) -> tuple[Download, ...]:
    """Returns the configuration files of SDXL's own repo, which single files lack, unless they are cached."""
    if cached_folder(SDXL_CONFIG_REPO, None, cache_dir) is not None:
        return ()
    return (_model_download(profile, SDXL_CONFIG_REPO, None, CONFIG_FILES),)


def _model_download(profile: ModelProfile, repo: str, revision: str | None, patterns: tuple[str, ...]) -> Download:
    variant = profile.variant if patterns is MODEL_FILES else None
    return Download(title=profile.title, repo=repo, revision=revision, patterns=patterns, variant=variant)


def _is_whole(folder: Path, variant: str | None) -> bool:
    try:
        check_folder(folder, variant)
    except WeightsError:
        return False
    return True
