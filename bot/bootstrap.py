"""Composition root: builds every part once over the ground, and starts and stops them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot import __version__
from bot.background import Background
from bot.chat.attachments import DiscordAttachments
from bot.chat.client import PastelBot
from bot.chat.connection import connect
from bot.chat.extensions import EXTENSIONS
from bot.chat.messenger import DiscordMessenger
from bot.chat.report_board import DiscordReportBoard
from bot.chat.roster import DiscordRoster
from bot.domain.audience import Audience
from bot.domain.host_rules import NO_HOST_RULES, HostRules
from bot.domain.privacy import KeepingTimes
from bot.domain.prompt_rules import broken_rule
from bot.domain.quota import Limits
from bot.ground import Ground, classifier_device, engine_settings, memory_plan, open_ground
from bot.health import serve_health
from bot.inference.classifier import TransformersClassifier
from bot.inference.generator import DiffusersGenerator
from bot.inference.hub import HuggingFaceHub
from bot.inference.image_files import PillowCodec
from bot.log import set_up_logging
from bot.ports import LimitsSource, Messenger
from bot.services.assembly import Ports, Services, build_services
from bot.services.drain import Drain
from bot.services.findings import Findings
from bot.services.generation import GenerationService
from bot.services.house_rules import HouseRules
from bot.services.intakes import Attachments
from bot.services.live_cards import EDIT_INTERVAL
from bot.services.moderation import Moderation, Roster
from bot.services.personal import Preferences
from bot.services.privacy import Privacy
from bot.services.quotas import OperatorLimits, Quotas
from bot.services.report_display import ReportBoard
from bot.services.reports import Reports
from bot.services.room import MEGABYTE
from bot.services.server_queue import ServerQueue
from bot.services.uploads import UploadPlaces
from bot.settings import Settings
from bot.shutdown import drain_event, first_of, stop_event
from bot.storage.credits import SqliteCredits
from bot.storage.house_rules import SqliteHouseRules
from bot.storage.intakes import SqliteIntakes
from bot.storage.moderation import SqliteModeration
from bot.storage.pauses import SqlitePauses
from bot.storage.personal import SqlitePersonalDefaults
from bot.storage.privacy import SqlitePrivacy
from bot.storage.reports import SqliteReports
from bot.storage.retention import SqliteRetention
from bot.storage.traces import SqliteTraces

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Works:
    """The use cases and the tasks that run for them."""

    services: Services
    background: Background

    @property
    def generation(self) -> GenerationService:
        return self.services.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The whole bot, ready to log in; its background work starts with the login."""

    ground: Ground
    works: Works
    bot: PastelBot


@asynccontextmanager
async def open_works(
    ground: Ground,
    messenger: Messenger,
    *,
    limits: LimitsSource,
    host: HostRules = NO_HOST_RULES,
    board: ReportBoard | None = None,
    roster: Roster | None = None,
    attachments: Attachments | None = None,
    edit_interval: float = EDIT_INTERVAL,
) -> AsyncGenerator[Works]:
    """Build the use cases over `ground`; at the end their tasks stop, then the threads of generator and classifier.

    `edit_interval` is seconds between two edits of one live card.
    """
    generator, classifier = _artist(ground)
    codec, hub = PillowCodec(), HuggingFaceHub(ground.profile)
    ports = Ports(
        jobs=ground.jobs,
        intakes=SqliteIntakes(ground.database),
        credits=SqliteCredits(ground.database),
        limits=limits,
        pauses=SqlitePauses(ground.database),
        house_rules=SqliteHouseRules(ground.database),
        moderation=SqliteModeration(ground.database),
        reports=SqliteReports(ground.database),
        personal=SqlitePersonalDefaults(ground.database),
        records=SqlitePrivacy(ground.database),
        shelf=SqliteRetention(ground.database),
        traces=SqliteTraces(ground.database),
        outbox=ground.outbox,
        store=ground.images,
        codec=codec,
        messenger=messenger,
        generator=generator,
        hub=hub,
        clock=ground.clock,
        metrics=ground.metrics,
        classifier=classifier,
        board=board,
        roster=roster,
        attachments=attachments,
    )
    services = build_services(ports, profile=ground.profile, catalog=ground.catalog, host=host, edit_interval=edit_interval)
    background = Background(services=services, generator=generator, classifier=classifier, metrics=ground.metrics)
    async with AsyncExitStack() as stack:
        for threads in (services.reader, codec, hub):
            stack.push_async_callback(threads.close)
        if classifier is not None:
            stack.push_async_callback(classifier.close)
        stack.push_async_callback(generator.close)
        stack.push_async_callback(background.stop)
        await services.reader.read_again(broken_rule, "", "", adult=False)  # its lists: 0.2 s that nobody waits for
        yield Works(services=services, background=background)


