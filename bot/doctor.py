"""`doctor`: checks everything a start needs and prints a line each: what to do, and text to paste. Changes nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot import __version__
from bot.domain.profile import Catalog, ModelProfile
from bot.errors import FolderError, OperatorError, SettingsError
from bot.inference.card_memory import plan_lines
from bot.inference.catalog_check import CatalogFault, model_faults, style_faults
from bot.inference.classifier.files import check_classifier
from bot.inference.loading.cuda_probe import cuda_device_count
from bot.inference.loading.model_files import check_weights
from bot.inference.loading.pins import Fetched, fetched
from bot.resources import RANDOM_MODEL, default_model, memory_plan
from bot.services.disk_space import MEGABYTE
from bot.settings import SHIPPED_DATA, Settings
from bot.storage.catalog import load_catalog
from bot.storage.database import Database
from bot.storage.disk_space import free_bytes, mebibytes
from bot.storage.private_files import OTHERS, check_searchable
from bot.storage.restore import is_decided

LOW_DISK = 2 * 1024**3  # bytes; about a thousand pictures
IN_FOLDER = frozenset(  # nothing can be checked of them without the data folder
    {"database", "memory of the GPU", "model", "other models", "styles", "picture classifier", "pins"}
)
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `exit_code` is 0 without a fault; `is_warning` then marks a possible improvement.

    `below` are lines under it, such as those of a TOML file; `name` is the line's subject, where a check has several.
    """

    text: str
    exit_code: int = 0
    is_warning: bool = False
    below: tuple[str, ...] = ()
    name: str = ""

    @property
    def mark(self) -> str:
        return "FAIL" if self.exit_code else "warn" if self.is_warning else "ok"


async def examine() -> int:
    """Prints the report; returns the exit code that `run` would end with, 0 when it would start."""
    print(f"Pastel {__version__}, Python {sys.version.split()[0]}")
    try:
        settings = Settings.load(need_token=False)
    except SettingsError as error:
        for line in error.lines:
            print(f"  FAIL  settings: {line}")
        return error.exit_code
    checks: dict[str, Callable[[Settings], Awaitable[Finding | list[Finding]]]] = {
        "token": _token,
        "data folder": _folder,
        "database": _database,
        "device": _device,
        "memory of the GPU": _memory,
        "model": _model,
        "other models": _other_models,
        "styles": _styles,
        "picture classifier": _classifier,
        "pins": _pins,
        "credits": _credits,
    }
    worst = 0
    if not await asyncio.to_thread(_is_searchable, settings):
        checks = {name: check for name, check in checks.items() if name not in IN_FOLDER}
    for name, check in checks.items():
        try:
            found = await check(settings)
        except OperatorError as error:
            found = Finding("; ".join(error.lines), error.exit_code)
        for finding in found if isinstance(found, list) else [found]:
            print(f"  {finding.mark:4}  {finding.name or name}: {finding.text}")
            for line in finding.below:
                print(f"        {line}")
            worst = worst or finding.exit_code
    print("Everything is ready: `make run`." if not worst else "Mend what says FAIL, then run this again.")
    return worst


async def _token(settings: Settings) -> Finding:
    from bot.chat.connection import bot_name

    del settings
    token = Settings.load(need_token=True).token()
    return Finding(f"Discord knows it as {await bot_name(token)}")


def _is_searchable(settings: Settings) -> bool:
    try:
        check_searchable(settings.data_dir)
    except FolderError:
        return False
    return True


async def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    await asyncio.to_thread(check_searchable, folder)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = await asyncio.to_thread(free_bytes, existing)
    mark = settings.min_free_mb * MEGABYTE
    if not await asyncio.to_thread(_writable, existing):
        return Finding(f"{existing} cannot be written. Change its owner, or set DATA_DIR to another folder.", 73)
    if free < max(LOW_DISK, mark):
        below = f", and below MIN_FREE_MB={settings.min_free_mb} nothing is drawn" if free < mark else ""
        return Finding(f"{folder} has only {free / GIB:.1f} GiB free{below}. Make room, or move DATA_DIR.", 73)
    readable = existing == folder and folder.stat().st_mode & OTHERS
    hint = "; others on this machine can look into it, until the next start if it can be changed" if readable else ""
    return Finding(f"{folder}, {free / GIB:.0f} GiB free{hint}", is_warning=bool(readable))


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
    return Finding(f"{path}, {mebibytes(path.stat().st_size)} MiB, sound")


async def _device(settings: Settings) -> Finding:
    def look() -> Finding:
        import torch

        if settings.device.startswith("cuda") and not torch.cuda.is_available():
            return Finding("DEVICE says cuda, but torch sees no GPU. Install the NVIDIA driver, or set DEVICE=cpu.", 66)
        if settings.device == "cpu" or not torch.cuda.is_available():
            hint = " (a GPU is there, but torch cannot use it: check the driver)" if cuda_device_count() else ""
            return Finding(f"CPU with {torch.get_num_threads()} threads{hint}; fine for the small model")
        free, total = torch.cuda.mem_get_info()
        return Finding(f"{torch.cuda.get_device_name()}, {total / GIB:.0f} GiB, {free / GIB:.0f} GiB of it free")

    return await asyncio.to_thread(look)


