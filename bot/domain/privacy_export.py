"""A member's data as files: readable JSON, packed and divided only where Discord takes no file of that size.

Ids are texts, since readers of JSON in other languages round numbers beyond 2**53. Discord's secrets (tokens) and the ids of
other people are not among what is written.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from bot.domain.image import StoredImage
from bot.domain.job import JobId
from bot.domain.privacy import KeptJob, LedgerEntry, MemberData, OwnReport, PastBlock

FORMAT = 1
NAME = "pastel-data"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFile:
    """A file to hand out."""

    name: str
    data: bytes = field(repr=False)


def export_files(data: MemberData, max_bytes: int) -> tuple[ExportFile, ...]:
    """One JSON file; if that is too large, one zip file; if that is, several, each of which can be read by itself."""
    whole = _text(data, data, "all of it")
    if len(whole) <= max_bytes:
        return (ExportFile(name=f"{NAME}.json", data=whole),)
    files, parts, most = (_zipped(NAME, whole),), 1, len(data.jobs) + len(data.postings)
    while parts < most and max(len(file.data) for file in files) > max_bytes:
        parts = min(most, max(parts + 1, math.ceil(sum(len(file.data) for file in files) / max_bytes)))
        files = tuple(
            _zipped(f"{NAME}-{number}-of-{parts}", _text(part, data, f"{number} of {parts}"))
            for number, part in enumerate(_divided(data, parts), start=1)
        )
    return files


def to_values(data: MemberData, whole: MemberData) -> dict[str, Any]:
    """Plain values of a part of `whole`, for JSON."""
    own = frozenset(kept.job.id for kept in whole.jobs)
    return {
        "member": str(data.user_id),
        "first_seen_at": _time(data.first_seen_at),
        "defaults": None if data.defaults is None else asdict(data.defaults),
        "requests": [_job(kept, own) for kept in data.jobs],
        "credits": [_posting(entry) for entry in data.postings],
        "blocks": [_block(past) for past in data.blocks],
        "reports": [_report(said) for said in data.reports],
        "deletions_asked_for_at": [_time(when) for when in data.deletions],
    }


def _text(data: MemberData, whole: MemberData, part: str) -> bytes:
    values = {"pastel_member_data": FORMAT, "part": part, **to_values(data, whole)}
    return json.dumps(values, ensure_ascii=False, indent=1).encode()


def _zipped(name: str, text: bytes) -> ExportFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.json", text)
    return ExportFile(name=f"{name}.zip", data=buffer.getvalue())


def _divided(data: MemberData, parts: int) -> list[MemberData]:
    """What there may be much of is spread; the rest stands in every part, so that each explains itself."""
    return [
        replace(data, jobs=_share(data.jobs, part, parts), postings=_share(data.postings, part, parts)) for part in range(parts)
    ]


def _share(values: Sequence[T], part: int, parts: int) -> tuple[T, ...]:
    return tuple(values[len(values) * part // parts : len(values) * (part + 1) // parts])


def _job(kept: KeptJob, own: frozenset[JobId]) -> dict[str, Any]:
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
        else {"how": parent.relation.value, "id": parent.job_id if parent.job_id in own else None},
        "highest_rating": job.showing.rating.value,
        "hidden_behind_a_click": job.showing.spoiler,
        "why_it_failed": job.failure,
        "pictures": [_image(image) for image in kept.images],
    }


def _image(image: StoredImage) -> dict[str, Any]:
    return {
        "number": image.index + 1,
        "seed": image.seed,
        "width": image.width,
        "height": image.height,
        "bytes": image.size_bytes,
        "parameters": image.parameters,
    }


def _posting(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "at": _time(entry.posted_at),
        "kind": entry.kind.value,
        "purse": entry.purse.value,
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
