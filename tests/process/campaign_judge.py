"""The judge of a campaign: reads what was visible and what the database says, and lists every broken promise."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.messages import from_json
from tests.local_discord.interactions import DEFER, MESSAGE, Interaction
from tests.local_discord.messages import Message, State

Row = Mapping[str, Any]
PICTURE = re.compile(r"pastel-([0-9a-f]{16})-\d+\.\w+")
ROUTING = re.compile(r"pastel:(\w+):([0-9a-f]{16})")
FINAL = {"delivered", "failed", "cancelled", "undeliverable"}
POSTINGS: dict[str, tuple[set[str], ...]] = {
    "delivered": ({"reserve", "charge"},),
    "failed": (
        {"reserve", "refund"},
        {"reserve", "charge"},
        {"reserve", "charge", "refund"},
    ),  # charged: withheld once too often
    "cancelled": ({"reserve", "refund"}, {"reserve", "charge"}, {"reserve", "charge", "refund"}),  # charged: steps taken
    "undeliverable": ({"reserve", "charge", "refund"},),
}
COSTS = {"succeeded": (True,), "delivered": (True,), "failed": (True, False), "cancelled": (True, False)}


@dataclass(frozen=True)
class CampaignRecord:
    """The database's rows, and the names of the stored picture files."""

    jobs: Sequence[Row]
    ledger: Sequence[Row]
    outbox: Sequence[Row]
    images: Sequence[Row]
    files: frozenset[str]

    @classmethod
    def read(cls, database: Path, images: Path) -> CampaignRecord:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            tables = ("jobs", "ledger", "outbox", "images")
            rows = [[dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables]
        files = frozenset(str(path.relative_to(images)) for path in images.rglob("*") if path.is_file())
        return cls(*rows, files)


def judge(books: CampaignRecord, messages: Sequence[Message], interactions: Sequence[Interaction] = ()) -> list[str]:
    """Every broken promise, a line each; empty when all were kept."""
    unshown = _unshown(books, interactions)
    return [
        *_lost(books, messages),
        *_left_alone(books, interactions, unshown),
        *_unfinished(books),
        *_shown_twice(messages),
        *_shown_wrongly(books, messages, unshown),
        *_money(books),
        *_stray_files(books),
    ]


def sound(database: Path) -> list[str]:
    """What SQLite itself finds; also whether anybody still holds a transaction open. The bot may be running, idle."""
    problems: list[str] = []
    with closing(sqlite3.connect(database, timeout=2, isolation_level=None)) as connection:
        for pragma in ("integrity_check", "foreign_key_check"):
            found = [row for row in connection.execute(f"PRAGMA {pragma}") if row[0] != "ok"]
            problems += [f"{pragma}: {row}" for row in found]
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            problems.append(f"a writing transaction is open: {error}")
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            problems.append("a reading transaction is open: the log cannot be reset")
    return problems


def pictures_of(state: State) -> set[str]:
    """The jobs whose finished pictures this state shows."""
    return {match[1] for file in state.attachments if (match := PICTURE.fullmatch(file.name))}


def jobs_named(state: State) -> set[str]:
    """The jobs that a state's buttons or pictures belong to."""
    return {match[2] for button in state.buttons if (match := ROUTING.fullmatch(button["custom_id"]))} | pictures_of(state)


def _lost(books: CampaignRecord, messages: Sequence[Message]) -> Iterator[str]:
    known = {job["id"] for job in books.jobs}
    for message in messages:
        for job in set().union(*(jobs_named(state) for state in message.states)) - known:
            yield f"job {job} was shown in message {message.id} and is not in the database: lost"


def _unshown(books: CampaignRecord, interactions: Sequence[Interaction]) -> frozenset[int]:
    """Interactions whose member was shown no job: they got no answer, or only the sentence that it is slow just now and that
    nothing was taken unless a card appears.
    """
    not_known_as_shown = {job["interaction_id"] for job in books.jobs if job["shown_at"] is None}
    whispered = {it.id for it in interactions if it.original and it.original.ephemeral and not it.original.loading}
    return frozenset(it.id for it in interactions if it.answer is None) | (whispered & not_known_as_shown)


def _left_alone(books: CampaignRecord, interactions: Sequence[Interaction], unshown: frozenset[int]) -> Iterator[str]:
    """Whoever got any answer has the end on that answer's own message; who was shown no job has nothing to pay."""
    jobs = {job["interaction_id"]: job for job in books.jobs}
    spent: Counter[str] = Counter()
    for posting in books.ledger:
        spent[posting["job_id"]] += posting["spent"] + posting["reserved"]
    for it in interactions:
        job, first = jobs.get(it.id), it.original if it.answer in (MESSAGE, DEFER) else None
        if it.id in unshown and job is not None and (job["status"] != "cancelled" or spent[job["id"]]):
            yield f"job {job['id']} is {job['status']} and costs {spent[job['id']]}, though its member was shown no job"
        if first is not None and first.loading and not first.deleted:
            yield f"interaction {it.id} was answered, and its message still says that it is thinking"
        if first is not None and job is None and not first.ephemeral and not first.deleted and first.now.buttons:
            yield f"interaction {it.id} was answered with a card, and there is no job of it"


def _unfinished(books: CampaignRecord) -> Iterator[str]:
    closed = {entry["job_id"] for entry in books.outbox if entry["closed_at"] is not None}
    for job in books.jobs:
        if job["status"] not in FINAL:
            yield f"job {job['id']} is {job['status']} for ever"
        elif job["id"] not in closed:
            yield f"job {job['id']} is {job['status']}, but its card was never shown"


def _shown_twice(messages: Sequence[Message]) -> Iterator[str]:
    """Replays every state in order and counts, for each job, the messages that show its pictures at that moment."""
    steps = ((state.at, number, message.id, state) for message in messages for number, state in enumerate(message.states))
    shows: dict[int, set[str]] = {}
    count: Counter[str] = Counter()
    for _, _, message_id, state in sorted(steps, key=lambda step: step[:3]):
        count.subtract(shows.get(message_id, set()))
        shows[message_id] = pictures_of(state)
        count.update(shows[message_id])
        for job in shows[message_id]:
            if count[job] > 1:
                yield f"job {job} shows its pictures in {count[job]} messages at once"


def _shown_wrongly(books: CampaignRecord, messages: Sequence[Message], unshown: frozenset[int]) -> Iterator[str]:
    """The last look of each job's messages fits what the database says."""
    cards: dict[str, list[Message]] = defaultdict(list)
    by_interaction = {job["interaction_id"]: job["id"] for job in books.jobs}
    for message in messages:
        mine = {by_interaction[message.interaction_id]} if message.interaction_id in by_interaction else set()
        for job in mine | set().union(*(jobs_named(state) for state in message.states)):
            if not message.ephemeral:
                cards[job].append(message)
    for job in books.jobs:
        mine_now = [message.now for message in cards[job["id"]] if not message.deleted]
        removed = [message.states[-2] for message in cards[job["id"]] if message.deleted]
        if job["interaction_id"] in unshown and (mine_now or removed):
            yield f"job {job['id']} was posted, though its member was shown no job"
        elif job["interaction_id"] not in unshown:
            yield from _wrong_card(job, mine_now, removed)


def _wrong_card(job: Row, cards: list[State], removed: list[State]) -> Iterator[str]:
    """`removed` are the last looks of cards that somebody deleted by hand."""
    name, status = f"job {job['id']} is {job['status']}", job["status"]
    with_pictures = sum(job["id"] in pictures_of(card) for card in cards)
    wanted = int(status == "delivered" and job["deleted_at"] is None)
    if with_pictures != wanted and not (with_pictures == 0 and any(job["id"] in pictures_of(card) for card in removed)):
        yield f"{name}, and {with_pictures} messages show its pictures"
    if any(button["custom_id"].startswith("pastel:cancel:") for card in cards for button in card.buttons):
        yield f"{name}, and a card still offers Cancel"
    if status == "failed" and not any(_plain(_failure(job)) in _plain(card.text) for card in (*cards, *removed)):
        yield f"{name}, and no message says why: {_failure(job)!r}"
    if status == "cancelled" and not any("Cancelled" in card.text for card in (*cards, *removed)):
        yield f"{name}, and no message says so"


def _failure(job: Row) -> str:
    """Returns why the job failed, in English and with its values, as its card says it."""
    return str(from_json(job["failure"], job["failure_args"]))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _money(books: CampaignRecord) -> Iterator[str]:
    kinds: dict[str, list[str]] = defaultdict(list)
    reserved: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    for posting in books.ledger:
        kinds[posting["job_id"]].append(posting["kind"])
        reserved[posting["job_id"]] += posting["reserved"]
        spent[posting["job_id"]] += posting["spent"]
    for job in books.jobs:
        wanted = POSTINGS.get(job["status"])
        if wanted is not None and sorted(kinds[job["id"]]) not in map(sorted, wanted):
            yield f"job {job['id']} is {job['status']} and has the postings {kinds[job['id']]}"
        if wanted is not None and reserved[job["id"]]:
            yield f"job {job['id']} ended and still reserves {reserved[job['id']]}"
        if (spent[job["id"]] > 0) not in COSTS.get(job["status"], (False,)) or (job["paid"] or 0) != spent[job["id"]]:
            yield f"job {job['id']} is {job['status']} and cost {spent[job['id']]}"


def _stray_files(books: CampaignRecord) -> Iterator[str]:
    starts = (json.loads(job["request"])["init_image"] for job in books.jobs if job["deleted_at"] is None)
    own = {
        start["key"] for start in starts if start and not start.get("drawn_here")
    }  # an upscale starts from another's picture
    keys = {image["key"] for image in books.images} | own
    for key in keys - books.files:
        yield f"picture {key} has no file"
    for name in books.files - keys:
        yield f"file {name} belongs to no picture and no job starts from it"
