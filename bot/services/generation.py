"""The service that every entry path calls: slash command, button, form, context menu, command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.domain.image import StoredImage
from bot.domain.job import Actor, Job, JobId, Origin, ReplyTarget, VariationStrength
from bot.domain.policy import JOB_GONE, check_visible
from bot.domain.profile import Catalog, ModelProfile, Style
from bot.domain.prompt import ComposedPrompt, compose
from bot.domain.queue import QueueOverview
from bot.domain.request import Draft
from bot.errors import InvalidRequestError, NotFoundError
from bot.ports import FirstAnswer, JobRepository, Submission
from bot.services.estimates import Estimator
from bot.services.intakes import Intakes
from bot.services.reception import Reception
from bot.services.removal import Removal
from bot.services.request_builder import PreparedJob, RequestBuilder
from bot.services.submission import Submitter


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetails:
    """Everything that a job's pictures depend on."""

    job: Job
    images: tuple[StoredImage, ...]
    composed: ComposedPrompt
    profile: ModelProfile
    styles: tuple[Style, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A member's file to start from, at Discord, and the share of the steps that run."""

    url: str
    strength: float


class GenerationService:
    """Checks requests (`propose…`), takes them in (`submit`, the only door), answers about them and removes them.

    Members may reroll, vary, upscale and remix everybody's pictures of their server on their own account, unless its moderators
    forbid it; cancelling and deleting belong to the owner and the moderators. `origin` is whoever asks. Everything raises
    UserErrors with sentences that can be shown as they are.
    """

    def __init__(
        self,
        *,
        requests: RequestBuilder,
        submitter: Submitter,
        reception: Reception,
        intakes: Intakes,
        removal: Removal,
        jobs: JobRepository,
        estimator: Estimator,
    ) -> None:
        self._requests = requests
        self._submitter = submitter
        self._reception = reception
        self._intakes = intakes
        self._removal = removal
        self._jobs = jobs
        self._estimator = estimator

    @property
    def profile(self) -> ModelProfile:
        """The model that is drawn with."""
        return self._requests.profile

    @property
    def catalog(self) -> Catalog:
        """All models and styles that were found."""
        return self._requests.catalog

    async def styles(self, origin: Origin) -> tuple[Style, ...]:
        """What may be chosen where they ask; reads one row, so it fits into an autocompletion."""
        return await self._requests.offered_styles(origin)

    async def propose(self, draft: Draft, origin: Origin) -> PreparedJob:
        """Check a member's words; reads two rows, so it fits before the first answer. Raises InvalidRequestError."""
        return await self._requests.new(draft, origin)

    async def propose_reroll(self, job_id: JobId, origin: Origin) -> PreparedJob:
        """The same request with a new seed."""
        return await self._requests.reroll(job_id, origin)

    async def propose_variation(
        self, job_id: JobId, image_index: int, strength: VariationStrength, origin: Origin
    ) -> PreparedJob:
        """Pictures near picture `image_index` (from 0) of a finished job."""
        return await self._requests.variation(job_id, image_index, strength, origin)

    async def propose_upscale(self, job_id: JobId, image_index: int, origin: Origin) -> PreparedJob:
        """Picture `image_index` (from 0) of a finished job, larger and with finer detail."""
        return await self._requests.upscale(job_id, image_index, origin)

    async def remix_draft(self, job_id: JobId, origin: Origin) -> Draft:
        """What the remix form is filled with."""
        return await self._requests.remix_draft(job_id, origin)

    async def propose_remix(self, job_id: JobId, draft: Draft, origin: Origin) -> PreparedJob:
        """What the member made of the form."""
        return await self._requests.remix(job_id, draft, origin)

    async def with_upload(self, proposal: PreparedJob, data: bytes, strength: float) -> PreparedJob:
        """Start from a member's picture (img2img); `strength` is the share of the steps that run. Nothing is stored yet."""
        return await self._requests.with_upload(proposal, data, strength)

    async def take_in_with_picture(
        self,
        propose: Callable[[], Awaitable[PreparedJob]],
        start: Start,
        origin: Origin,
        reply: ReplyTarget,
        answer: FirstAnswer,
    ) -> None:
        """Do the same as `take_in` for a request that starts from a member's file; see Intakes."""

        async def from_start() -> PreparedJob:
            return self._requests.with_start(await propose(), start.strength)

        await self._intakes.take_in(from_start, start.url, origin, reply, answer)

    async def take_in(
        self, propose: Callable[[], Awaitable[PreparedJob]], origin: Origin, reply: ReplyTarget, answer: FirstAnswer
    ) -> None:
        """Store what `propose` makes, and answer the interaction with its card; see Reception. Raises what those raise."""
        await self._reception.take_in(propose, origin, reply, answer)

    async def submit(self, proposal: PreparedJob, origin: Origin, reply: ReplyTarget) -> Submission:
        """Store the job in one transaction; from its return on, the job ends in one of its final states whatever happens.

        An interaction that was seen before gives the job it made then and shows nothing new. Raises QuotaError and
        NotAllowedError for a new one.
        """
        return await self._submitter.submit(proposal, origin, reply)

    async def cancel(self, job_id: JobId, actor: Actor) -> Job:
        """Stop a job that waits or runs. Raises NotFoundError, NotAllowedError, InvalidRequestError when it ended before."""
        return await self._removal.cancel(job_id, actor)

    async def delete(self, job_id: JobId, actor: Actor) -> None:
        """Remove card and pictures for good. Raises NotFoundError, NotAllowedError."""
        await self._removal.delete(job_id, actor)

    async def details(self, job_id: JobId, origin: Origin) -> JobDetails:
        """Raises NotFoundError; InvalidRequestError when the model's profile was removed."""
        job = await self._jobs.get(job_id)
        if job is None or job.deleted_at is not None:
            raise NotFoundError(JOB_GONE)
        check_visible(job, origin)
        profile = self.catalog.profiles.get(job.request.profile)
        if profile is None:
            raise InvalidRequestError(
                "This was made with the model {model}, which I no longer have.", model=job.request.profile
            )
        found = (self.catalog.styles.get(chosen.name) for chosen in job.request.styles)
        styles = tuple(style for style in found if style is not None)
        return JobDetails(
            job=job,
            images=await self._jobs.images(job_id),
            composed=compose(job.request, profile, styles),
            profile=profile,
            styles=styles,
        )

    async def waiting(self, user_id: int, *, limit: int) -> QueueOverview:
        """A member's waiting and running jobs in queue order."""
        waiting = await self._jobs.waiting(user_id, limit=limit)
        return QueueOverview(entries=await self._estimator.entries(waiting.jobs), total=waiting.total)

    async def waiting_jobs(self, user_id: int, *, limit: int) -> tuple[Job, ...]:
        """The same without their places, which take a look at the whole queue each."""
        return (await self._jobs.waiting(user_id, limit=limit)).jobs
