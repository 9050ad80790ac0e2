"""Opens what the bot needs before it connects to Discord: settings, catalogue, weights on disk, the database."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.domain.memory_plan import MemoryPlan
from bot.domain.profile import Catalog, ModelProfile
from bot.errors import FolderError
from bot.inference.card_memory import CLASSIFIER, ON_CPU, card_plan
from bot.inference.classifier.files import check_classifier
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.cuda_probe import cuda_device_count, cuda_memory
from bot.inference.loading.model_files import check_weights
from bot.inference.measuring.measurements import FILE_NAME
from bot.metrics import Metrics
from bot.ports import Clock
from bot.settings import SHIPPED_DATA, Settings
from bot.storage.catalog import load_catalog
from bot.storage.database import Database
from bot.storage.disk_space import free_bytes
from bot.storage.faults import NO_SPACE, full
from bot.storage.images import DiskImageStore
from bot.storage.lock import DataFolderLock
from bot.storage.private_files import OTHERS, check_searchable, keep_private, make_private_folder
from bot.storage.repositories import Repositories, sqlite_repositories
from bot.storage.restored import restored_at, settle

RANDOM_MODEL = "tiny-random"  # random weights, made in seconds; for a look at the bot, not for real pictures
SMALL_MODEL = "mini"  # needs no GPU

# Linux stops its monotonic clock while the machine sleeps, and has another one that runs on; macOS has one that runs on.
_TICKS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

log = logging.getLogger(__name__)


class SystemClock:
    """Implements ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def ticks(self) -> float:
        return time.clock_gettime(_TICKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The resources of all other parts: settings, catalogue and storage, open and checked."""

    settings: Settings
    catalog: Catalog
    profile: ModelProfile
    clock: Clock
    metrics: Metrics
    database: Database
    repositories: Repositories
    images: DiskImageStore


@asynccontextmanager
async def open_resources(settings: Settings, *, state_dir: Path | None = None) -> AsyncGenerator[Resources]:
    """Checks and opens everything that needs no Discord.

    `state_dir` is for database and pictures (default: DATA_DIR); models and styles always come from DATA_DIR.
    Raises FolderError, ModelError, DatabaseError.
    """
    state = state_dir or settings.data_dir
    clock = SystemClock()
    os.umask(OTHERS)  # for files of libraries and child processes; our own files do not rely on it
    await asyncio.to_thread(check_searchable, settings.data_dir)
    await asyncio.to_thread(_make_folder, state)
    await asyncio.to_thread(keep_private, state)
    catalog = await asyncio.to_thread(load_catalog, SHIPPED_DATA, settings.data_dir)
    profile = catalog.profile(settings.model or default_model(catalog))
    if profile.name == RANDOM_MODEL:
        await asyncio.to_thread(_make_random_model, profile)
    await asyncio.to_thread(check_weights, profile)
    if profile.classifier is not None:
        await asyncio.to_thread(check_classifier, profile.classifier)
    async with AsyncExitStack() as stack:
        stack.enter_context(DataFolderLock(state))
        database = await stack.enter_async_context(Database.open(state / "pastel.db"))
        images = DiskImageStore(state / "images", clock)
        stack.push_async_callback(images.close)
        await settle(database, images, now=clock.now())  # before anything of a backup that was put back is drawn or shown
        images.keep_unknown(await restored_at(database))
        metrics = Metrics()
        _measure_disk(metrics, database.path)
        yield Resources(
            settings=settings,
            catalog=catalog,
            profile=profile,
            clock=clock,
            metrics=metrics,
            database=database,
            repositories=sqlite_repositories(database),
            images=images,
        )


def default_model(catalog: Catalog) -> str:
    """Returns animagine-xl with CUDA, else the small model, or random weights where that was not shipped."""
    return "animagine-xl" if cuda_device_count() else small_model(catalog)


def small_model(catalog: Catalog) -> str:
    """Returns the model that needs no GPU: the one that ships, else random weights."""
    mini = catalog.profiles.get(SMALL_MODEL)
    has_weights = mini is not None and mini.source.folder is not None and mini.source.folder.is_dir()
    return SMALL_MODEL if has_weights else RANDOM_MODEL


def memory_plan(settings: Settings, profile: ModelProfile) -> MemoryPlan | None:
    """Returns the memory plan for the GPU that DEVICE names; None on anything else, and for small models."""
    name, _, index = settings.device.partition(":")
    memory = cuda_memory(int(index or 0)) if name in {"auto", "cuda"} else None
    return card_plan(profile, memory, graphs=settings.graphs != "off" and not settings.compile)


def classifier_device(settings: Settings, plan: MemoryPlan | None) -> str:
    """Returns the picture classifier's device: the model's, or the CPU where the GPU has no room for it."""
    return "cpu" if plan is not None and plan.form(CLASSIFIER) == ON_CPU else settings.device


def engine_settings(settings: Settings, plan: MemoryPlan | None = None) -> EngineSettings:
    """Returns the operator's settings of the engine; measurements are kept in DATA_DIR, also for the demo."""
    return EngineSettings(
        batch=settings.max_batch or None,
        reproducible=settings.reproducible,
        compile_cache=settings.data_dir / "compiled" if settings.compile else None,
        measurements=settings.data_dir / FILE_NAME,
        plan=plan,
        watermark=settings.watermark,
        precision=settings.precision,
        graphs=settings.graphs,
    )


def _measure_disk(metrics: Metrics, database: Path) -> None:
    """Registers gauges of the disk, measured whenever the metrics are read."""
    write_ahead_log = database.with_name(f"{database.name}-wal")
    metrics.free_bytes.set_function(lambda: free_bytes(database.parent))
    metrics.database_bytes.set_function(lambda: _size(database))
    metrics.database_log_bytes.set_function(lambda: _size(write_ahead_log))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # the log, before the first write
        return 0


def _make_random_model(profile: ModelProfile) -> None:
    from bot.inference.random_models.tiny import build_tiny_sdxl

    if profile.source.folder is not None and not profile.source.folder.exists():
        log.info("Making the random model in %s", profile.source.folder)
        build_tiny_sdxl(profile.source.folder, seed=0)


def _make_folder(folder: Path) -> None:
    try:
        make_private_folder(folder)
        probe = folder / ".pastel-write-test"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        if error.errno in NO_SPACE:
            raise full(folder) from None
        raise FolderError(
            f"DATA_DIR {folder} cannot be written ({error.strerror}). Change its owner or set another folder."
        ) from None
