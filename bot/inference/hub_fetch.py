"""Fetches files from the hub; `python -m bot.inference.hub_fetch` does so in a process of its own, which can be stopped.

The order is a line of JSON on stdin, reports are lines of JSON on stdout. The end of stdin means that the caller is gone, and
ends this process too. Does not import torch.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from bot.domain.downloads import Download, DownloadError, Transfer

REPORT_INTERVAL = 0.5  # seconds

NOT_ON_HUB = "is not on the hub"
NETWORK_CURE = "Check the network and start again."

Report = Callable[[Transfer], None]


def fetch(download: Download, cache_dir: Path | None, report: Report) -> None:
    """Fetch the wanted files into the hub's cache; existing ones stay. Blocks for minutes. Raises DownloadError."""
    from huggingface_hub import errors

    try:
        sizes = _sizes(download)
        names = download.chosen(list(sizes))
        if not names:
            raise DownloadError(_lacking(download, list(sizes)))
        _fetch_files(download, {name: sizes[name] for name in names}, cache_dir, report)
    except DownloadError:
        raise
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise DownloadError(NOT_ON_HUB, "Check its name; for a gated one set HF_TOKEN.") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            cure = "Free some space, or set HF_HOME to a larger disk."
            raise DownloadError("does not fit on the disk", cure) from error
        raise _unreachable(error) from error
    except Exception as error:  # the client raises unrelated kinds for faults of the network
        raise _unreachable(error) from error


def _sizes(download: Download) -> dict[str, int | None]:
    """Returns the repo's files, with their bytes where the hub tells them."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(download.repo, revision=download.revision, files_metadata=True)
    return {file.rfilename: file.size for file in info.siblings or []}


def _fetch_files(download: Download, sizes: dict[str, int | None], cache_dir: Path | None, report: Report) -> None:
    import huggingface_hub
    from huggingface_hub.utils import tqdm

    known = [size for size in sizes.values() if size is not None]
    total = sum(known) if len(known) == len(sizes) else None
    finished, last = 0, 0.0

    class Bar(tqdm):  # pyright: ignore[reportUntypedBaseClass] # the client's own, without annotations
        """Reports progress instead of drawing a bar on the terminal."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **(kwargs | {"disable": False, "file": _Nowhere()}))  # pyright: ignore[reportUnknownMemberType] # see above

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal last
            moved: bool | None = super().update(n)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] # see above
            if time.monotonic() - last >= REPORT_INTERVAL:
                last = time.monotonic()
                done: Any = self.n  # pyright: ignore[reportUnknownMemberType] # see above
                report(Transfer(title=download.title, done=finished + int(done), total=total))
            return moved

    get: Any = huggingface_hub.hf_hub_download  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] # bare dict
    for name, size in sizes.items():
        report(Transfer(title=download.title, done=finished, total=total))
        get(download.repo, name, revision=download.revision, cache_dir=cache_dir, tqdm_class=Bar)
        finished += size or 0
    report(Transfer(title=download.title, done=finished, total=total))


class _Nowhere:
    """A file that drops the progress bar written to it."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None: ...


def _lacking(download: Download, names: list[str]) -> str:
    listed = ", ".join(sorted(name for name in names if name.endswith(".safetensors"))) or "no .safetensors file at all"
    return f"has no file {download.patterns[0]}; it has {listed}"


def _unreachable(error: Exception) -> DownloadError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return DownloadError(f"is not on this machine and could not be downloaded ({first})", NETWORK_CURE)


def main() -> None:
    """Run the process; it exits with 0 also when it reports a fault."""
    signal.signal(signal.SIGTERM, _stop)
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_owner, daemon=True).start()
    download = Download(**order["download"] | {"patterns": tuple(order["download"]["patterns"])})
    cache_dir = Path(order["cache_dir"]) if order["cache_dir"] else None
    try:
        fetch(download, cache_dir, lambda transfer: _say(asdict(transfer)))
    except DownloadError as error:
        _say({"fault": error.fault, "cure": error.cure})
    else:
        _say({"fetched": True})


def _stop(signum: int, frame: FrameType | None) -> None:
    """Unwind, so that the client removes its half-written file."""
    raise SystemExit(128 + signum)


def _end_with_owner() -> None:
    sys.stdin.read()
    signal.raise_signal(signal.SIGTERM)


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