def _artist(ground: Ground) -> tuple[DiffusersGenerator, TransformersClassifier | None]:
    """Returns who draws, and who judges what was drawn, where the model needs that."""
    wanted = ground.profile.classifier
    plan = memory_plan(ground.settings, ground.profile)
    place = classifier_device(ground.settings, plan)
    classifier = None if wanted is None else TransformersClassifier(wanted, device=place)
    generator = DiffusersGenerator(
        ground.profile,
        ground.catalog,
        device=ground.settings.device,
        engine=engine_settings(ground.settings, plan),
    )
    generator.judge = None if classifier is None else classifier.judge
    return generator, classifier


@asynccontextmanager
async def open_application(settings: Settings, *, state_dir: Path | None = None) -> AsyncGenerator[Application]:
    """The whole bot over `settings`. At the end: background work, Discord, the generator's thread, the database."""
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(settings, state_dir=state_dir))

        async def on_login() -> None:
            works.background.start()

        host = host_rules(settings)
        bot = PastelBot(
            metrics=ground.metrics,
            meta=ground.meta,
            extensions=EXTENSIONS,
            on_login=on_login,
            audience=host.audience,
            ticks=ground.clock.ticks,
        )
        works = await stack.enter_async_context(
            open_works(
                ground,
                DiscordMessenger(bot),
                limits=operator_limits(settings),
                host=host,
                board=DiscordReportBoard(bot),
                roster=DiscordRoster(bot),
                attachments=DiscordAttachments(bot),
            )
        )
        stack.push_async_callback(bot.close)
        stack.push_async_callback(works.background.stop)
        bot.provide(GenerationService, works.generation)
        bot.provide(Quotas, works.services.quotas)
        bot.provide(ServerQueue, works.services.server_queue)
        bot.provide(Moderation, works.services.moderation)
        bot.provide(Reports, works.services.reports)
        bot.provide(HouseRules, works.services.house_rules)
        bot.provide(Findings, works.services.findings)
        bot.provide(Preferences, works.services.preferences)
        bot.provide(Privacy, works.services.privacy)
        bot.provide(UploadPlaces, works.services.uploads)
        yield Application(ground=ground, works=works, bot=bot)


async def run_bot(settings: Settings) -> None:
    """Serve Discord until SIGTERM or SIGINT; raises OperatorError when only the operator can help."""
    set_up_logging(settings.log_level, settings.log_format)
    stop, drain = stop_event(), drain_event()
    async with open_application(settings) as app:
        checks = {
            "gateway": app.bot.is_connected,
            "database": app.ground.database.answers,
            "generator": app.works.background.draws,
        }
        async with serve_health(settings.http_port, checks, app.ground.metrics, host=settings.http_host):
            log.info("Pastel %s starts with model %s", __version__, app.ground.profile.name)
            await first_of(
                connect(app.bot, settings.token()),
                app.works.background.failure(),
                stop.wait(),
                _drained(app.works.services.drain, drain),
            )
            log.info("Stopping")


def operator_limits(settings: Settings) -> LimitsSource:
    """What the settings say of members' use; 0 there is no limit."""
    return OperatorLimits(
        limits=Limits(
            daily_credits=settings.daily_credits or None,
            waiting_jobs=settings.max_waiting_jobs or None,
            operator_credits=settings.user_daily_credits or None,
        ),
        server_weights=settings.server_weights,
    )


def host_rules(settings: Settings) -> HostRules:
    """What the settings say for all servers; 0 there is no bound."""
    return HostRules(
        audience=Audience(served_servers=settings.served_servers, blocked_users=settings.blocked_users),
        keeping=KeepingTimes(picture_days=settings.picture_days or None, word_days=settings.prompt_days or None),
        min_free_bytes=settings.min_free_mb * MEGABYTE,
    )


async def _drained(drain: Drain, asked: asyncio.Event) -> None:
    await asked.wait()
    drain.begin()
    await drain.finished()
