"""Proposals: requests that were checked but not stored yet, made from a member's words or from an earlier job."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bot.domain.image import StoredImage
from bot.domain.job import Job, JobId, JobStatus, Origin, Parent, Relation, VariationStrength
from bot.domain.policy import JOB_GONE, check_start
from bot.domain.preferences import filled
from bot.domain.profile import Catalog, ModelProfile, Style
from bot.domain.prompt import random_seed, reseeded, resolve, styles_of, to_draft
from bot.domain.quality import with_quality
from bot.domain.request import Draft, GenerationRequest, InitImage, NoiseBlend, upscaled
from bot.domain.sampler import sampler_called
from bot.domain.style_tags import with_tagged_styles
from bot.errors import InvalidRequestError, NotFoundError
from bot.messages import translatable
from bot.ports import ImageCodec, JobRepository
from bot.services.gate import Gate

PICTURES_GONE = translatable(
    "I no longer have these pictures, so there's nothing to start from. **Reroll** draws the same prompt again."
)
UPSCALED = translatable("This is already an upscale. Go back to the original to draw more.")
ORIGINAL_GONE = translatable(
    "The original of this picture was deleted. Use `/anime` with the same prompt; **Details** shows it."
)
WITH_PICTURES = frozenset({JobStatus.SUCCEEDED, JobStatus.DELIVERED, JobStatus.UNDELIVERABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedJob:
    """A checked request that was not stored yet, and the job that it came out of.

    `upload` is a member's file that it starts from, checked and fitted; it is stored once the request is let in, and the
    request's `init_image` has no key until then.
    """

    request: GenerationRequest
    parent: Parent | None = None
    upload: bytes | None = field(default=None, repr=False)


class RequestBuilder:
    """Makes proposals for the one model that is drawn with. Everything raises UserErrors with finished sentences.

    `origin` is whoever asks: jobs of other servers are unknown to them, and theirs are the defaults that fill a draft.
    """

    def __init__(self, *, profile: ModelProfile, catalog: Catalog, gate: Gate, jobs: JobRepository, codec: ImageCodec) -> None:
        self.profile = profile
        self.catalog = catalog
        self._gate = gate
        self._jobs = jobs
        self._codec = codec

    async def new(self, draft: Draft, origin: Origin) -> PreparedJob:
        """From a member's words, the gaps filled from their own defaults, then the server's, then the model's."""
        settings = await self._gate.settings(origin.guild_id)
        draft = filled(
            with_tagged_styles(draft, self.profile, self.catalog, settings),
            personal=await self._gate.preferences(origin.user_id),
            settings=settings,
            profile=self.profile,
            catalog=self.catalog,
        )
        return PreparedJob(request=resolve(draft, self.profile, self.catalog))

    async def offered_styles(self, origin: Origin) -> tuple[Style, ...]:
        """The styles that the server offers for the model."""
        settings = await self._gate.settings(origin.guild_id)
        return tuple(style for style in self.catalog.styles_for(self.profile) if settings.offers(style.name))

    async def reroll(self, job_id: JobId, origin: Origin) -> PreparedJob:
        """The same request with a new seed; of an upscale, that of the picture that it was made of."""
        original = await self._original(job_id, origin)
        job = await self._drawable(original.id, origin)
        return PreparedJob(request=reseeded(job.request), parent=Parent(job_id=job.id, relation=Relation.REROLL))

    async def variation(self, job_id: JobId, image_index: int, strength: VariationStrength, origin: Origin) -> PreparedJob:
        """As many pictures as the parent had, near its picture `image_index`."""
        job = await self._drawable(job_id, origin)
        await self._image(job, image_index)
        seeds = job.request.image_seeds(image_index)
        sampler = sampler_called(job.request.scheduler or self.profile.scheduler)
        blend = NoiseBlend(seed=random_seed(), strength=strength.share(sampler))
        return PreparedJob(
            request=replace(job.request, seed=seeds.seed, blends=(*seeds.blends, blend)),
            parent=Parent(job_id=job.id, relation=Relation.VARIATION, image_index=image_index),
        )

    async def upscale(self, job_id: JobId, image_index: int, origin: Origin) -> PreparedJob:
        """Picture `image_index` once more, in a larger size and with finer detail."""
        job = await self._drawable(job_id, origin)
        image = await self._image(job, image_index)
        request = replace(
            job.request,
            seed=image.seed,
            blends=(),
            num_images=1,
            width=upscaled(job.request.width),
            height=upscaled(job.request.height),
        )
        init_image = InitImage(key=image.key, strength=self.profile.upscale_strength, drawn_here=True)
        return PreparedJob(
            request=replace(request, init_image=init_image),
            parent=Parent(job_id=job.id, relation=Relation.UPSCALE, image_index=image_index),
        )

    async def remix_draft(self, job_id: JobId, origin: Origin) -> Draft:
        """The parent's words, to fill a form with; a size or style that is no longer offered is left out."""
        job = await self._original(job_id, origin)
        self._check_profile(job)
        draft = to_draft(job.request, self.profile)
        offered = {style.name for style in await self.offered_styles(origin)}
        draft = replace(draft, more_styles=tuple(style for style in draft.more_styles if style.name in offered))
        return draft if draft.style is None or draft.style in offered else replace(draft, style=None, adapter_weight=None)

    async def remix(self, job_id: JobId, draft: Draft, origin: Origin) -> PreparedJob:
        """What the member made of the form; the member's picture that the parent started from stays."""
        job = await self._original(job_id, origin)
        self._check_profile(job)
        settings = await self._gate.settings(origin.guild_id)
        draft = with_tagged_styles(draft, self.profile, self.catalog, settings)
        request = resolve(with_quality(draft, self.profile, self.catalog, settings), self.profile, self.catalog)
        start = job.request.init_image  # fitted into another size when it is drawn
        return PreparedJob(request=replace(request, init_image=start), parent=Parent(job_id=job.id, relation=Relation.REMIX))

    def with_start(self, proposal: PreparedJob, strength: float) -> PreparedJob:
        """Start from a member's file that is still to be read. Raises InvalidRequestError, NotAllowedError."""
        request = replace(proposal.request, init_image=InitImage(key="", strength=strength))
        check_start(request, self.profile)
        return replace(proposal, request=request)

    async def with_upload(self, proposal: PreparedJob, data: bytes, strength: float) -> PreparedJob:
        """Start from a member's file (img2img): check it and fit it to the request's size."""
        started = self.with_start(proposal, strength)  # the gate asks again; here, before anything is decoded
        request = started.request
        upload = await self._codec.read_upload(data, width=request.width, height=request.height)
        return replace(started, upload=upload.data)

    async def _known(self, job_id: JobId, origin: Origin) -> Job:
        """A job that they may draw from again."""
        job = await self._jobs.get(job_id)
        if job is None or job.deleted_at is not None:
            raise NotFoundError(JOB_GONE)
        await self._gate.check_reuse(job, origin)
        return job

    async def _original(self, job_id: JobId, origin: Origin) -> Job:
        """The same, but in place of an upscale the job whose picture it enlarged, which has the size that its words are for."""
        job = await self._known(job_id, origin)
        if not job.request.is_upscale:
            return job
        if job.parent is None:
            raise NotFoundError(ORIGINAL_GONE)
        try:
            return await self._known(job.parent.job_id, origin)
        except NotFoundError:
            raise NotFoundError(ORIGINAL_GONE) from None

    async def _drawable(self, job_id: JobId, origin: Origin) -> Job:
        """A job that they may draw from again, where the request can be drawn as it is."""
        job = await self._known(job_id, origin)
        self._check_profile(job)
        request = job.request
        if request.is_upscale:
            raise InvalidRequestError(UPSCALED)
        if not any((size.width, size.height) == (request.width, request.height) for size in self.profile.sizes):
            raise InvalidRequestError(
                "{width} × {height} is no longer offered. Use **Remix** to choose another size.",
                width=request.width,
                height=request.height,
            )
        styles_of(request, self.profile, self.catalog)
        return job

    def _check_profile(self, job: Job) -> None:
        name = job.request.profile
        if name == self.profile.name:
            return
        known = self.catalog.profiles.get(name)
        raise InvalidRequestError(
            "This was made with the model {before}, but now I draw with {now}. Use `/anime` with the same prompt instead.",
            before=known.title if known else name,
            now=self.profile.title,
        )

    async def _image(self, job: Job, image_index: int) -> StoredImage:
        if job.status not in WITH_PICTURES:
            raise InvalidRequestError("There's no picture yet. Wait until it's finished, or use **Reroll**.")
        images = {image.index: image for image in await self._jobs.images(job.id)}
        if not images:
            raise NotFoundError(PICTURES_GONE)
        if image_index not in images:
            raise NotFoundError(
                "There's no picture {number} here. Choose from 1 to {total}.", number=image_index + 1, total=len(images)
            )
        return images[image_index]
