"""A member's data as files."""

from __future__ import annotations

import io
import json
import random
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.domain import privacy_export
from bot.domain.image import StoredImage
from bot.domain.job import Job, JobStatus, Parent, Relation
from bot.domain.language import Language
from bot.domain.moderation import Block
from bot.domain.preferences import Preferences
from bot.domain.privacy import REMOVED, KeptJob, LedgerEntry, MemberData, PastBlock
from bot.domain.privacy_export import ExportFile, ExportWriter
from bot.domain.quota import Account, EntryKind
from bot.messages import counted
from tests.examples import CHANNEL, GUILD, MEMBER, MESSAGE, job, reply, request
from tests.fakes import START

MODERATOR = 777_777_777
IMAGE = StoredImage(index=0, key="2026/01/x.png", seed=7, width=64, height=64, parameters="a cat\nSeed: 7", size_bytes=9)
POSTING = LedgerEntry(
    posted_at=START,
    kind=EntryKind.RESERVE,
    account=Account.DAILY,
    day=20_454,
    guild_id=GUILD,
    job_id="0123456789abcdef",
    granted=0,
    reserved=1,
    spent=0,
)


def data(*jobs: Job, **changes: Any) -> MemberData:
    kept = tuple(KeptJob(job=job, images=(IMAGE,)) for job in jobs)
    return replace(MemberData(user_id=MEMBER, first_seen_at=START, jobs=kept), **changes)


def export_files(page: MemberData, max_bytes: int) -> tuple[ExportFile, ...]:
    writer = ExportWriter(max_bytes)
    return (*writer.add(page), writer.finish())


def only(files: tuple[ExportFile, ...]) -> dict[str, Any]:
    (file,) = files
    assert file.name == "pastel-data.json"
    return json.loads(file.data)


def unpacked(file: ExportFile) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        (name,) = archive.namelist()
        return json.loads(archive.read(name))


def wordy(count: int) -> tuple[Job, ...]:
    """Jobs that cannot be packed much."""
    chance = random.Random(1)
    return tuple(job(id=f"{number:016x}", request=request(prompt=chance.randbytes(400).hex())) for number in range(count))


def test_a_request_is_told_with_everything_that_belongs_to_it() -> None:
    delivered = job(
        status=JobStatus.DELIVERED,
        request=request(prompt="a cat", negative_prompt="dogs", seed=7),
        started_at=START + timedelta(seconds=1),
        finished_at=START + timedelta(seconds=3),
        language=Language.JAPANESE,
        price=3,
    )

    (told,) = only(export_files(data(delivered), 10**6))["requests"]

    assert (told["status"], told["server"], told["channel"], told["message"]) == (
        "delivered",
        str(GUILD),
        str(CHANNEL),
        str(MESSAGE),
    )
    assert (told["request"]["prompt"], told["request"]["negative_prompt"], told["request"]["seed"]) == ("a cat", "dogs", 7)
    assert (told["asked_at"], told["ended_at"]) == ("2026-01-01T12:00:00+00:00", "2026-01-01T12:00:03+00:00")
    assert (told["price"], told["language"], told["visible_to"], told["why_it_failed"]) == (3, "ja", "public", None)
    assert told["pictures"] == [
        {"number": 1, "seed": 7, "width": 64, "height": 64, "bytes": 9, "parameters": "a cat\nSeed: 7", "rating": None}
    ]


def test_why_it_failed_is_told_in_english() -> None:
    failed = job(status=JobStatus.FAILED, failure=counted("{count} step failed.", "{count} steps failed.", 2))

    (told,) = only(export_files(data(failed), 10**6))["requests"]

    assert told["why_it_failed"] == "2 steps failed."


def test_defaults_credits_blocks_and_deletions_are_told() -> None:
    block = Block(guild_id=GUILD, user_id=MEMBER, reason="flood", blocked_by=MODERATOR, blocked_at=START)

    told = only(
        export_files(
            data(
                defaults=Preferences(style="pastel"),
                postings=(POSTING,),
                blocks=(PastBlock(block=block),),
                deletions=(START,),
            ),
            10**6,
        )
    )

    assert told["defaults"]["style"] == "pastel"
    assert (told["credits"][0]["reserved"], told["credits"][0]["day"]) == (1, "2026-01-01")
    assert (told["blocks"][0]["reason"], told["blocks"][0]["until"]) == ("flood", None)
    assert told["deletions_asked_for_at"] == ["2026-01-01T12:00:00+00:00"]


