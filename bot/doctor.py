"""`doctor`: looks at everything a start needs, one line each, and says what to do. Changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bot import __version__
from bot.domain.profile import Catalog, ModelProfile
from bot.errors import OperatorError, SettingsError
from bot.ground import RANDOM_MODEL, default_model
from bot.inference.classifier_files import check_classifier
from bot.inference.cuda_probe import cuda_device_count
from bot.inference.loading import check_weights
from bot.settings import SHIPPED_DATA, Settings
from bot.storage.catalog import load_catalog
from bot.storage.database import Database
from bot.storage.restore import is_decided

LOW_DISK = 2 * 1024**3  # bytes; about a thousand pictures
SDXL_MEMORY = 10 * 1024**3  # bytes of GPU memory that SDXL in float16 with its decoder needs


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `exit_code` is 0 where all is well."""

    text: str
    exit_code: int = 0


async def examine() -> int:
    """Print the report; returns the exit code that `run` would end with, 0 when it would start."""
    print(f"Pastel {__version__}, Python {sys.version.split()[0]}")
    try:
        settings = Settings.load(need_token=False)
    except SettingsError as error:
        for line in error.lines:
            print(f"  FAIL  settings: {line}")
        return error.exit_code
    checks: dict[str, Callable[[Settings], Awaitable[Finding]]] = {
        "token": _token,
        "data folder": _folder,
        "database": _database,
        "device": _device,
        "model": _model,
        "picture classifier": _classifier,
    }
    worst = 0
    for name, check in checks.items():
        try:
            finding = await check(settings)
        except OperatorError as error:
            finding = Finding("; ".join(error.lines), error.exit_code)
        print(f"  {'FAIL' if finding.exit_code else 'ok  '}  {name}: {finding.text}")
        worst = worst or finding.exit_code
    print("Everything is ready: `make run`." if not worst else "Mend what says FAIL, then run this again.")
    return worst


async def _token(settings: Settings) -> Finding:
    from bot.chat.connection import bot_name

    del settings
    token = Settings.load(need_token=True).token()
    return Finding(f"Discord knows it as {await bot_name(token)}")


async def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = (await asyncio.to_thread(shutil.disk_usage, existing)).free
    if not await asyncio.to_thread(_writable, existing):
        return Finding(f"{existing} cannot be written. Change its owner, or set DATA_DIR to another folder.", 73)
    if free < LOW_DISK:
        return Finding(f"{folder} has only {free / 1024**3:.1f} GiB free. Make room, or move DATA_DIR.", 73)
    return Finding(f"{folder}, {free / 1024**3:.0f} GiB free")


def _writable(folder: Path) -> bool:
    probe = folder / ".pastel-write-test"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError:
        return False
    return True


async def _database(settings: Settings) -> Finding:
    path = settings.data_dir / "pastel.db"
    if is_decided(path):
        return Finding(f"a restore of {path} was cut off; the next start finishes it")
    if not path.exists():
        return Finding("none yet; the first start makes it")
    await Database.examine(path)
    return Finding(f"{path}, {path.stat().st_size / 1024**2:.1f} MiB, sound")


async def _device(settings: Settings) -> Finding:
    def look() -> Finding:
        import torch

        if settings.device.startswith("cuda") and not torch.cuda.is_available():
            return Finding("DEVICE says cuda, but torch sees no GPU. Install the NVIDIA driver, or set DEVICE=cpu.", 66)
        if settings.device == "cpu" or not torch.cuda.is_available():
            hint = " (a GPU is there, but torch cannot use it: check the driver)" if cuda_device_count() else ""
            return Finding(f"CPU with {torch.get_num_threads()} threads{hint}; fine for the small model")
        free, total = torch.cuda.mem_get_info()
        small = "; too small for SDXL in float16" if total < SDXL_MEMORY else ""
        return Finding(f"{torch.cuda.get_device_name()}, {total / 1024**3:.0f} GiB, {free / 1024**3:.0f} GiB of it free{small}")

    return await asyncio.to_thread(look)


async def _chosen(settings: Settings) -> tuple[Catalog, ModelProfile]:
    catalog = await asyncio.to_thread(load_catalog, SHIPPED_DATA, settings.data_dir)
    return catalog, catalog.profile(settings.model or default_model(catalog))


async def _model(settings: Settings) -> Finding:
    catalog, profile = await _chosen(settings)
    if profile.name == RANDOM_MODEL:
        return Finding(f"{profile.name} ({profile.title}); made at the first start")
    await asyncio.to_thread(check_weights, profile)
    styles = ", ".join(style.name for style in catalog.styles_for(profile)) or "none"
    return Finding(f"{profile.name} ({profile.title}, {profile.licence.name}); styles: {styles}")


async def _classifier(settings: Settings) -> Finding:
    _, profile = await _chosen(settings)
    classifier = profile.classifier
    if classifier is None:
        return Finding(f"none for {profile.name}: {profile.unclassified}")
    is_here = await asyncio.to_thread(check_classifier, classifier)
    name = f"{classifier.source.repo or classifier.source.folder} ({classifier.licence.name})"
    return Finding(name if is_here else f"{name}; not here yet, the first start downloads it")
