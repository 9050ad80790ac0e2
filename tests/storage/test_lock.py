from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import FolderError
from bot.storage.lock import DataFolderLock

HOLD = """
import sys
from pathlib import Path
from bot.storage.lock import DataFolderLock
with DataFolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_on_the_same_folder_is_told_who_holds_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderError, match=rf"Another Pastel \(process {holder.pid}\) already uses .*DATA_DIR"):
            DataFolderLock(tmp_path).__enter__()
    finally:
        holder.kill()
        holder.communicate()

    with DataFolderLock(tmp_path):  # SIGKILL freed it
        assert (tmp_path / "pastel.lock").read_text() == str(os.getpid())


def test_a_lock_is_free_again_after_its_context(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on the way"
    lock = DataFolderLock(folder)
    for _ in range(2):
        with lock, pytest.raises(FolderError, match="already uses"):
            DataFolderLock(folder).__enter__()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FolderError, match="file/data"):
        DataFolderLock(tmp_path / "file" / "data").__enter__()
