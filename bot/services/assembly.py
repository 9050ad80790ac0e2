"""Puts the services together over the ports; the composition root calls it once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.domain.profile import Catalog, ModelProfile
from bot.ports import (
    Clock,
    ImageCodec,
    ImageGenerator,
    ImageStore,
    JobRepository,
    LimitsSource,
    Messenger,
    Outbox,
    PictureClassifier,
)
from bot.services.admission import Admission
from bot.services.attempt import Workbench
from bot.services.cards import CardAssembler
from bot.services.courier import Mailroom
from bot.services.delivery import Delivery
from bot.services.drain import Drain
from bot.services.estimates import Estimator
from bot.services.generation import GenerationService
from bot.services.inspection import Inspection
from bot.services.live_cards import EDIT_INTERVAL, LiveCards
from bot.services.proposals import Proposals
from bot.services.quotas import Credits, Quotas
from bot.services.removal import Removal
from bot.services.server_queue import Pauses, ServerQueue
from bot.services.signals import Sleep
from bot.services.worker import Worker
from bot.telemetry import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The adapters that the services work through. A model whose profile has a classifier shows nothing without one here."""

    jobs: JobRepository
    credits: Credits
    limits: LimitsSource
    pauses: Pauses
    outbox: Outbox
    store: ImageStore
    codec: ImageCodec
    messenger: Messenger
    generator: ImageGenerator
    clock: Clock
    metrics: Metrics
    classifier: PictureClassifier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases. `worker.run` and `delivery.run` want tasks; stop the worker first, then delivery, then `live`."""

    generation: GenerationService
    quotas: Quotas
    server_queue: ServerQueue
    drain: Drain
    worker: Worker
    delivery: Delivery
    live: LiveCards


def build_services(
    ports: Ports,
    *,
    profile: ModelProfile,
    catalog: Catalog,
    edit_interval: float = EDIT_INTERVAL,
    sleep: Sleep = asyncio.sleep,
) -> Services:
    """`edit_interval` is seconds between two edits of one live card."""
    jobs, clock, metrics, messenger, store = ports.jobs, ports.clock, ports.metrics, ports.messenger, ports.store
    estimator = Estimator(jobs=jobs, clock=clock, capacity=ports.generator.capacity)
    cards = CardAssembler(jobs=jobs, catalog=catalog, estimator=estimator)
    live = LiveCards(jobs=jobs, messenger=messenger, cards=cards, clock=clock, sleep=sleep, interval=edit_interval)
    room = Mailroom(
        outbox=ports.outbox, messenger=messenger, store=store, codec=ports.codec, cards=cards, clock=clock, metrics=metrics
    )
    delivery = Delivery(room=room, jobs=jobs, live=live, sleep=sleep)
    inspection = Inspection(ports.classifier, needed=profile.classifier is not None, metrics=metrics, sleep=sleep)
    bench = Workbench(
        jobs=jobs,
        generator=ports.generator,
        inspection=inspection,
        store=store,
        live=live,
        clock=clock,
        metrics=metrics,
        on_ended=delivery.wake,
        sleep=sleep,
    )
    worker = Worker(bench)
    removal = Removal(jobs=jobs, store=store, messenger=messenger, worker=worker, delivery=delivery, live=live, clock=clock)
    proposals = Proposals(profile=profile, catalog=catalog, jobs=jobs, store=store, codec=ports.codec)
    admission = Admission(jobs=jobs, limits=ports.limits, worker=worker, live=live, clock=clock, metrics=metrics)
    return Services(
        generation=GenerationService(proposals=proposals, admission=admission, removal=removal, jobs=jobs, estimator=estimator),
        quotas=Quotas(credits=ports.credits, limits=ports.limits, clock=clock),
        server_queue=ServerQueue(jobs=jobs, pauses=ports.pauses, estimator=estimator, worker=worker, clock=clock),
        drain=Drain(admission=admission, jobs=jobs, outbox=ports.outbox, sleep=sleep),
        worker=worker,
        delivery=delivery,
        live=live,
    )
