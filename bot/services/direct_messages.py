"""What becomes of a card whose place stays closed: the pictures by direct message, or one sentence there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.domain.image import StoredImage
from bot.domain.job import Job, JobStatus
from bot.domain.links import place_link
from bot.ports import Messenger
from bot.services.card_sender import CardSender
from bot.services.recheck import Recheck

HERE: Final = "I cannot get into {place} any more, where you asked for this. So here it is."
NOT_HERE: Final = (
    "What you asked for in {place} is drawn, but I cannot get in there any more, and it may not be shown in a direct message. "
    "It costs nothing."
)
FAILED: Final = "What you asked for in {place} could not be drawn, and I cannot get in there any more to say so. {failure}"


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
            message_id = await self.card_sender.show_directly(job, images, channel_id, HERE.format(place=place))
            return ShownDirectly(channel_id=channel_id, message_id=message_id)
        sentence = NOT_HERE if images else FAILED
        await self.messenger.tell(channel_id, sentence.format(place=place, failure=str(job.failure or "")), nonce=job.id)
        return None
