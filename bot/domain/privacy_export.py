"""A member's data as files: readable JSON, packed and divided only where Discord takes no file of that size.

Ids are texts, since readers of JSON in other languages round numbers beyond 2**53. Discord's secrets (tokens) and the ids of
other people are not among what is written.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bot.domain.image import StoredImage
from bot.domain.intake import Intake
from bot.domain.privacy import KeptJob, LedgerEntry, MemberData, OwnReport, PastBlock
from bot.messages import Message, message

FORMAT = 1
NAME = "pastel-data"
MAX_TEXT_BYTES = 24 * 1024 * 1024  # of a part before it is packed; what is in memory at once
FRAME_BYTES = 400  # of a zip file around what is packed

LISTS = ("files_being_read", "requests", "credits", "blocks", "reports", "deletions_asked_for_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFile:
    """A file to hand out. `part` says which it is; None when it is the only one."""

    name: str
    data: bytes = field(repr=False)
    part: Message | None = None


class ExportWriter:
    """Makes files of at most `max_bytes` out of pages, with one of them in memory.

    One JSON file; if that is too large, one zip file; if that is, several, each of which can be read by itself.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._head: dict[str, Any] = {}
        self._number = 1
        self._part = _Part()

    def add(self, page: MemberData) -> Iterator[ExportFile]:
        """Take a page, and give the parts that are full by it. The first page of a member comes first."""
        if not self._head:
            self._head = _head(page)
        for name, row in _rows(page):
            text = json.dumps(row, ensure_ascii=False, indent=1).encode()
            if not self._part.take(name, text, self._room):
                yield self._packed(f"{self._number}", message("Part {number}", number=self._number))
                self._number += 1
                self._part = _Part()
                self._part.take(name, text, self._room)

    def finish(self) -> ExportFile:
        """Give the last part, or the whole."""
        if self._number > 1:
            return self._packed(f"{self._number}, the last", message("Part {number}, the last one", number=self._number))
        whole = self._part.document({**self._head, "part": "all of it"})
        if len(whole) <= self._max_bytes:
            return ExportFile(name=f"{NAME}.json", data=whole)
        return ExportFile(name=f"{NAME}.zip", data=_zipped(NAME, whole))

    @property
    def _room(self) -> int:
        """Bytes of a part for its rows; what there is one of stands in every part, so that each explains itself."""
        return self._max_bytes - FRAME_BYTES - len(json.dumps(self._head).encode())

    def _packed(self, written: str, part: Message) -> ExportFile:
        name = f"{NAME}-{self._number}"
        data = _zipped(name, self._part.document({**self._head, "part": written}))
        return ExportFile(name=f"{name}.zip", data=data, part=part)


class _Part:
    """Rows of one file, and how much room they take when they are packed."""

    def __init__(self) -> None:
        self._rows: dict[str, list[bytes]] = {name: [] for name in LISTS}
        self._gauge = zlib.compressobj()
        self._packed_bytes = 0
        self._text_bytes = 0

    def take(self, name: str, text: bytes, room: int) -> bool:
        """Whether the row found room; the first one always does, however large it is."""
        packed_bytes = len(self._gauge.compress(text)) + len(self._gauge.flush(zlib.Z_SYNC_FLUSH))
        full = self._packed_bytes + packed_bytes > room or self._text_bytes + len(text) > MAX_TEXT_BYTES
        if full and self._text_bytes:
            return False
        self._rows[name].append(text)
        self._packed_bytes += packed_bytes
        self._text_bytes += len(text)
        return True

    def document(self, head: dict[str, Any]) -> bytes:
        """All rows as one JSON document."""
        start = json.dumps(head, ensure_ascii=False, indent=1).encode().removesuffix(b"\n}")
        lists = [b'"%s": [%s]' % (name.encode(), b",\n".join(rows)) for name, rows in self._rows.items()]
        return b",\n ".join((start, *lists)) + b"\n}"


def _head(page: MemberData) -> dict[str, Any]:
    return {
        "pastel_member_data": FORMAT,
        "member": str(page.user_id),
        "first_seen_at": _time(page.first_seen_at),
        "defaults": None if page.defaults is None else asdict(page.defaults),
    }


def _rows(page: MemberData) -> Iterator[tuple[str, Any]]:
    yield from (("files_being_read", _intake(intake)) for intake in page.intakes)
    yield from (("requests", _job(kept)) for kept in page.jobs)
    yield from (("credits", _posting(entry)) for entry in page.postings)
    yield from (("blocks", _block(past)) for past in page.blocks)
    yield from (("reports", _report(said)) for said in page.reports)
    yield from (("deletions_asked_for_at", _time(when)) for when in page.deletions)


def _zipped(name: str, text: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.json", text)
    return buffer.getvalue()


def _job(kept: KeptJob) -> dict[str, Any]:
    job = kept.job
    parent = job.parent
    return {
        "id": job.id,
        "status": job.status.value,
        "server": _id(job.origin.guild_id),
        "channel": _id(job.reply.channel_id or None),
        "message": _id(job.reply.message_id),
        "asked_at": _time(job.created_at),
        "drawing_began_at": _time(job.started_at),
        "ended_at": _time(job.finished_at),
        "deleted_at": _time(job.deleted_at),
        "words_removed_at": _time(kept.removed_at),
        "request": None if kept.removed_at else job.request.to_dict(),
        "came_of": None
        if parent is None
        else {"how": parent.relation.value, "id": parent.job_id if kept.came_of_own else None},
        "highest_rating": job.showing.rating.value,
        "hidden_behind_a_click": job.showing.spoiler,
        "visible_to": job.visibility.value,
        "language": None if job.language is None else job.language.value,
        "price": job.price,
        "why_it_failed": None if job.failure is None else str(job.failure),
        "pictures": [_image(image) for image in kept.images],
    }


def _intake(intake: Intake) -> dict[str, Any]:
    """What is said of it: not the token, which is Discord's secret."""
    return {
        "server": _id(intake.origin.guild_id),
        "channel": _id(intake.reply.channel_id),
        "message": _id(intake.reply.message_id),
        "asked_at": _time(intake.asked_at),
        "request": intake.request.to_dict(),
        "file": intake.url,
    }


def _image(image: StoredImage) -> dict[str, Any]:
    return {
        "number": image.index + 1,
        "seed": image.seed,
        "width": image.width,
        "height": image.height,
        "bytes": image.size_bytes,
        "parameters": image.parameters,
        "rating": None if image.rating is None else image.rating.value,
    }


def _posting(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "at": _time(entry.posted_at),
        "kind": entry.kind.value,
        "purse": entry.account.value,
        "day": (date(1970, 1, 1) + timedelta(days=entry.day)).isoformat(),
        "server": _id(entry.guild_id),
        "request": entry.job_id,
        "granted": entry.granted,
        "reserved": entry.reserved,
        "spent": entry.spent,
    }


def _block(past: PastBlock) -> dict[str, Any]:
    block = past.block
    return {
        "server": str(block.guild_id),
        "reason": block.reason,
        "from": _time(block.blocked_at),
        "until": _time(block.ends_at),
        "lifted_at": _time(past.lifted_at),
    }


def _report(said: OwnReport) -> dict[str, Any]:
    return {
        "server": str(said.guild_id),
        "about": said.job_id,
        "reason": said.reason,
        "at": _time(said.reported_at),
    }


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.astimezone(UTC).isoformat()
