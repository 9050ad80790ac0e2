"""What must hold after any fault; a line for each promise that was broken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from bot.domain.job import JobStatus
from bot.storage.ledger_audit import audit
from tests.faults.harness import FaultHarness
from tests.inference.conftest import pixels
from tests.process.campaign_judge import CampaignRecord

FLAT, BLACK = 2.0, 8  # as promised: deviation and brightest level, of 255
# Nobody cancels here, and nothing is withheld: what fails is a fault of ours and costs nothing.
POSTINGS = {
    "succeeded": ["charge", "reserve"],
    "delivered": ["charge", "reserve"],
    "failed": ["refund", "reserve"],
}


async def judge(room: FaultHarness) -> list[str]:
    """Pictures, ledger and files, whatever state the jobs are in."""
    books = CampaignRecord.read(room.folder / "pastel.db", room.folder / "images")
    return [
        *_pictures(room),
        *_posted(room),
        *_money(books),
        *_files(books),
        *await room.world.database.read(audit),
    ]


def is_empty(data: bytes) -> bool:
    levels = pixels(data)
    return levels.std() <= FLAT or levels.max() <= BLACK


def _pictures(room: FaultHarness) -> Iterator[str]:
    for path in (room.folder / "images").rglob("*.png"):
        if is_empty(path.read_bytes()):
            yield f"the stored picture {path.name} is flat or black"


def _posted(room: FaultHarness) -> Iterator[str]:
    """Previews too: they are files of a live card. An end is shown once, with all of its pictures or with the reason."""
    finals: Counter[str] = Counter()
    for card in room.world.cards():
        for file in card.files:
            if is_empty(file.data):
                yield f"job {card.job.id} showed {file.name}, which is flat or black, while it was {card.job.status}"
        if card.job.status.is_waiting:
            continue
        finals[card.job.id] += 1
        if len(card.files) != (0 if card.job.status is JobStatus.FAILED else card.job.request.num_images):
            yield f"job {card.job.id} is {card.job.status} and shows {len(card.files)} pictures"
        if card.job.status is JobStatus.FAILED and not card.job.failure:
            yield f"job {card.job.id} failed without a word"
    yield from (f"job {job_id} has shown its end {times} times" for job_id, times in finals.items() if times > 1)


def _money(books: CampaignRecord) -> Iterator[str]:
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for posting in books.ledger:
        kinds[posting["job_id"]].append(posting["kind"])
    for job in books.jobs:
        if sorted(kinds[job["id"]]) != POSTINGS.get(job["status"], ["reserve"]):
            yield f"job {job['id']} is {job['status']} and has the postings {kinds[job['id']]}"


def _files(books: CampaignRecord) -> Iterator[str]:
    keys = {image["key"] for image in books.images}
    yield from (f"picture {key} has no file" for key in keys - books.files)
    yield from (f"file {name} belongs to no picture" for name in books.files - keys)
