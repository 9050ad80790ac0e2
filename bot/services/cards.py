"""From a job to its card: the one place where a card's parts are gathered."""

from __future__ import annotations

from bot.domain.card import JobCard, ParentLink
from bot.domain.image import ImageFile, StoredImage
from bot.domain.job import Job
from bot.domain.profile import Catalog
from bot.domain.progress import Progress
from bot.messages import Message, message, translatable
from bot.ports import JobRepository
from bot.services.estimates import DrawnShares, Estimator

MAX_DESCRIBED = 900  # characters of a prompt; Discord takes 1,024 of alt text
PREVIEW = translatable("Preview of the picture being drawn")


class CardAssembler:
    """Gathers what a card shows: titles, position, progress, pictures, the link to the parent's card."""

    def __init__(self, *, jobs: JobRepository, catalog: Catalog, estimator: Estimator) -> None:
        self._jobs = jobs
        self._catalog = catalog
        self._estimator = estimator

    @property
    def drawn(self) -> DrawnShares:
        """How far the jobs are that run, for the times on the cards."""
        return self._estimator.drawn

    async def live(self, job: Job, progress: Progress | None = None) -> JobCard:
        """The card of a job that waits or runs; `progress.preview` becomes its file."""
        preview = progress.preview if progress else None
        files = (ImageFile(name="preview.webp", data=preview, description=message(PREVIEW)),) if preview else ()
        return JobCard(
            job=job,
            model_title=self._model_title(job),
            style_titles=self._style_titles(job),
            position=await self._estimator.position(job),
            progress=progress,
            files=files,
            parent=await self._parent(job),
        )

    async def final(
        self, job: Job, *, images: tuple[StoredImage, ...] = (), files: tuple[ImageFile, ...] = (), note: Message | None = None
    ) -> JobCard:
        """The card of a job that ended."""
        return JobCard(
            job=job,
            model_title=self._model_title(job),
            style_titles=self._style_titles(job),
            images=images,
            files=files,
            parent=await self._parent(job),
            note=note,
        )

    def _model_title(self, job: Job) -> str:
        profile = self._catalog.profiles.get(job.request.profile)
        return profile.title if profile else job.request.profile

    def _style_titles(self, job: Job) -> tuple[str, ...]:
        known = ((chosen.name, self._catalog.styles.get(chosen.name)) for chosen in job.request.styles)
        return tuple(style.title if style else name for name, style in known)

    async def _parent(self, job: Job) -> ParentLink | None:
        """None too where the parent's card is gone or was never seen, or is in another server than the card that names it."""
        if job.parent is None:
            return None
        parent = await self._jobs.get(job.parent.job_id)
        if parent is None or parent.deleted_at is not None or parent.reply.message_id is None:
            return None
        if parent.origin.guild_id != job.origin.guild_id:
            return None
        return ParentLink(
            user_id=parent.origin.user_id,
            guild_id=parent.origin.guild_id,
            channel_id=parent.reply.channel_id,
            message_id=parent.reply.message_id,
        )


def describe(job: Job, index: int) -> Message:
    """Returns the alt text of picture `index`."""
    prompt = job.request.prompt
    shown = prompt if len(prompt) <= MAX_DESCRIBED else f"{prompt[: MAX_DESCRIBED - 1]}…"
    return message("Picture {number} of {total}: {prompt}", number=index + 1, total=job.request.num_images, prompt=shown)
