"""Measures what the update of a large file takes: `python -m tests.storage.measure_migration [MiB] [from schema]`.

It builds a file as a busy server leaves it, updates it in another process and prints seconds, the most that its folder held
beyond the file itself, and the most memory. Everything lies in a temporary folder, which goes with the end.
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bot.storage.connection import connect_writer
from bot.storage.migrator import load_migrations, migrate
from bot.storage.rows import to_micros
from tests.storage.samples import NOW, request

MIB = 1024 * 1024
PORTION = 2_000  # jobs that are written between two looks at the file's size
MEMBERS, SERVERS = 3_000, 40
PICTURES = 4
WORDS = ("1girl", "solo", "green hair", "beanie", "night", "city lights", "looking at viewer", "smile", "cowboy shot", "rain")

JOB = """--sql
INSERT INTO jobs (
    id, interaction_id, user_id, guild_id, status, request, work, channel_id, message_id, application_id, upload_limit,
    parent_id, parent_relation, parent_image_index, attempt, failure, paid, created_at, shown_at, started_at, finished_at
)
VALUES (
    :id, :number, :user_id, :guild_id, :status, :request, :work, 300, :number, 400, 10485760,
    :parent_id, :relation, :parent_image, 1, :failure, :paid, :now, :now, :now, :now
)
"""
IMAGE = "INSERT INTO images VALUES (:id, :index, '2026/11/' || :id || '-1-' || :index || '.png', 1, 1024, 1024, :text, 1500000)"
ENTRY = (
    "INSERT INTO outbox (job_id, created_at, next_attempt_at, closed_at, outcome) VALUES (:id, :now, :now, :now, 'delivered')"
)
POST = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, job_id, reserved, spent, posted_at)
VALUES (:user_id, :guild_id, 'daily', 20780, :kind, :id, :reserved, :spent, :now)
"""
SUMS = """--sql
INSERT INTO purse_totals (user_id, guild_id, purse, day, granted, reserved, spent)
SELECT user_id, guild_id, purse, day, SUM(granted), SUM(reserved), SUM(spent) FROM ledger GROUP BY user_id, guild_id, purse, day
"""
DAYS = (
    "INSERT INTO day_totals (user_id, day, used) SELECT user_id, day, SUM(reserved + spent) FROM ledger GROUP BY user_id, day"
)


def jobs(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yields jobs that ended: one in ten failed, one in five came out of another, one in twenty is an upscale."""
    number, earlier = 1 << 40, None
    while True:
        number += 1
        prompt = ", ".join(chance.choices(WORDS, k=30)) + f", {chance.randbytes(20).hex()}"
        wish = request(prompt=prompt, negative_prompt=", ".join(WORDS), num_images=PICTURES).to_dict()
        relation = chance.choices((None, "reroll", "variation", "upscale"), (80, 10, 5, 5))[0] if earlier else None
        if relation == "upscale":
            wish["init_image"] = {"key": f"2026/11/{earlier}-1-0.png", "strength": 0.35, "drawn_here": True}
        failed = chance.random() < 0.1
        job_id = f"{chance.getrandbits(64):016x}"
        yield {
            "id": job_id,
            "number": number,
            "user_id": 1 + chance.randrange(MEMBERS),
            "guild_id": 1 + chance.randrange(SERVERS),
            "status": "failed" if failed else "delivered",
            "failure": "It did not work." if failed else None,
            "paid": 0 if failed else PICTURES,
            "request": json.dumps(wish),
            "work": 117.4,
            "parent_id": earlier if relation else None,
            "relation": "variation" if relation == "upscale" else relation,
            "parent_image": 0 if relation in {"variation", "upscale"} else None,
            "now": to_micros(NOW) + number,
            "text": f"{prompt}\nNegative prompt: {', '.join(WORDS)}\nSteps: 28, Sampler: DPM++ 2M Karras, Size: 1024x1024",
        }
        earlier = job_id


def write(connection: sqlite3.Connection, portion: list[dict[str, Any]]) -> None:
    drawn = [job for job in portion if not job["failure"]]
    connection.execute("BEGIN")
    connection.executemany(JOB, portion)
    connection.executemany(ENTRY, portion)
    connection.executemany(IMAGE, [{**job, "index": index} for job in drawn for index in range(PICTURES)])
    for kind, sign in (("reserve", 1), ("charge", -1)):
        spent = PICTURES if kind == "charge" else 0
        connection.executemany(POST, [{**job, "kind": kind, "reserved": sign * PICTURES, "spent": spent} for job in drawn])
    failed = [job for job in portion if job["failure"]]
    for kind, sign in (("reserve", 1), ("refund", -1)):
        connection.executemany(POST, [{**job, "kind": kind, "reserved": sign * PICTURES, "spent": 0} for job in failed])
    connection.execute("COMMIT")


def build(path: Path, size: int, version: int) -> int:
    """Write the file, without what triggers do for each row; returns how many jobs it has."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, load_migrations()[:version])
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.executemany("INSERT INTO users VALUES (?, 1)", [(user,) for user in range(1, MEMBERS + 1)])
        connection.executemany("INSERT INTO guilds VALUES (?, 1)", [(guild,) for guild in range(1, SERVERS + 1)])
        made, source = 0, jobs(random.Random(17))
        while path.stat().st_size < size:
            write(connection, [next(source) for _ in range(PORTION)])
            made += PORTION
        connection.execute(SUMS)
        connection.execute(DAYS)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def held(folder: Path) -> int:
    """Returns the bytes of all files in the folder; one may go between two looks."""
    sizes: list[int] = []
    for file in folder.iterdir():
        try:
            sizes.append(file.stat().st_size)
        except FileNotFoundError:
            continue
    return sum(sizes)


def update(path: Path) -> tuple[float, int, int]:
    """Returns seconds, the most bytes beyond the file, and the most memory in bytes (ru_maxrss is in KiB on Linux)."""
    before, most, began = path.stat().st_size, 0, time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", __spec__.name, "update", str(path)])
    while process.poll() is None:
        most = max(most, held(path.parent) - before)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.monotonic() - began, most, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["update"]:
        connect_writer(Path(arguments[1]), load_migrations()).close()
        return
    size = int(arguments[0]) if arguments else 1024
    version = int(arguments[1]) if len(arguments) > 1 else len(load_migrations()) - 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pastel.db"
        made = build(path, size * MIB, version)
        print(f"{path.stat().st_size / MIB:.0f} MiB with {made:,} jobs, of schema {version}")
        seconds, most, memory = update(path)
        print(
            f"{seconds:.1f} s; at most {most / MIB:.0f} MiB more on the disk and {memory / MIB:.0f} MiB of memory; "
            f"the file is {path.stat().st_size / MIB:.0f} MiB then"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
