"""What becomes of a card whose place stays closed: the pictures by direct message, or one sentence there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.domain.image import StoredImage
from bot.domain.job import Job, JobStatus
from bot.domain.links import place_link
from bot.messages import message, translatable
from bot.ports import Messenger
from bot.services.card_sender import CardSender
from bot.services.recheck import Recheck

HERE: Final = translatable("You asked for this in {place}, but I can't get in there any more. So here it is!")
NOT_HERE: Final = translatable(
    "I drew what you asked for in {place}, but I can't get in there any more, and I can't show it in a direct message. "
    "You weren't charged."
)
FAILED: Final = translatable(
    "I couldn't draw what you asked for in {place}, and I can't get in there any more to tell you. {failure}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDirectly:
    """The message that shows the pictures."""

    channel_id: int
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectMessages:
    """The last way to a member. A cancelled job is not worth one: its member knows."""

    messenger: Messenger
    card_sender: CardSender
    recheck: Recheck

    async def show(self, job: Job, images: tuple[StoredImage, ...]) -> ShownDirectly | None:
        """Show the pictures, where the rules of direct messages allow them; else say why not, and return None.

        Raises MessengerError where the member takes no direct messages, PicturesLostError where the files are gone.
        """
        if job.status is JobStatus.CANCELLED:
            return None
        channel_id = await self.messenger.open_direct(job.origin.user_id)
        place = place_link(job)
        if images and await self.recheck.allows_directly(job, images):
            message_id = await self.card_sender.show_directly(job, images, channel_id, message(HERE, place=place))
            return ShownDirectly(channel_id=channel_id, message_id=message_id)
        sentence = message(NOT_HERE, place=place) if images else message(FAILED, place=place, failure=job.failure or "")
        await self.messenger.tell(channel_id, sentence, nonce=job.id, language=job.language)
        return None
