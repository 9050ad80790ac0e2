"""Any order of calls: the database does what small models predict, and its invariants hold after each call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, product
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.domain.delivery import DeliveryFault
from bot.domain.job import MAX_ATTEMPTS, Job, JobStatus
from bot.domain.quota import Grant, Limits, StepsTaken, day_of
from bot.errors import NotFoundError, QuotaError
from bot.storage.database import Database
from tests.empty_database import begin_at
from tests.storage.account_model import AccountModel, Bill
from tests.storage.fair_model import FairModel
from tests.storage.samples import LEASE, NOW, REASON, Store, assert_sound, images, memory_folder, new_job

T = TypeVar("T")

MODERATOR = 900
NOTHING = Limits(daily_credits=0, waiting_jobs=0, operator_credits=0)
LIMITS = st.builds(
    Limits,
    daily_credits=st.none() | st.integers(0, 6),
    waiting_jobs=st.none() | st.integers(1, 5),
    operator_credits=st.none() | st.integers(3, 12),
    weight=st.sampled_from((1.0, 0.5, 4.0)),
)
users = st.integers(1, 3)
servers = st.sampled_from((200, 201))
guilds = st.none() | servers
picks = st.integers(0, 1_000)
lags = st.sampled_from([0, 0, 0, 1, -1])  # how far an attempt is from the one that holds the job


@dataclass
class Model:
    """What a job should be like."""

    job: Job
    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0
    aborts: int = 0
    lease_until: datetime = NOW
    is_open: bool = False
    retries: int = 0
    post_started_at: datetime | None = None
    wants: datetime = NOW

    def end(self, status: JobStatus, now: datetime) -> None:
        self.status, self.is_open, self.wants = status, True, now

    def close(self, status: JobStatus) -> None:
        self.is_open = False
        if self.status is JobStatus.SUCCEEDED:
            self.status = status


class Repository(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.path = begin_at(self.closing.enter_context(memory_folder()) / "pastel.db")
        self.runner = self.closing.enter_context(asyncio.Runner())
        self.now = NOW
        self.models: dict[str, Model] = {}
        self.fair = FairModel()
        self.purses = AccountModel()
        self.interactions = count(1)
        self.open()

    def open(self) -> None:
        self.opened = Database.open(self.path)
        self.store = Store.over(self.run(self.opened.__aenter__()))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def pick(self, number: int) -> Model:
        return list(self.models.values())[number % len(self.models)]

    def teardown(self) -> None:
        self.run(self.opened.__aexit__(None, None, None))
        self.closing.close()

    @rule(user_id=users, guild_id=guilds, num_images=st.integers(1, 4), limits=LIMITS)
    def add(self, user_id: int, guild_id: int | None, num_images: int, limits: Limits) -> None:
        size = {"width": 1000, "height": 1000}  # whole megapixel-steps, so that ties are ties
        new = new_job(next(self.interactions), user_id=user_id, guild_id=guild_id, num_images=num_images, **size)
        payment = self.purses.split(num_images, limits, user_id, guild_id, day_of(self.now))
        adding = self.store.jobs.add(new, limits=limits, now=self.now)
        if payment is None:
            with pytest.raises(QuotaError):
                self.run(adding)
            return
        submission = self.run(adding)
        assert submission.created
        job_id = submission.job.id
        self.models[job_id] = Model(submission.job)
        self.purses.bills[job_id] = Bill(user_id, guild_id, day_of(self.now), *payment)
        self.fair.add(job_id, user_id, guild_id, new.request.work, limits.weight)

    @rule(user_id=users, guild_id=servers, amount=st.integers(1, 5))
    def grant(self, user_id: int, guild_id: int, amount: int) -> None:
        interaction_id = next(self.interactions)
        given = Grant(interaction_id=interaction_id, user_id=user_id, guild_id=guild_id, credits=amount, granted_by=MODERATOR)
        self.purses.grants[interaction_id] = (user_id, guild_id, amount)
        for _ in range(2):  # Discord may send an event twice
            self.run(self.store.repositories.credits.grant(given, now=self.now))

    @rule(guild_id=servers)
    def pause(self, guild_id: int) -> None:
        stopped = self.run(self.store.repositories.pauses.pause(guild_id, by=MODERATOR, now=self.now))
        assert stopped is (guild_id not in self.fair.paused)
        self.fair.pause(guild_id)

    @rule(guild_id=servers)
    def resume(self, guild_id: int) -> None:
        resumed = self.run(self.store.repositories.pauses.resume(guild_id, by=MODERATOR, now=self.now))
        assert resumed is (guild_id in self.fair.paused)
        if resumed:
            self.fair.resume(guild_id)

    @precondition(lambda self: self.models)
    @rule(number=picks)
    def replay(self, number: int) -> None:
        model = self.pick(number)
        again = new_job(model.job.origin.interaction_id)
        submission = self.run(self.store.jobs.add(again, limits=NOTHING, now=self.now))
        assert (submission.created, submission.job.id) == (False, model.job.id)

    @rule(batch=st.integers(1, 4))
    def claim(self, batch: int) -> None:
        wanted = self.fair.claim(batch)
        job = self.run(self.store.jobs.claim(now=self.now, lease_until=self.now + LEASE, batch=batch))
        assert (job and job.id) == wanted
        if job is not None:
            model = self.models[job.id]
            model.status, model.attempt, model.lease_until = JobStatus.RUNNING, model.attempt + 1, self.now + LEASE
            assert job.attempt == model.attempt

    @precondition(lambda self: self.models)
    @rule(number=picks, lag=lags, how=st.sampled_from(["heartbeat", "finish", "fail", "withhold", "put back", "abort"]))
    def work(self, number: int, lag: int, how: str) -> None:
        """A worker, current or stale, does something to a job."""
        running = [model for model in self.models.values() if model.status is JobStatus.RUNNING]
        model, jobs = running[number % len(running)] if running and number % 4 else self.pick(number), self.store.jobs
        job_id, attempt = model.job.id, model.attempt + lag
        pictures = images(self.run(self.store.get(job_id)))
        calls = {
            "heartbeat": lambda: jobs.extend_lease(job_id, attempt, lease_until=self.now + 2 * LEASE),
            "finish": lambda: jobs.finish(job_id, attempt, pictures, now=self.now),
            "fail": lambda: jobs.fail(job_id, attempt, REASON, now=self.now),
            "withhold": lambda: jobs.withhold(job_id, attempt, now=self.now),
            "put back": lambda: jobs.put_back(job_id, attempt, aborted=False),
            "abort": lambda: jobs.put_back(job_id, attempt, aborted=True),
        }
        holds = model.status is JobStatus.RUNNING and lag == 0
        assert self.run(calls[how]()) is holds
        if holds and how == "heartbeat":
            model.lease_until = self.now + 2 * LEASE
        elif holds and how in {"finish", "fail"}:
            self.end(model, JobStatus.SUCCEEDED if how == "finish" else JobStatus.FAILED)
        elif holds and how == "withhold":
            today = (model.job.origin.user_id, day_of(self.now))
            self.purses.withheld[today] += 1
            self.end(model, JobStatus.FAILED, paid=None if self.purses.withheld[today] > 3 else 0)
        elif holds:
            model.status, model.aborts = JobStatus.QUEUED, model.aborts + (how == "abort")
            self.fair.put_back(job_id)

    @precondition(lambda self: self.models)
    @rule(number=picks, lag=lags, steps=st.none() | st.integers(0, 120))
    def cancel(self, number: int, lag: int, steps: int | None) -> None:
        """By the member, who pays for the steps of the attempt that runs, or (None) by somebody else."""
        model = self.pick(number)
        taken = None if steps is None else StepsTaken(attempt=model.attempt + lag, steps=steps)
        cancelled = self.run(self.store.jobs.cancel(model.job.id, now=self.now, taken=taken))
        assert cancelled is model.status.is_waiting
        if cancelled:
            pictures = model.job.request.num_images
            paid = 0
            if taken is not None and lag == 0 and model.status is JobStatus.RUNNING and taken.steps > pictures:
                paid = max(1, min(taken.steps, 28 * pictures) * 1_000_000 // (28 * 1024 * 1024))
            self.end(model, JobStatus.CANCELLED, paid=paid)

    def end(self, model: Model, status: JobStatus, *, paid: int | None = 0) -> None:
        """`paid` None: the price."""
        model.end(status, self.now)
        self.fair.end(model.job.id, finished=status is JobStatus.SUCCEEDED)
        bill = self.purses.bills[model.job.id]
        bill.end(bill.amount if paid is None or status is JobStatus.SUCCEEDED else paid)
        assert self.run(self.store.get(model.job.id)).paid == bill.amount

    @rule(expired_only=st.booleans())
    def recover(self, *, expired_only: bool) -> None:
        recovery = self.run(self.store.jobs.recover(now=self.now, expired_only=expired_only))
        requeued, failed = [], []
        lost = [
            model
            for model in self.models.values()
            if model.status is JobStatus.RUNNING and (not expired_only or model.lease_until <= self.now)
        ]
        alone = expired_only or len(lost) == 1
        for job_id, model in self.models.items():
            if model.status is JobStatus.RUNNING and (not expired_only or model.lease_until <= self.now):
                if alone and model.attempt - model.aborts >= MAX_ATTEMPTS:
                    self.end(model, JobStatus.FAILED)
                    failed.append(job_id)
                else:
                    model.status = JobStatus.QUEUED
                    model.aborts += not alone
                    self.fair.flows[job_id].suspect |= not expired_only
                    self.fair.put_back(job_id)
                    requeued.append(job_id)
        assert (list(recovery.requeued), list(recovery.failed)) == (requeued, failed)

    @precondition(lambda self: self.models)
    @rule(number=picks, how=st.sampled_from(["delivered", "retry", "give up", "start post"]))
    def deliver(self, number: int, how: str) -> None:
        model, outbox = self.pick(number), self.store.outbox
        job_id, fault = model.job.id, DeliveryFault.UNAVAILABLE
        if how == "delivered":
            self.run(outbox.delivered(job_id, channel_id=1, message_id=2, now=self.now))
            model.close(JobStatus.DELIVERED)
        elif how == "give up":
            self.run(outbox.give_up(job_id, fault, now=self.now))
            model.close(JobStatus.UNDELIVERABLE)
            if model.status is JobStatus.UNDELIVERABLE:
                self.purses.bills[job_id].end(0)
        elif how == "retry":
            self.run(outbox.retry(job_id, at=self.now + LEASE, fault=fault, now=self.now))
            if model.is_open:
                model.retries, model.wants = model.retries + 1, self.now + LEASE
        else:
            self.start_post(model)

    def start_post(self, model: Model) -> None:
        starting = self.store.outbox.start_post(model.job.id, now=self.now)
        if model.is_open:
            model.post_started_at = model.post_started_at or self.now
            assert self.run(starting).post_started_at == model.post_started_at
            return
        try:
            self.run(starting)
        except NotFoundError:
            return
        raise AssertionError("a closed entry was opened for a post")

    @precondition(lambda self: self.models)
    @rule(number=picks)
    def delete(self, number: int) -> None:
        self.run(self.store.jobs.mark_deleted(self.pick(number).job.id, by=900, now=self.now))

    @rule(seconds=st.integers(1, 40) | st.just(6 * 3_600))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def restart(self) -> None:
        self.run(self.opened.__aexit__(None, None, None))
        self.open()

    @invariant()
    def members_have_what_the_model_says(self) -> None:
        day = day_of(self.now)
        for user_id, guild_id in product((1, 2, 3), (None, 200, 201)):
            has = self.run(self.store.repositories.credits.usage(user_id, guild_id, now=self.now))
            mine = [bill for bill in self.purses.bills.values() if (bill.user_id, bill.guild_id) == (user_id, guild_id)]
            assert has.spent + has.reserved == self.purses.used(user_id, guild_id, day)
            assert has.granted == self.purses.granted(user_id, guild_id) >= 0
            assert has.everywhere == self.purses.used_everywhere(user_id, day)
            assert has.withheld == self.purses.withheld[user_id, day]
            assert has.waiting == sum(bill.is_live for bill in mine)
            assert has.reserved == sum(bill.daily for bill in mine if bill.is_live and bill.day == day)
            assert has.granted_reserved == sum(bill.granted for bill in mine if bill.is_live)

    @invariant()
    def the_queue_stands_as_the_model_says(self) -> None:
        for flow in self.fair.flows.values():
            ahead = self.run(self.store.jobs.ahead(flow.job_id))
            if flow.state in {"waiting", "back"}:
                assert ahead is not None
                assert (None if ahead.paused else ahead.jobs) == self.fair.ahead(flow.job_id)
        assert self.run(self.store.jobs.backlog()) == len(self.fair.line()) + sum(
            flow.state == "running" for flow in self.fair.flows.values()
        )

    @invariant()
    def what_is_stored_is_what_the_model_says(self) -> None:
        self.run(self.store.database.read(assert_sound))
        for job_id, model in self.models.items():
            job = self.run(self.store.get(job_id))
            assert (job.status, job.attempt, job.aborts) == (model.status, model.attempt, model.aborts)
        due = [entry.job_id for entry in self.run(self.store.outbox.due(now=self.now, limit=1_000))]
        assert sorted(due) == sorted(i for i, model in self.models.items() if model.is_open and model.wants <= self.now)
        waiting = [job.id for user in (1, 2, 3) for job in self.run(self.store.jobs.waiting(user, limit=10_000)).jobs]
        assert sorted(waiting) == sorted(i for i, model in self.models.items() if model.status.is_waiting)


TestRepository = pytest.mark.slow(Repository.TestCase)
TestRepository.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