def test_neither_tokens_nor_other_people_are_in_it() -> None:
    foreign, own = Parent(job_id="f" * 16, relation=Relation.REMIX), Parent(job_id="1" * 16, relation=Relation.REROLL)
    block = Block(guild_id=GUILD, user_id=MEMBER, reason="flood", blocked_by=MODERATOR, blocked_at=START)
    jobs = (
        job(id="1" * 16, reply=reply(token="secret-token"), parent=foreign),
        job(id="2" * 16, parent=own),
    )
    kept = tuple(KeptJob(job=each, came_of_own=each.parent == own) for each in jobs)

    (file,) = export_files(data(blocks=(PastBlock(block=block),), jobs=kept), 10**6)

    text = file.data.decode()
    assert "secret-token" not in text
    assert "f" * 16 not in text
    assert str(MODERATOR) not in text
    first, second = json.loads(text)["requests"]
    assert first["came_of"] == {"how": "remix", "id": None}
    assert second["came_of"] == {"how": "reroll", "id": "1" * 16}


def test_what_was_removed_is_said_to_be() -> None:
    gone = KeptJob(job=job(request=REMOVED), removed_at=START)

    (told,) = only(export_files(replace(data(), jobs=(gone,)), 10**6))["requests"]

    assert told["request"] is None
    assert told["words_removed_at"] == "2026-01-01T12:00:00+00:00"


def test_what_is_too_large_is_packed() -> None:
    jobs = tuple(job(id=f"{number:016x}") for number in range(50))

    (file,) = export_files(data(*jobs), 10_000)

    assert file.name == "pastel-data.zip"
    assert len(file.data) <= 10_000
    assert len(unpacked(file)["requests"]) == 50


def test_what_is_still_too_large_comes_in_parts_of_which_nothing_is_missing() -> None:
    jobs = wordy(60)
    postings = tuple(replace(POSTING, job_id=each.id) for each in jobs)

    files = export_files(data(*jobs, postings=postings), 12_000)

    assert len(files) > 2
    assert all(len(file.data) <= 12_000 for file in files)
    parts = [unpacked(file) for file in files]
    assert [told["id"] for part in parts for told in part["requests"]] == [each.id for each in jobs]
    assert sum(len(part["credits"]) for part in parts) == 60
    assert [file.name for file in files] == [f"pastel-data-{n}.zip" for n in range(1, len(files) + 1)]
    assert [part["part"] for part in parts[:2]] == ["1", "2"]
    assert [str(file.part) for file in files[-2:]] == [f"Part {len(files) - 1}", f"Part {len(files)}, the last one"]
    assert all(part["member"] == str(MEMBER) for part in parts)


def test_pages_make_the_same_file_as_all_at_once() -> None:
    jobs = wordy(30)
    whole = data(*jobs, defaults=Preferences(style="pastel"), postings=(POSTING,), deletions=(START,))
    writer = ExportWriter(10**6)
    pages = (replace(data(), defaults=whole.defaults), data(*jobs[:10]), data(*jobs[10:]), data(postings=whole.postings))

    for page in (*pages, data(deletions=whole.deletions)):
        assert list(writer.add(page)) == []

    assert [writer.finish()] == list(export_files(whole, 10**6))


def test_a_part_is_bounded_however_well_it_could_be_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy_export, "MAX_TEXT_BYTES", 20_000)
    jobs = tuple(job(id=f"{number:016x}", request=request(prompt="a" * 1500)) for number in range(60))
    writer = ExportWriter(50_000)

    sizes = [len(json.dumps(unpacked(file))) for file in writer.add(data(*jobs))]

    assert len(sizes) > 4
    assert max(sizes) < 25_000


def test_a_limit_that_nothing_fits_into_ends_all_the_same() -> None:
    assert len(export_files(data(*wordy(3)), 10)) == 3
