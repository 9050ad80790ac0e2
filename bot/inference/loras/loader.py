"""Finds, checks and loads a model's LoRAs once, and weights them for each request."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.domain.fairness import LORAS_AT_ONCE
from bot.domain.profile import Style
from bot.errors import GenerationError
from bot.inference.formats.lora_keys import LoraFormatError
from bot.inference.formats.loras import plan_adapter
from bot.inference.formats.model_layers import COMPONENTS
from bot.inference.formats.weights import WeightsError, file_sha256, read_header
from bot.inference.loading.model_files import style_file
from bot.inference.loading.pins import check_pin
from bot.inference.loras.files import read_factors
from bot.inference.loras.merging import Factor, MergedWeights, layers_of
from bot.messages import message

MAX_LOADED = LORAS_AT_ONCE  # LoRAs of SDXL have 50 to 800 MB
AUTO_V3_DIGITS = 12
Stamp = tuple[int, int]  # nanoseconds of the last change, and bytes

logger = logging.getLogger(__name__)


class UnusableStyleError(GenerationError):
    """The style's file cannot be drawn with; `reason` says why, to whoever hosts the bot."""

    def __init__(self, style: Style, reason: str) -> None:
        sentence = message(
            "I can't use the style **{style}**, because something's wrong with its file. Choose another style, and tell "
            "whoever hosts me.",
            style=style.title,
        )
        super().__init__(sentence, retryable=False)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedLora:
    """A LoRA that was read. `hash` is A1111's and Civitai's name of the file."""

    hash: str
    factors: tuple[Factor, ...]


class LoraLoader:
    """The LoRAs of one model; both of its pipelines share the weights. Belongs to the drawing thread.

    `copies_beside`: copies of the weights without LoRAs are kept on the device (`MergedWeights`).
    """

    def __init__(self, pipeline: Any, *, cache_dir: Path | None = None, copies_beside: bool = True) -> None:
        self._pipeline = pipeline
        self._cache_dir = cache_dir
        self._loaded: OrderedDict[Path, LoadedLora] = OrderedDict()
        self._refused: dict[tuple[Path, str | None], tuple[str, Stamp | None]] = {}
        self._layers = layers_of(pipeline)
        self._merged = MergedWeights(pipeline, copies_beside=copies_beside)

    def activate(self, styles: Sequence[tuple[Style, float]], components: Sequence[str] = COMPONENTS) -> tuple[LoadedLora, ...]:
        """Put exactly these LoRAs into the components; those of weight 0 are left out, and without any it is the bare model,
        bit for bit. A request is read with its LoRAs in the text encoders alone, while the UNet has those of a step.

        Raises GenerationError with a sentence for the member and keeps the active LoRAs; if memory runs out, the bare model.
        """
        chosen = [(self._load(style), weight) for style, weight in styles if weight]
        self._merged.apply([(adapter.factors, weight) for adapter, weight in chosen], components)
        return tuple(adapter for adapter, _ in chosen)

    def _load(self, style: Style) -> LoadedLora:
        path = self._find(style)
        if path not in self._loaded:
            self._loaded[path] = self._read(style, path)
            if len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(path)
        return self._loaded[path]

    def _read(self, style: Style, path: Path) -> LoadedLora:
        """Read a file. One that was refused is not read again until it has changed."""
        key, stamp = (path, style.sha256), _stamp(path)
        if stamp is not None and self._refused.get(key, ("", None))[1] == stamp:
            raise UnusableStyleError(style, self._refused[key][0])
        try:
            return self._opened(style, path)
        except (WeightsError, LoraFormatError) as error:
            reason = f"its file {path.name} {error}"
            self._refused[key] = reason, stamp
            logger.warning("A style cannot be used: %s.", reason)
            raise UnusableStyleError(style, reason) from error

    def _opened(self, style: Style, path: Path) -> LoadedLora:
        header = read_header(path)
        plan = plan_adapter(header, self._layers)
        if style.sha256 is not None:
            check_pin(path, style.sha256)
        factors = read_factors(path, plan, self._pipeline.unet.device)
        if plan.strangers:
            count = len(plan.strangers)
            logger.warning("The LoRA %s: %d of its %d parts fit the model.", path.name, len(factors), len(factors) + count)
        if plan.embeddings:
            logger.warning("The LoRA %s: embeddings bundled with it are left out (%d).", path.name, len(plan.embeddings))
        return LoadedLora(hash=file_sha256(path, skip_header=True)[:AUTO_V3_DIGITS], factors=factors)

    def _find(self, style: Style) -> Path:
        path = style_file(style, self._cache_dir)
        if path is None:
            known = ", ".join(self._known_files(style))
            reason = f"has no file {style.weight_name}; it has {known}" if known else "is not on this machine"
            logger.warning("A style cannot be used: %s %s.", style.repo, reason)
            raise UnusableStyleError(style, f"{style.repo} {reason}")
        return path

    def _known_files(self, style: Style) -> list[str]:
        """Returns the repo's .safetensors files that are in the cache."""
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound

        try:
            repos = scan_cache_dir(self._cache_dir).repos
        except CacheNotFound:
            return []
        snapshots = (revision for repo in repos if repo.repo_id == style.repo for revision in repo.revisions)
        return sorted({file.file_name for one in snapshots for file in one.files if file.file_name.endswith(".safetensors")})


def _stamp(path: Path) -> Stamp | None:
    """Returns a stamp by which a file is recognised; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
