"""Puts the services together over the ports; the composition root calls it once, and the tests do as it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from bot.domain.operator_rules import NO_OPERATOR_RULES, OperatorRules
from bot.domain.profile import Catalog, ModelProfile
from bot.services.attempt import AttemptDeps
from bot.services.card_sender import CardSenderDeps
from bot.services.cards import CardAssembler
from bot.services.clock_check import ClockCheck
from bot.services.delivery import Delivery
from bot.services.disk_space import DiskSpace
from bot.services.drain import Drain
from bot.services.estimates import Estimator
from bot.services.fetching import FetchDeps, Fetcher
from bot.services.first_answers import FirstAnswers
from bot.services.gate import Gate
from bot.services.generation import GenerationService
from bot.services.intakes import Intakes, Reading
from bot.services.live_cards import EDIT_INTERVAL, LiveCards
from bot.services.overwriting import Overwriting
from bot.services.places import Places
from bot.services.preferences import PreferencesService
from bot.services.quotas import Quotas
from bot.services.reception import Reception
from bot.services.recheck import Recheck
from bot.services.removal import Removal
from bot.services.request_builder import RequestBuilder
from bot.services.safety_check import SafetyCheck
from bot.services.server_queue import ServerQueue
from bot.services.settings_import import SettingsImport
from bot.services.submission import Submitter
from bot.services.text_reader import TextReader
from bot.services.uploads import UploadPlaces
from bot.services.use_cases import Services
from bot.services.wakeup import Sleep
from bot.services.worker import Worker
from bot.wiring import keeping
from bot.wiring.ports import Ports


def build_services(
    ports: Ports,
    *,
    profile: ModelProfile,
    catalog: Catalog,
    host: OperatorRules = NO_OPERATOR_RULES,
    edit_interval: float = EDIT_INTERVAL,
    sleep: Sleep = asyncio.sleep,
    timer: Callable[[], float] = time.monotonic,
) -> Services:
    """`edit_interval` is seconds between two edits of one live card; `timer` counts seconds, whatever the wall clock does."""
    repositories, clock, metrics, messenger = ports.repositories, ports.clock, ports.metrics, ports.messenger
    jobs, store = repositories.jobs, ports.store
    estimator = Estimator(jobs=jobs, clock=clock, generator=ports.generator)
    cards = CardAssembler(jobs=jobs, catalog=catalog, estimator=estimator)
    live = LiveCards(jobs=jobs, messenger=messenger, cards=cards, clock=clock, sleep=sleep, interval=edit_interval)
    reader, uploads, display = TextReader(timer), UploadPlaces(), keeping.report_display(ports)
    gate, room = _gate(ports, reader, host, profile, catalog), DiskSpace(store, min_free_bytes=host.min_free_bytes, ticks=timer)
    safety_check = SafetyCheck(ports.classifier, needed=profile.classifier is not None, metrics=metrics, sleep=sleep)
    recheck = Recheck(gate=gate, safety_check=safety_check, jobs=jobs, store=store, clock=clock)
    delivery = Delivery(room=_card_sender_deps(ports, cards), jobs=jobs, recheck=recheck, live=live, sleep=sleep)
    fetching = _fetch_deps(ports, live, delivery, lambda: worker.wake(), sleep, timer)
    fetcher = Fetcher(fetching, (*catalog.styles_for(profile), *catalog.quality_styles(profile)))
    worker = Worker(_attempt_deps(ports, (recheck, room), live, delivery, fetcher, sleep))
    removal = keeping.removal(ports, worker, delivery, live, display)
    requests = RequestBuilder(profile=profile, catalog=catalog, gate=gate, jobs=jobs, codec=ports.codec)
    submitter = Submitter(jobs=jobs, gate=gate, room=room, store=store, worker=worker, live=live, clock=clock, metrics=metrics)
    first_answers = _first_answers(ports, live, worker, delivery, sleep)
    reception = _reception(ports, submitter, first_answers, cards, live, worker)
    intakes = _intakes(ports, uploads, submitter, requests, sleep)
    moderation = keeping.moderation(ports, removal)
    eraser = keeping.eraser(ports, worker, delivery, live, display, sleep)
    clock_check = ClockCheck(repository=repositories.retention, clock=clock)
    return Services(
        host=host,
        generation=_generation(ports, requests, (submitter, reception, intakes), removal, estimator),
        quotas=Quotas(credits=repositories.credits, limits=gate, clock=clock),
        server_queue=ServerQueue(jobs=jobs, pauses=repositories.pauses, estimator=estimator, worker=worker, clock=clock),
        guild_settings=keeping.guild_settings(ports, host, profile, catalog),
        moderation=moderation,
        reports=keeping.reports(ports, display, moderation, removal),
        settings_import=SettingsImport(codec=ports.codec, requests=requests, gate=gate, reader=reader),
        preferences=PreferencesService(personal=repositories.preferences, profile=profile, catalog=catalog, clock=clock),
        drain=Drain(submitter=submitter, jobs=jobs, outbox=repositories.outbox, sleep=sleep),
        privacy=keeping.privacy(ports, host, eraser),
        eraser=eraser,
        overwriting=Overwriting(traces=repositories.traces, clock=clock, metrics=metrics, sleep=sleep),
        retention=keeping.retention(ports, host, display, clock_check, sleep),
        sweeping=keeping.sweeping(ports, clock_check, sleep),
        first_answers=first_answers,
        intakes=intakes,
        fetcher=fetcher,
        worker=worker,
        delivery=delivery,
        live=live,
        reader=reader,
        uploads=uploads,
        places=Places(jobs=jobs, estimator=estimator, live=live, clock=clock, metrics=metrics, sleep=sleep),
    )


def _first_answers(ports: Ports, live: LiveCards, worker: Worker, delivery: Delivery, sleep: Sleep) -> FirstAnswers:
    return FirstAnswers(
        jobs=ports.repositories.jobs,
        messenger=ports.messenger,
        live=live,
        worker=worker,
        delivery=delivery,
        clock=ports.clock,
        metrics=ports.metrics,
        sleep=sleep,
    )


def _reception(
    ports: Ports, submitter: Submitter, first_answers: FirstAnswers, cards: CardAssembler, live: LiveCards, worker: Worker
) -> Reception:
    return Reception(
        submitter=submitter,
        first_answers=first_answers,
        jobs=ports.repositories.jobs,
        cards=cards,
        live=live,
        worker=worker,
        clock=ports.clock,
    )


def _intakes(ports: Ports, places: UploadPlaces, submitter: Submitter, requests: RequestBuilder, sleep: Sleep) -> Intakes:
    return Intakes(
        repository=ports.repositories.intakes,
        reading=Reading(attachments=ports.attachments, places=places),
        submitter=submitter,
        requests=requests,
        messenger=ports.messenger,
        clock=ports.clock,
        metrics=ports.metrics,
        sleep=sleep,
    )


def _generation(
    ports: Ports,
    requests: RequestBuilder,
    doors: tuple[Submitter, Reception, Intakes],
    removal: Removal,
    estimator: Estimator,
) -> GenerationService:
    submitter, reception, intakes = doors
    return GenerationService(
        requests=requests,
        submitter=submitter,
        reception=reception,
        intakes=intakes,
        removal=removal,
        jobs=ports.repositories.jobs,
        estimator=estimator,
    )


def _attempt_deps(
    ports: Ports, looks: tuple[Recheck, DiskSpace], live: LiveCards, delivery: Delivery, fetcher: Fetcher, sleep: Sleep
) -> AttemptDeps:
    recheck, room = looks
    return AttemptDeps(
        jobs=ports.repositories.jobs,
        generator=ports.generator,
        safety_check=recheck.safety_check,
        recheck=recheck,
        store=ports.store,
        room=room,
        codec=ports.codec,
        live=live,
        fetcher=fetcher,
        clock=ports.clock,
        metrics=ports.metrics,
        on_ended=delivery.wake,
        sleep=sleep,
    )


def _fetch_deps(
    ports: Ports,
    live: LiveCards,
    delivery: Delivery,
    on_fetched: Callable[[], None],
    sleep: Sleep,
    timer: Callable[[], float],
) -> FetchDeps:
    return FetchDeps(
        hub=ports.hub,
        jobs=ports.repositories.jobs,
        live=live,
        clock=ports.clock,
        metrics=ports.metrics,
        on_fetched=on_fetched,
        on_ended=delivery.wake,
        sleep=sleep,
        timer=timer,
    )


def _card_sender_deps(ports: Ports, cards: CardAssembler) -> CardSenderDeps:
    return CardSenderDeps(
        outbox=ports.repositories.outbox,
        messenger=ports.messenger,
        store=ports.store,
        codec=ports.codec,
        cards=cards,
        clock=ports.clock,
        metrics=ports.metrics,
    )


def _gate(ports: Ports, reader: TextReader, host: OperatorRules, profile: ModelProfile, catalog: Catalog) -> Gate:
    return Gate(
        rules=ports.repositories.guild_settings,
        blocks=ports.repositories.moderation,
        personal=ports.repositories.preferences,
        reader=reader,
        operator=ports.limits,
        profile=profile,
        catalog=catalog,
        audience=host.audience,
        clock=ports.clock,
    )
