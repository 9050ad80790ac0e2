"""Puts the services together over the ports; the composition root calls it once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from bot.domain.operator_rules import NO_HOST_RULES, OperatorRules
from bot.domain.profile import Catalog, ModelProfile
from bot.services.adapters import Ports
from bot.services.attempt import AttemptDeps
from bot.services.card_sender import CardSenderDeps
from bot.services.cards import CardAssembler
from bot.services.clock_check import ClockCheck
from bot.services.delivery import Delivery
from bot.services.disk_space import DiskSpace
from bot.services.drain import Drain
from bot.services.erasure import Eraser, ErasureDeps
from bot.services.estimates import Estimator
from bot.services.exports import Exports
from bot.services.fetching import FetchDeps, Fetcher
from bot.services.first_answers import FirstAnswers
from bot.services.gate import Gate
from bot.services.generation import GenerationService
from bot.services.guild_settings import GuildSettingsService
from bot.services.intakes import Intakes, Reading
from bot.services.live_cards import EDIT_INTERVAL, LiveCards
from bot.services.moderation import Moderation
from bot.services.overwriting import Overwriting
from bot.services.places import Places
from bot.services.preferences import PreferencesService
from bot.services.privacy import Privacy
from bot.services.quotas import Quotas
from bot.services.reception import Reception
from bot.services.recheck import Recheck
from bot.services.removal import Removal
from bot.services.report_display import ReportDisplay
from bot.services.reports import Reports
from bot.services.request_builder import RequestBuilder
from bot.services.retention import Retention
from bot.services.safety_check import SafetyCheck
from bot.services.server_queue import ServerQueue
from bot.services.settings_import import SettingsImport
from bot.services.submission import Submitter
from bot.services.sweeping import Sweeping
from bot.services.text_reader import TextReader
from bot.services.uploads import UploadPlaces
from bot.services.use_cases import Services
from bot.services.wakeup import Sleep
from bot.services.worker import Worker


def build_services(
    ports: Ports,
    *,
    profile: ModelProfile,
    catalog: Catalog,
    host: OperatorRules = NO_HOST_RULES,
    edit_interval: float = EDIT_INTERVAL,
    sleep: Sleep = asyncio.sleep,
    timer: Callable[[], float] = time.monotonic,
) -> Services:
    """`edit_interval` is seconds between two edits of one live card; `timer` counts seconds, whatever the wall clock does."""
    jobs, clock, metrics, messenger, store = ports.jobs, ports.clock, ports.metrics, ports.messenger, ports.store
    estimator = Estimator(jobs=jobs, clock=clock, generator=ports.generator)
    cards = CardAssembler(jobs=jobs, catalog=catalog, estimator=estimator)
    live = LiveCards(jobs=jobs, messenger=messenger, cards=cards, clock=clock, sleep=sleep, interval=edit_interval)
    reader, uploads, display = TextReader(timer), UploadPlaces(), _report_display(ports)
    gate, room = _gate(ports, reader, host, profile, catalog), DiskSpace(store, min_free_bytes=host.min_free_bytes, ticks=timer)
    safety_check = SafetyCheck(ports.classifier, needed=profile.classifier is not None, metrics=metrics, sleep=sleep)
    recheck = Recheck(gate=gate, safety_check=safety_check, jobs=jobs, store=store, clock=clock)
    delivery = Delivery(room=_deps(ports, cards), jobs=jobs, recheck=recheck, live=live, sleep=sleep)
    fetching = _fetching(ports, live, delivery, lambda: worker.wake(), sleep, timer)
    fetcher = Fetcher(fetching, (*catalog.styles_for(profile), *catalog.quality_styles(profile)))
    worker = Worker(_workbench(ports, (recheck, room), live, delivery, fetcher, sleep))
    removal = Removal(
        jobs=jobs, store=store, messenger=messenger, worker=worker, delivery=delivery, live=live, reports=display, clock=clock
    )
    requests = RequestBuilder(profile=profile, catalog=catalog, gate=gate, jobs=jobs, codec=ports.codec)
    submitter = Submitter(jobs=jobs, gate=gate, room=room, store=store, worker=worker, live=live, clock=clock, metrics=metrics)
    first_answers = _first_answers(ports, live, worker, delivery, sleep)
    reception = Reception(
        submitter=submitter, first_answers=first_answers, jobs=jobs, cards=cards, live=live, worker=worker, clock=clock
    )
    intakes = _intakes(ports, uploads, submitter, requests, sleep)
    moderation = Moderation(records=ports.moderation, jobs=jobs, removal=removal, member_ranks=ports.member_ranks, clock=clock)
    eraser, clock_check = (
        _eraser(ports, worker, delivery, live, display, sleep),
        ClockCheck(book=ports.retention_repository, clock=clock),
    )
    return Services(
        generation=_generation(ports, requests, (submitter, reception, intakes), removal, estimator),
        quotas=Quotas(credits=ports.credits, limits=gate, clock=clock),
        server_queue=ServerQueue(jobs=jobs, pauses=ports.pauses, estimator=estimator, worker=worker, clock=clock),
        guild_settings=_guild_settings(ports, host, profile, catalog),
        moderation=moderation,
        reports=_reports(ports, display, moderation, removal),
        findings=SettingsImport(codec=ports.codec, requests=requests, gate=gate, reader=reader),
        preferences=PreferencesService(personal=ports.personal, profile=profile, catalog=catalog, clock=clock),
        drain=Drain(submitter=submitter, jobs=jobs, outbox=ports.outbox, sleep=sleep),
        privacy=_privacy(ports, host, eraser),
        eraser=eraser,
        overwriting=Overwriting(traces=ports.traces, clock=clock, metrics=metrics, sleep=sleep),
        retention=_retention(ports, host, display, clock_check, sleep),
        sweeping=_sweeping(ports, clock_check, sleep),
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
        jobs=ports.jobs,
        messenger=ports.messenger,
        live=live,
        worker=worker,
        delivery=delivery,
        clock=ports.clock,
        metrics=ports.metrics,
        sleep=sleep,
    )


def _intakes(ports: Ports, places: UploadPlaces, submitter: Submitter, requests: RequestBuilder, sleep: Sleep) -> Intakes:
    return Intakes(
        book=ports.intakes,
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
        jobs=ports.jobs,
        estimator=estimator,
    )


def _workbench(
    ports: Ports, looks: tuple[Recheck, DiskSpace], live: LiveCards, delivery: Delivery, fetcher: Fetcher, sleep: Sleep
) -> AttemptDeps:
    recheck, room = looks
    return AttemptDeps(
        jobs=ports.jobs,
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


def _fetching(
    ports: Ports,
    live: LiveCards,
    delivery: Delivery,
    on_fetched: Callable[[], None],
    sleep: Sleep,
    timer: Callable[[], float],
) -> FetchDeps:
    return FetchDeps(
        hub=ports.hub,
        jobs=ports.jobs,
        live=live,
        clock=ports.clock,
        metrics=ports.metrics,
        on_fetched=on_fetched,
        on_ended=delivery.wake,
        sleep=sleep,
        timer=timer,
    )


def _deps(ports: Ports, cards: CardAssembler) -> CardSenderDeps:
    return CardSenderDeps(
        outbox=ports.outbox,
        messenger=ports.messenger,
        store=ports.store,
        codec=ports.codec,
        cards=cards,
        clock=ports.clock,
        metrics=ports.metrics,
    )


def _gate(ports: Ports, reader: TextReader, host: OperatorRules, profile: ModelProfile, catalog: Catalog) -> Gate:
    return Gate(
        rules=ports.guild_settings,
        blocks=ports.moderation,
        personal=ports.personal,
        reader=reader,
        operator=ports.limits,
        profile=profile,
        catalog=catalog,
        audience=host.audience,
        clock=ports.clock,
    )


def _report_display(ports: Ports) -> ReportDisplay:
    return ReportDisplay(
        records=ports.reports,
        rules=ports.guild_settings,
        jobs=ports.jobs,
        store=ports.store,
        codec=ports.codec,
        board=ports.board,
        metrics=ports.metrics,
    )


def _guild_settings(ports: Ports, host: OperatorRules, profile: ModelProfile, catalog: Catalog) -> GuildSettingsService:
    return GuildSettingsService(
        repository=ports.guild_settings,
        profile=profile,
        catalog=catalog,
        longest=host.keeping,
        posting=ports.board,
        clock=ports.clock,
    )


def _privacy(ports: Ports, host: OperatorRules, eraser: Eraser) -> Privacy:
    return Privacy(
        records=ports.records,
        retention_repository=ports.retention_repository,
        longest=host.keeping,
        eraser=eraser,
        exports=Exports(ports.records),
    )


def _retention(ports: Ports, host: OperatorRules, display: ReportDisplay, clock_check: ClockCheck, sleep: Sleep) -> Retention:
    return Retention(
        retention_repository=ports.retention_repository,
        longest=host.keeping,
        store=ports.store,
        reports=display,
        clock=ports.clock,
        clock_check=clock_check,
        metrics=ports.metrics,
        sleep=sleep,
    )


def _sweeping(ports: Ports, clock_check: ClockCheck, sleep: Sleep) -> Sweeping:
    return Sweeping(
        jobs=ports.jobs, store=ports.store, clock=ports.clock, clock_check=clock_check, metrics=ports.metrics, sleep=sleep
    )


def _eraser(ports: Ports, worker: Worker, delivery: Delivery, live: LiveCards, display: ReportDisplay, sleep: Sleep) -> Eraser:
    return Eraser(
        erasures=ports.records,
        store=ports.store,
        deps=ErasureDeps(worker=worker, delivery=delivery, live=live, messenger=ports.messenger, reports=display),
        clock=ports.clock,
        metrics=ports.metrics,
        sleep=sleep,
    )


def _reports(ports: Ports, display: ReportDisplay, moderation: Moderation, removal: Removal) -> Reports:
    return Reports(
        records=ports.reports,
        display=display,
        rules=ports.guild_settings,
        jobs=ports.jobs,
        moderation=moderation,
        removal=removal,
        clock=ports.clock,
    )