async def _memory(settings: Settings) -> Finding:
    """Returns the memory plan of this card, whatever else is in its memory now."""
    _, profile = await _chosen(settings)
    plan = await asyncio.to_thread(memory_plan, settings, profile)
    if plan is None:
        return Finding(f"nothing to plan for {profile.name} here")
    below = tuple(plan_lines(plan))
    if not plan.fits:
        return Finding(
            f"{profile.name} needs {plan.in_use / GIB:.1f} GiB at least, and this GPU has {plan.memory / GIB:.1f}. "
            "Set MODEL to a smaller one, or DEVICE to another.",
            is_warning=True,
            below=below,
        )
    gave_way = f"; to make room: {', '.join(plan.gave_way)}" if plan.gave_way else ""
    return Finding(f"at most {plan.cap} pictures share a step{gave_way}. Computed, not measured:", below=below)


async def _chosen(settings: Settings) -> tuple[Catalog, ModelProfile]:
    catalog = await asyncio.to_thread(load_catalog, SHIPPED_DATA, settings.data_dir)
    return catalog, catalog.profile(settings.model or default_model(catalog))


async def _model(settings: Settings) -> Finding:
    catalog, profile = await _chosen(settings)
    if profile.name == RANDOM_MODEL:
        return Finding(f"{profile.name} ({profile.title}); made at the first start")
    await asyncio.to_thread(check_weights, profile)
    faults = await asyncio.to_thread(style_faults, catalog, profile)
    names = [style.name for style in catalog.styles_for(profile)]
    faulty = [name for name in names if any(fault.what == f"style {name}" for fault in faults)]
    styles = ", ".join(name for name in names if name not in faulty) or "none"
    unusable = f"; unusable, as told below: {', '.join(faulty)}" if faulty else ""
    return Finding(f"{profile.name} ({profile.title}, {profile.licence.name}); styles: {styles}{unusable}")


async def _other_models(settings: Settings) -> list[Finding]:
    catalog, chosen = await _chosen(settings)
    names = catalog.profiles.keys() - {chosen.name, RANDOM_MODEL}
    others = [profile for name, profile in catalog.profiles.items() if name in names and _is_meant(settings, profile)]
    return _told(await asyncio.to_thread(model_faults, others))


def _is_meant(settings: Settings, profile: ModelProfile) -> bool:
    """Returns whether the profile is used; False for a shipped profile whose file the operator never supplied."""
    own = settings.data_dir / "profiles" / f"{profile.name}.toml"
    return profile.source.file is None or profile.source.file.exists() or own.exists()


async def _styles(settings: Settings) -> list[Finding]:
    return _told(await asyncio.to_thread(style_faults, *await _chosen(settings)))


def _told(faults: Sequence[CatalogFault]) -> list[Finding]:
    """Returns the faults as warnings, since the bot starts in spite of them."""
    if not faults:
        return [Finding("nothing wrong with the files that are on this machine")]
    return [Finding(fault.sentence, is_warning=True, name=fault.what) for fault in faults]


async def _credits(settings: Settings) -> Finding:
    await asyncio.sleep(0)
    own, all_servers = settings.daily_credits, settings.user_daily_credits
    if own and not all_servers:
        return Finding(
            f"DAILY_CREDITS={own} is only a default: whoever manages a server can set another number there, or none. "
            "Set USER_DAILY_CREDITS too, which nobody but you can lift.",
            is_warning=True,
        )
    if not all_servers:
        return Finding("no limit but those that servers set; USER_DAILY_CREDITS would be one that nobody but you can lift")
    return Finding(f"a member may use {all_servers} a day over all servers, whatever a server says")


async def _pins(settings: Settings) -> Finding:
    catalog, profile = await _chosen(settings)
    styles = (*catalog.styles_for(profile), *catalog.quality_styles(profile))
    found = await asyncio.to_thread(fetched, profile, styles)
    if not found:
        return Finding("nothing of the model and its styles was fetched unpinned")
    lines = [line for one in found for line in _toml_lines(one)]
    text = "fetched, but not pinned: what the hub gives next time may be another file. To keep these, copy the TOML files from "
    return Finding(f"{text}{SHIPPED_DATA} to {settings.data_dir} and paste:", is_warning=True, below=tuple(lines))


def _toml_lines(found: Fetched) -> Iterator[str]:
    yield f'# {found.file}: below repo = "{found.repo}"; commit {found.commit} was fetched'
    if not found.has_revision:
        yield f'revision = "{found.commit}"'
    if found.is_style:
        yield from (f'sha256 = "{digest}"' for digest in found.sha256.values())
    else:
        pairs = ", ".join(f'"{name}" = "{digest}"' for name, digest in found.sha256.items())
        yield f"sha256 = {{ {pairs} }}"


async def _classifier(settings: Settings) -> Finding:
    _, profile = await _chosen(settings)
    classifier = profile.classifier
    if classifier is None:
        return Finding(f"none for {profile.name}: {profile.unclassified}")
    is_here = await asyncio.to_thread(check_classifier, classifier)
    name = f"{classifier.source.repo or classifier.source.folder} ({classifier.licence.name})"
    return Finding(name if is_here else f"{name}; not here yet, the first start downloads it")
