"""Converts rows of the database to values of the domain, and back."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any, overload

from bot.domain.delivery import DeliveryFault, OutboxEntry
from bot.domain.eta import DrawnJob
from bot.domain.image import StoredImage
from bot.domain.job import Job, JobId, JobStatus, NewJob, Origin, Parent, Place, Relation, ReplyTarget, Visibility
from bot.domain.language import Language
from bot.domain.moderation import Block
from bot.domain.request import GenerationRequest
from bot.domain.safety import Rating, Showing
from bot.messages import Message, from_json, to_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@overload
def to_micros(time: datetime) -> int: ...
@overload
def to_micros(time: datetime | None) -> int | None: ...
def to_micros(time: datetime | None) -> int | None:
    """Returns exact microseconds since 1970. Raises TypeError for a time without a zone."""
    return None if time is None else (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Returns the time that `to_micros` was given, in UTC."""
    return _EPOCH + micros * _MICROSECOND


def new_job_row(new: NewJob, job_id: JobId, now: datetime) -> dict[str, Any]:
    """Returns the columns of a job about to be inserted."""
    parent, reply, place = new.parent, new.reply, new.origin.place
    return {
        "id": job_id,
        "interaction_id": new.origin.interaction_id,
        "user_id": new.origin.user_id,
        "guild_id": new.origin.guild_id,
        "status": JobStatus.QUEUED,
        "request": json.dumps(new.request.to_dict(), ensure_ascii=False, allow_nan=False),
        "work": new.request.work,
        "channel_id": reply.channel_id,
        "message_id": reply.message_id,
        "application_id": reply.application_id,
        "token": reply.token,
        "token_expires_at": to_micros(reply.token_expires_at),
        "upload_limit": reply.upload_limit,
        "parent_id": parent.job_id if parent else None,
        "parent_relation": parent.relation if parent else None,
        "parent_image_index": parent.image_index if parent else None,
        "created_at": to_micros(now),
        "shown_at": None if reply.message_id is None else to_micros(now),
        "rating": new.showing.rating,
        "spoiler": int(new.showing.spoiler),
        "language": new.language,
        "visibility": new.visibility,
        "age_restricted": None if place is None else int(place.age_restricted),
        "parent_channel_id": None if place is None else place.parent_id,
    }


def job_from_row(row: sqlite3.Row) -> Job:
    """Returns the job of a row with all columns of `jobs`."""
    return Job(
        id=row["id"],
        status=JobStatus(row["status"]),
        request=GenerationRequest.from_dict(json.loads(row["request"])),
        origin=Origin(
            interaction_id=row["interaction_id"], user_id=row["user_id"], guild_id=row["guild_id"], place=_place(row)
        ),
        reply=_reply(row),
        parent=_parent(row),
        showing=Showing(rating=Rating(row["rating"]), spoiler=bool(row["spoiler"])),
        language=language_from(row["language"]),
        visibility=Visibility(row["visibility"]),
        attempt=row["attempt"],
        aborts=row["aborts"],
        failure=None if row["failure"] is None else from_json(row["failure"], row["failure_args"]),
        price=row["price"],
        paid=row["paid"],
        weight=row["weight"],
        created_at=from_micros(row["created_at"]),
        started_at=time_from_micros(row["started_at"]),
        finished_at=time_from_micros(row["finished_at"]),
        lease_until=time_from_micros(row["lease_until"]),
        shown_at=time_from_micros(row["shown_at"]),
        deleted_at=time_from_micros(row["deleted_at"]),
    )


def failure_row(failure: Message) -> dict[str, str]:
    """Returns the columns that say why a job failed."""
    return {"failure": failure.template, "failure_args": to_json(failure)}


def language_from(stored: str | None) -> Language | None:
    """Returns the language; None for English and for one that only another version speaks."""
    return Language(stored) if stored in set(Language) else None


def _place(row: sqlite3.Row) -> Place | None:
    """Returns where the job was asked for; None where that was not stored, or was forgotten."""
    if row["age_restricted"] is None or not row["channel_id"]:
        return None
    return Place(channel_id=row["channel_id"], parent_id=row["parent_channel_id"], age_restricted=bool(row["age_restricted"]))


def image_row(job_id: JobId, image: StoredImage) -> dict[str, Any]:
    """Returns the columns of a picture."""
    return {
        "job_id": job_id,
        "image_index": image.index,
        "key": image.key,
        "seed": image.seed,
        "width": image.width,
        "height": image.height,
        "parameters": image.parameters,
        "size_bytes": image.size_bytes,
        "rating": image.rating,
    }


def image_from_row(row: sqlite3.Row) -> StoredImage:
    """Returns the picture of a row with all columns of `images`."""
    return StoredImage(
        index=row["image_index"],
        key=row["key"],
        seed=row["seed"],
        width=row["width"],
        height=row["height"],
        parameters=row["parameters"],
        size_bytes=row["size_bytes"],
        rating=None if row["rating"] is None else Rating(row["rating"]),
    )


def drawn_from_row(row: sqlite3.Row) -> DrawnJob:
    """Returns how long a job took, from its times, pictures and work."""
    return DrawnJob(
        id=row["id"],
        started_at=from_micros(row["started_at"]),
        finished_at=from_micros(row["finished_at"]),
        pictures=row["pictures"],
        work=row["work"],
    )


def entry_from_row(row: sqlite3.Row) -> OutboxEntry:
    """Returns the entry of a row with all columns of `outbox`."""
    return OutboxEntry(
        job_id=row["job_id"],
        created_at=from_micros(row["created_at"]),
        next_attempt_at=from_micros(row["next_attempt_at"]),
        attempts=row["attempts"],
        post_started_at=time_from_micros(row["post_started_at"]),
        last_fault=DeliveryFault(row["last_fault"]) if row["last_fault"] else None,
        edits_only=bool(row["edits_only"]),
    )


def block_from_row(row: sqlite3.Row) -> Block:
    """A block out of all columns of `blocks`."""
    return Block(
        guild_id=row["guild_id"],
        user_id=row["user_id"],
        reason=row["reason"],
        blocked_by=row["blocked_by"],
        blocked_at=from_micros(row["blocked_at"]),
        ends_at=time_from_micros(row["ends_at"]),
    )


def _reply(row: sqlite3.Row) -> ReplyTarget:
    return ReplyTarget(
        channel_id=row["channel_id"],
        message_id=row["message_id"],
        application_id=row["application_id"],
        token=row["token"],
        token_expires_at=time_from_micros(row["token_expires_at"]),
        upload_limit=row["upload_limit"],
    )


def _parent(row: sqlite3.Row) -> Parent | None:
    if row["parent_id"] is None:
        return None
    return Parent(job_id=row["parent_id"], relation=Relation(row["parent_relation"]), image_index=row["parent_image_index"])


def time_from_micros(micros: int | None) -> datetime | None:
    """As `from_micros`; None stays None."""
    return None if micros is None else from_micros(micros)
