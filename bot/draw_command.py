"""`draw`: one picture through the same submit, queue, worker and delivery as in Discord, but shown in a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from bot.bootstrap import open_runtime
from bot.domain.card import JobCard
from bot.domain.delivery import DeliveryFault, SeenAnswer
from bot.domain.job import JobId, JobStatus, Origin, Place, ReplyTarget
from bot.domain.language import Language
from bot.domain.progress import Phase, Progress
from bot.domain.quota import Limits
from bot.domain.request import Draft
from bot.errors import FolderError, GenerationError, InvalidRequestError
from bot.log import set_up_logging
from bot.messages import Message
from bot.ports import MessengerError
from bot.process_signals import first_of
from bot.resources import open_resources
from bot.services.quotas import OperatorLimits
from bot.settings import Settings

EDIT_INTERVAL = 0.1  # seconds between two updates of the bar
UNLIMITED = 2**40  # bytes; a file on disk has no size limit
HERE = ReplyTarget(channel_id=1, message_id=1, upload_limit=UNLIMITED)
OTHER_FORMATS = frozenset({".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif"})
OPERATOR = Origin(interaction_id=1, user_id=1, place=Place(channel_id=1))


class ProgressBar:
    """Shows a bar for loading (indeterminate) and one for the steps."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None
        self._phase: Phase | None = None

    def show(self, progress: Progress) -> None:
        """Draw the newest state; phases come in order, a repeated attempt starts again."""
        if progress.phase is not self._phase:
            self.close()
            self._phase = progress.phase
            if progress.phase is Phase.DENOISING:
                self._bar = tqdm(total=progress.steps, desc="Drawing", unit="step")
            else:
                self._bar = tqdm(total=0, desc=progress.phase.value.capitalize(), bar_format="{desc} ... {elapsed}")
        if self._bar is not None:
            self._bar.n = progress.step if progress.phase is Phase.DENOISING else 0
            self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.n = self._bar.total or 0  # the last step's report may have been overtaken by the next phase
            self._bar.refresh()
            self._bar.close()
            self._bar = None


class TerminalMessenger:
    """Implements ports.Messenger for one job: progress moves a bar, the finished card is the picture's bytes."""

    def __init__(self, bar: ProgressBar) -> None:
        self._bar = bar
        self._picture: bytes | None = None
        self._failure = ""
        self.ended = asyncio.Event()

    def picture(self) -> bytes:
        """Return the finished picture. Raises GenerationError with the sentence that a member would see."""
        if self._picture is None:
            raise GenerationError(self._failure)
        return self._picture

    async def first_answer(self, reply: ReplyTarget) -> SeenAnswer:
        del reply
        return SeenAnswer(message_id=HERE.message_id or 0, is_private=False)

    async def say(self, reply: ReplyTarget, sentence: Message, *, language: Language | None = None) -> None:
        del reply, sentence, language

    async def edit_by_token(self, reply: ReplyTarget, card: JobCard) -> int:
        return await self.edit_by_id(reply, card)

    async def edit_by_id(self, reply: ReplyTarget, card: JobCard) -> int:
        del reply
        if card.progress is not None:
            self._bar.show(card.progress)
        if card.job.status in {JobStatus.SUCCEEDED, JobStatus.DELIVERED}:
            self._picture = card.files[0].data
            self.ended.set()
        elif card.job.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
            self._failure = str(card.job.failure or "The job was cancelled.")
            self.ended.set()
        return HERE.message_id or 0

    async def post(self, reply: ReplyTarget, card: JobCard, *, nonce: str) -> int:
        del reply, card, nonce
        raise MessengerError(DeliveryFault.CHANNEL_GONE, "a terminal has one message")

    async def find_post(self, reply: ReplyTarget, job_id: JobId, *, since: datetime) -> int | None:
        del reply, job_id, since

    async def reopen(self, reply: ReplyTarget) -> None:
        del reply

    async def open_direct(self, user_id: int) -> int:
        del user_id
        raise MessengerError(DeliveryFault.CHANNEL_GONE, "a terminal has one message")

    async def tell(self, channel_id: int, sentence: Message, *, nonce: str, language: Language | None = None) -> int:
        del channel_id, sentence, nonce, language
        raise MessengerError(DeliveryFault.CHANNEL_GONE, "a terminal has one message")

    async def delete(self, reply: ReplyTarget) -> None:
        del reply


async def draw_picture(settings: Settings, draft: Draft, out: Path) -> None:
    """Draws `draft` into the PNG file `out`. Raises UserError for the draft, OperatorError for everything else."""
    set_up_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format)
    _check_out(out)
    with _temporary_folder() as folder, contextlib.closing(ProgressBar()) as bar:
        messenger = TerminalMessenger(bar)
        async with (
            open_resources(settings, state_dir=folder) as resources,
            open_runtime(resources, messenger, limits=OperatorLimits(limits=Limits()), edit_interval=EDIT_INTERVAL) as runtime,
        ):
            proposal = await runtime.generation.propose(draft, OPERATOR)
            await runtime.generation.submit(proposal, OPERATOR, HERE)
            runtime.background.start()
            await first_of(messenger.ended.wait(), runtime.background.failure())
            data = messenger.picture()
    try:
        await asyncio.to_thread(out.write_bytes, data)
    except OSError as error:
        raise FolderError(f"{out} cannot be written ({error.strerror}). Give --out another path.") from None
    print(f"{out}: seed and all parameters stand in the file's metadata")


def _check_out(out: Path) -> None:
    """Raises InvalidRequestError or FolderError for a bad path, before anything is loaded."""
    if out.suffix.lower() in OTHER_FORMATS:
        raise InvalidRequestError(f"The picture is a PNG. Give --out a name such as {out.with_suffix('.png').name}.")
    if not out.parent.is_dir():
        raise FolderError(f"The folder {out.parent} does not exist. Make it, or give --out another path.")
    if out.is_dir():
        raise FolderError(f"{out} is a folder. Give --out the path of a file, such as {out / 'picture.png'}.")


@contextlib.contextmanager
def _temporary_folder() -> Generator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="pastel-draw-")
    except OSError as error:
        raise FolderError(
            f"No temporary folder can be made ({error.strerror}). Free some space, or set TMPDIR to another folder."
        ) from None
    with folder as path:
        yield Path(path)
