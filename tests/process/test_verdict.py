"""The judge itself: an honest history passes, and each broken promise is found."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.local_discord.interactions import COMMAND, DEFER, MESSAGE, Interaction
from tests.local_discord.messages import EPHEMERAL, LOADING, Attachment, Message, State
from tests.local_discord.world import TEXT, Channel, User
from tests.process.campaign_judge import CampaignRecord, judge

JOB = "0123456789abcdef"
KEY = f"{JOB}/0.png"
START_KEY = "uploads/start.png"
START = datetime(2026, 1, 1, tzinfo=UTC)


def state(second, text, *, pictures=False, action="reroll"):
    files = (Attachment(1, f"pastel-{JOB}-1.png", "http://x", b"png"),) if pictures else ()
    button = {"type": 2, "label": action, "style": 1, "custom_id": f"pastel:{action}:{JOB}"}
    components = [{"type": 10, "content": text}, {"type": 1, "components": [button]}]
    return State(START + timedelta(seconds=second), "", components, files, 0)


def message(number, *states):
    return Message(number, Channel(1, TEXT, guild_id=2), interaction_id=10, states=list(states))


def honest():
    """One delivered job that began from a picture: what each test breaks in one place."""
    queued, shown = state(0, "queued", action="cancel"), state(1, "done", pictures=True)
    request = json.dumps({"init_image": {"key": START_KEY}})
    job = {"id": JOB, "interaction_id": 10, "status": "delivered", "failure": None, "deleted_at": None, "request": request}
    job["paid"], job["shown_at"] = 1, 1
    ledger = [
        {"job_id": JOB, "kind": "reserve", "reserved": 1, "spent": 0},
        {"job_id": JOB, "kind": "charge", "reserved": -1, "spent": 1},
    ]
    outbox = [{"job_id": JOB, "closed_at": 1}]
    return [job], ledger, outbox, [{"key": KEY}], {KEY, START_KEY}, [message(1, queued, shown)]


def judged(jobs, ledger, outbox, images, files, messages):
    return judge(CampaignRecord(jobs, ledger, outbox, images, frozenset(files)), messages)


def test_an_honest_history_passes():
    assert judged(*honest()) == []


def lose_the_job(jobs, ledger, outbox, images, files, messages):
    jobs.clear(), ledger.clear(), outbox.clear(), images.clear(), files.clear()


def leave_it_running(jobs, *_):
    jobs[0]["status"] = "running"


def forget_the_outbox(jobs, ledger, outbox, *_):
    outbox.clear()


def show_it_twice(*parts):
    parts[-1].append(message(2, state(2, "done", pictures=True)))


def show_it_twice_for_a_moment(*parts):
    parts[-1].append(message(2, state(2, "done", pictures=True), State(START + timedelta(seconds=3), "", None, (), 0)))


def never_show_it(*parts):
    del parts[-1][0].states[1]


def charge_it_twice(jobs, ledger, *_):
    ledger.append({"job_id": JOB, "kind": "charge", "reserved": 0, "spent": 1})


def say_another_price(jobs, *_):
    jobs[0]["paid"] = 2


def fail_it_without_a_word(jobs, ledger, *rest):
    jobs[0] |= {"status": "failed", "failure": "The GPU is lost.", "failure_args": None, "paid": 0}
    ledger[1] |= {"kind": "refund", "spent": 0}
    rest[-1][0].states[1] = state(1, "done")


def leave_a_file(jobs, ledger, outbox, images, files, messages):
    files.add("stray.png")


def forget_what_it_starts_from(jobs, ledger, outbox, images, files, messages):
    files.remove(START_KEY)


def keep_the_start_of_a_deleted_job(jobs, *_):
    jobs[0]["deleted_at"] = 1


def drop_a_file(jobs, ledger, outbox, images, files, messages):
    files.clear()


@pytest.mark.parametrize(
    ("breach", "finding"),
    [
        (lose_the_job, "lost"),
        (leave_it_running, "running for ever"),
        (forget_the_outbox, "never shown"),
        (show_it_twice, "2 messages at once"),
        (show_it_twice_for_a_moment, "2 messages at once"),
        (never_show_it, "0 messages show its pictures"),
        (charge_it_twice, "has the postings"),
        (say_another_price, "cost 1"),
        (fail_it_without_a_word, "no message says why"),
        (leave_a_file, "belongs to no picture"),
        (drop_a_file, "has no file"),
        (forget_what_it_starts_from, "has no file"),
        (keep_the_start_of_a_deleted_job, "no job starts from it"),
    ],
)
def test_each_broken_promise_is_found(breach, finding):
    parts = honest()
    breach(*parts)

    assert any(finding in line for line in judged(*parts)), judged(*parts)


def asked(answer, original=None):
    it = Interaction(10, COMMAND, User(5, "ann"), Channel(1, TEXT, guild_id=2), {}, START)
    it.answer, it.original = answer, original
    return it


def judged_with(interaction, jobs, ledger, outbox, images, files, messages):
    return judge(CampaignRecord(jobs, ledger, outbox, images, frozenset(files)), messages, [interaction])


def thinking():
    return Message(9, Channel(1, TEXT, guild_id=2), interaction_id=10, states=[State(START, "", [], (), LOADING)])


def test_whoever_was_answered_has_their_end():
    parts = honest()

    assert judged_with(asked(MESSAGE, parts[-1][0]), *parts) == []


def test_a_message_that_thinks_for_ever_is_found():
    *parts, messages = honest()
    lose_the_job(*parts, messages)

    found = judged_with(asked(DEFER, thinking()), *parts, [])

    assert found == ["interaction 10 was answered, and its message still says that it is thinking"]


def test_a_card_without_a_job_is_found():
    *parts, messages = honest()
    card = messages[0]
    lose_the_job(*parts, messages)

    assert any("there is no job of it" in line for line in judged_with(asked(MESSAGE, card), *parts, []))


def test_a_job_that_nobody_was_shown_must_be_cancelled_and_cost_nothing():
    jobs, ledger, outbox, images, files, _ = honest()
    assert any("was shown no job" in line for line in judged_with(asked(None), jobs, ledger, outbox, images, files, []))

    cancelled = [{**jobs[0], "status": "cancelled", "paid": 0}]
    ledger = [ledger[0], {"job_id": JOB, "kind": "refund", "reserved": -1, "spent": 0}]
    assert judged_with(asked(None), cancelled, ledger, outbox, [], {START_KEY}, []) == []
    assert any("costs 1" in line for line in judged_with(asked(None), cancelled, ledger[:1], outbox, [], {START_KEY}, []))


def test_whoever_was_only_asked_for_patience_has_nothing_to_pay_and_no_card():
    jobs, ledger, outbox, *_, messages = honest()
    patience = Message(9, Channel(1, TEXT, guild_id=2), interaction_id=10, states=[State(START, "Slow.", [], (), EPHEMERAL)])
    jobs = [{**jobs[0], "shown_at": None, "status": "cancelled", "paid": 0}]
    refunded = [ledger[0], {"job_id": JOB, "kind": "refund", "reserved": -1, "spent": 0}]

    assert judged_with(asked(MESSAGE, patience), jobs, refunded, outbox, [], {START_KEY}, [patience]) == []
    assert any("costs 1" in line for line in judged_with(asked(MESSAGE, patience), jobs, ledger, outbox, [], {START_KEY}, []))
    assert any("was posted" in line for line in judged_with(asked(MESSAGE, patience), jobs, refunded, outbox, [], [], messages))


def test_a_card_posted_for_nobody_is_found():
    jobs, ledger, outbox, images, files, messages = honest()

    found = judged_with(asked(None), jobs, ledger, outbox, images, files, messages)

    assert any("was posted" in line for line in found)
