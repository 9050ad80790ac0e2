"""`backup` makes a checked copy of the database while the bot runs; `restore` puts one back while it does not."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import FolderError
from bot.resources import SystemClock
from bot.settings import Settings
from bot.storage.backup import check_is_free, new_backup
from bot.storage.database import Database
from bot.storage.disk_space import mebibytes
from bot.storage.images import DiskImageStore
from bot.storage.lock import DataFolderLock
from bot.storage.picture_copies import Copied, copy_pictures, earlier_folders, folder_of
from bot.storage.private_files import OTHERS, check_searchable
from bot.storage.restore import is_decided, put_in_place
from bot.storage.restored import Settled, settle


def run(arguments: argparse.Namespace) -> int:
    """Runs the command without an event loop, which would intercept Ctrl-C."""
    os.umask(OTHERS)  # a copy is as private as its original
    settings = Settings.load(need_token=False)
    check_searchable(settings.data_dir)
    if arguments.command == "backup":
        _back_up(settings.data_dir, arguments.file, with_pictures=arguments.pictures)
    else:
        _restore(settings.data_dir, arguments.file)
    return 0


def _back_up(data: Path, file: Path, *, with_pictures: bool) -> None:
    database, pictures = data / "pastel.db", folder_of(file)
    if is_decided(database):
        raise FolderError(f"A restore in {data} was cut off. Start the bot, which finishes it, then make the backup.")
    if with_pictures:
        check_is_free(pictures)
    try:
        with new_backup(database, file, now=datetime.now(UTC)) as copy:
            copied = _copy_pictures(copy, data / "images", file) if with_pictures else None
    except BaseException:
        if with_pictures and not file.exists():
            shutil.rmtree(pictures, ignore_errors=True)
        raise
    print(f"{file}: {mebibytes(file.stat().st_size)} MiB, sound, and the ledger adds up.")
    if copied is not None:
        print(f"{pictures}: pictures {copied.found}, of these shared with an earlier backup {copied.shared}.")
        _tell_missing(copied, data / "images")


def _copy_pictures(copy: Path, images: Path, file: Path) -> Copied:
    """Copies the pictures, under a temporary name until all are there."""
    pictures = folder_of(file)
    partial = pictures.with_name(f"{pictures.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a backup that was killed
    try:
        copied = copy_pictures(copy, images, partial, earlier=earlier_folders(file))
        if partial.is_dir():
            partial.rename(pictures)
        else:
            pictures.mkdir()
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return copied


def _restore(data: Path, file: Path) -> None:
    database, clock = data / "pastel.db", SystemClock()
    if not file.is_file():
        raise FolderError(f"There is no file {file}. Nothing was changed.")
    with DataFolderLock(data):
        aside = put_in_place(file, database, lambda: _bring_pictures(file, data / "images"), now=datetime.now(UTC))
        print(f"{file} is in place as {database}.")
        if aside is not None:
            print(f"What was there is in {aside}, and is deleted after 30 days.")
        settled = asyncio.run(_settle(database, data / "images", clock))
    if settled is not None:
        print(settled.sentence)
    print("Now start the bot.")


def _bring_pictures(file: Path, images: Path) -> None:
    """Copies missing pictures from the backup; those that no row needs in the end are swept at a start."""
    pictures = folder_of(file)
    copied = copy_pictures(file, pictures if pictures.is_dir() else images, images)
    if copied.written:
        print(f"Pictures that came back from {pictures}: {copied.written}.")
    _tell_missing(copied, images)


async def _settle(database: Path, images: Path, clock: SystemClock) -> Settled | None:
    """Settles the backup, as a start would do first, so that the result can be printed."""
    store = DiskImageStore(images, clock)
    try:
        async with Database.open(database) as opened:
            return await settle(opened, store, now=clock.now())
    finally:
        with suppress(OSError):
            await store.close()


def _tell_missing(copied: Copied, images: Path) -> None:
    if copied.missing:
        print(f"Pictures that the copy knows and that are not in {images}, deleted just now or lost before: {copied.missing}.")
