"""LoRAs on a loaded model: found, checked, loaded once, and weighted for each request."""

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
from bot.inference.adapter_formats import AdapterFormatError, check_adapter, count_modules
from bot.inference.faults import is_device_lost, is_out_of_memory
from bot.inference.loading import cached_folder
from bot.inference.merging import COMPONENTS, Factor, MergedWeights, take_factors
from bot.inference.pins import check_pin
from bot.inference.weights import WeightsError, file_sha256, read_header

MAX_LOADED = LORAS_AT_ONCE  # LoRAs of SDXL have 50 to 800 MB
AUTO_V3_DIGITS = 12

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA that was read. `hash` is what A1111 and Civitai know the file by."""

    hash: str
    factors: tuple[Factor, ...]


class Adapters:
    """The LoRAs of one model; both of its pipelines share the weights. Belongs to the drawing thread."""

    def __init__(self, pipeline: Any, *, cache_dir: Path | None = None) -> None:
        self._pipeline = pipeline
        self._cache_dir = cache_dir
        self._loaded: OrderedDict[Path, Adapter] = OrderedDict()
        self._merged = MergedWeights(pipeline)

    def activate(self, styles: Sequence[tuple[Style, float]], components: Sequence[str] = COMPONENTS) -> tuple[Adapter, ...]:
        """Have these LoRAs in the components and no others; those of weight 0 are left out, and without any it is the bare
        model, bit for bit. A request is read with its LoRAs in the text encoders alone, while the UNet has those of a step.

        Raises GenerationError with a sentence for the member, and what was active stays; where memory runs out, the bare model.
        """
        chosen = [(self._load(style), weight) for style, weight in styles if weight]
        self._merged.apply([(adapter.factors, weight) for adapter, weight in chosen], components)
        return tuple(adapter for adapter, _ in chosen)

    def _load(self, style: Style) -> Adapter:
        path = self._find(style)
        if path not in self._loaded:
            self._loaded[path] = self._read(style, path)
            if len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(path)
        return self._loaded[path]

    def _read(self, style: Style, path: Path) -> Adapter:
        try:
            header = read_header(path)
            check_adapter(header, int(self._pipeline.unet.config.cross_attention_dim))
            if style.sha256 is not None:
                check_pin(path, style.sha256)
        except (WeightsError, AdapterFormatError) as error:
            raise _unusable(style, f"its file {path.name} {error}") from error
        digest = file_sha256(path, skip_header=True)[:AUTO_V3_DIGITS]
        try:
            factors = self._taken(path, f"lora_{digest}")
        except Exception as error:
            if is_out_of_memory(error) or is_device_lost(error):
                raise
            raise _unusable(style, f"its file {path.name} does not fit this model") from error
        if len(factors) < count_modules(header):
            logger.warning(
                "The LoRA %s: only %d of its %d parts fit the model.", path.name, len(factors), count_modules(header)
            )
        return Adapter(hash=digest, factors=factors)

    def _taken(self, path: Path, name: str) -> tuple[Factor, ...]:
        """diffusers reads the file, whichever of the formats it has; peft's layers are gone again when this returns.

        transformers takes every weight whose name contains the adapter's for a part of it, so `name` must not be a word of
        the model's own names.
        """
        try:
            self._pipeline.load_lora_weights(
                str(path.parent), weight_name=path.name, adapter_name=name, use_safetensors=True, local_files_only=True
            )
            factors = take_factors(self._pipeline, name)
        finally:
            self._pipeline.unload_lora_weights()
        if not factors:
            raise AdapterFormatError("fits nothing in this model")
        return factors

    def _find(self, style: Style) -> Path:
        if style.file is not None:
            return style.file
        repo = str(style.repo)
        folder = cached_folder(repo, style.revision, self._cache_dir, str(style.weight_name))
        if folder is None:
            raise self._no_such_file(style) if self._known_files(style) else _unusable(style, f"{repo} is not on this machine")
        return folder / str(style.weight_name)

    def _no_such_file(self, style: Style) -> GenerationError:
        names = ", ".join(self._known_files(style)) or "no .safetensors file at all"
        return _unusable(style, f"{style.repo} has no file {style.weight_name}; it has {names}")

    def _known_files(self, style: Style) -> list[str]:
        """Those of the repo's .safetensors files that are in the cache."""
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound

        try:
            repos = scan_cache_dir(self._cache_dir).repos
        except CacheNotFound:
            return []
        snapshots = (revision for repo in repos if repo.repo_id == style.repo for revision in repo.revisions)
        return sorted({file.file_name for one in snapshots for file in one.files if file.file_name.endswith(".safetensors")})


def _unusable(style: Style, reason: str) -> GenerationError:
    return GenerationError(
        f"The style `{style.title}` cannot be used: {reason}. Choose another style, and tell whoever runs this bot.",
        retryable=False,
    )
