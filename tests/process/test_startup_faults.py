"""A bot that cannot start: one line names the cure, within 10 s, and Discord hears nothing where that can be."""

import asyncio
import os
import shutil
import sqlite3
import time

import pytest

LIMIT = 10.0  # seconds, of the contract; an interpreter of its own with all imports is what is measured


async def ended(house, **changes):
    """Start the bot, wait for its end, and return exit code, lines on stderr and seconds."""
    begun = time.monotonic()
    bot = await house.start(connected=False, **changes)
    status = await bot.wait(LIMIT)
    return status, house.log.splitlines(), time.monotonic() - begun


def identified(house):
    return list(house.local.journal.of("gateway", "identify"))


def contacted(house):
    return list(house.local.journal.of("request"))


def break_the_database(house):
    house.database.write_bytes(b"not a database at all" * 300)


def fill_it_with_another_programs_tables(house):
    with sqlite3.connect(house.database) as database:
        database.execute("CREATE TABLE somebody_elses (x)")
    database.close()


def take_the_weights_away(house):
    (house.data / "models" / "tiny-test").unlink()


def cut_the_weights_off(house):
    model = house.data / "models" / "tiny-test"
    whole = model.resolve()
    model.unlink()
    shutil.copytree(whole, model)
    unet = next((model / "unet").glob("*.safetensors"))
    unet.write_bytes(unet.read_bytes()[:-100])


def put_a_file_in_the_way(house):
    (house.folder / "file").write_text("")


BEFORE_DISCORD = [
    ("no token", None, {"DISCORD_TOKEN": None}, "DISCORD_TOKEN"),
    ("a token of the wrong shape", None, {"DISCORD_TOKEN": "hunter2"}, "DISCORD_TOKEN"),
    ("an unknown model", None, {"MODEL": "no-such-model"}, "no-such-model"),
    ("missing weights", take_the_weights_away, {}, "tiny-test"),
    ("weights that were cut off", cut_the_weights_off, {}, "unet"),
    ("a damaged database", break_the_database, {}, "pastel.db"),
    ("another program's database", fill_it_with_another_programs_tables, {}, "pastel.db"),
    ("a folder that cannot be made", put_a_file_in_the_way, {"DATA_DIR": "file/data"}, "DATA_DIR"),
]


@pytest.mark.parametrize(("fault", "prepare", "changes", "named"), BEFORE_DISCORD, ids=[row[0] for row in BEFORE_DISCORD])
async def test_a_fault_that_can_be_known_before_ends_the_process_without_a_word_to_discord(
    house, fault, prepare, changes, named
):
    if prepare:
        prepare(house)

    status, lines, _ = await ended(house, **changes)

    assert status not in (0, 1), "the exit code says what kind of fault it was"
    assert len(lines) == 1, lines
    assert named in lines[0]
    assert lines[0].startswith("pastel: ")
    assert "hunter2" not in lines[0]
    assert contacted(house) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_is_named(house):
    house.data.chmod(0o500)
    status, lines, _ = await ended(house)
    house.data.chmod(0o700)

    assert (status, len(lines)) == (73, 1)
    assert contacted(house) == []


async def test_a_refused_token_ends_the_process_before_the_gateway(house):
    status, lines, _ = await ended(house, DISCORD_TOKEN="MTIzNDU2Nzg5MDEyMzQ1.wrong1.this-token-is-nobodys-at-all")

    assert status == 77
    assert len([line for line in lines if line.startswith("pastel: ")]) == 1
    assert "DISCORD_TOKEN" in lines[-1]
    assert "Traceback" not in "\n".join(lines)
    assert "this-token-is-nobodys" not in "\n".join(lines)
    assert identified(house) == []


async def test_two_bots_on_one_folder_are_refused(house):
    await house.start()
    second = await house.zygote.fork(house.local.origin, ["run"], env=house.environment(), cwd=house.folder)

    assert await second.wait(LIMIT) == 73
    assert len(identified(house)) == 1


async def test_a_fresh_interpreter_tells_of_all_wrong_settings_at_once_and_within_10_s(house):
    begun = time.monotonic()
    bot = await house.start_fresh("run", connected=False, DISCORD_TOKEN=None, HTTP_PORT="many", DEVICE="toaster")
    status = await bot.wait(LIMIT)

    assert status == 78
    assert time.monotonic() - begun < LIMIT
    assert sorted(line.split()[1] for line in house.log.splitlines()) == ["DEVICE", "DISCORD_TOKEN", "HTTP_PORT"]
    assert contacted(house) == []


async def test_discord_out_of_reach_ends_the_process_with_one_line(house):
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    async with server:
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        bot = await house.zygote.fork(origin, ["run"], env=house.environment(), cwd=house.folder)
        status = await bot.wait(15)

    assert status == 69
    told = [line for line in (house.folder / "bot.err").read_text().splitlines() if line.startswith("pastel: ")]
    assert len(told) == 1
