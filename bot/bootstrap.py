"""Composition root: builds every part once over the resources, and starts and stops them in order."""

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
from bot.chat.member_ranks import DiscordMemberRanks
from bot.chat.messenger import DiscordMessenger
from bot.chat.report_messages import DiscordReportMessages
from bot.chat.translation import load_catalogues
from bot.domain.audience import Audience
from bot.domain.operator_rules import NO_OPERATOR_RULES, OperatorRules
from bot.domain.privacy import KeepingTimes
from bot.domain.prompt_rules import broken_rule
from bot.domain.quota import Limits
from bot.health import serve_health
from bot.inference.classifier.classifier import TransformersClassifier
from bot.inference.generator import DiffusersGenerator
from bot.inference.hub import HuggingFaceHub
from bot.inference.images.codec import PillowCodec
from bot.log import set_up_logging
from bot.ports import LimitsSource, Messenger
from bot.process_signals import drain_event, first_of, stop_event
from bot.resources import Resources, classifier_device, engine_settings, memory_plan, open_resources
from bot.services.disk_space import MEGABYTE
from bot.services.drain import Drain
from bot.services.generation import GenerationService
from bot.services.intakes import AttachmentGateway
from bot.services.live_cards import EDIT_INTERVAL
from bot.services.moderation import MemberRankGateway
from bot.services.quotas import OperatorLimits
from bot.services.report_display import ReportGateway
from bot.services.use_cases import Services
from bot.settings import Settings
from bot.wiring.build import build_services
from bot.wiring.ports import Ports

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The use cases and the tasks that run for them."""

    services: Services
    background: Background

    @property
    def generation(self) -> GenerationService:
        return self.services.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The whole bot, ready to log in; its background work starts with the login."""

    resources: Resources
    runtime: Runtime
    bot: PastelBot


@asynccontextmanager
async def open_runtime(
    resources: Resources,
    messenger: Messenger,
    *,
    limits: LimitsSource,
    host: OperatorRules = NO_OPERATOR_RULES,
    board: ReportGateway | None = None,
    member_ranks: MemberRankGateway | None = None,
    attachments: AttachmentGateway | None = None,
    edit_interval: float = EDIT_INTERVAL,
) -> AsyncGenerator[Runtime]:
    """Yields the use cases over `resources`; at the end stops their tasks, then the threads of generator and classifier.

    `edit_interval` is seconds between two edits of one live card.
    """
    generator, classifier = _artist(resources)
    codec, hub = PillowCodec(), HuggingFaceHub(resources.profile)
    ports = Ports(
        repositories=resources.repositories,
        limits=limits,
        store=resources.images,
        codec=codec,
        messenger=messenger,
        generator=generator,
        hub=hub,
        clock=resources.clock,
        metrics=resources.metrics,
        classifier=classifier,
        board=board,
        member_ranks=member_ranks,
        attachments=attachments,
    )
    services = build_services(
        ports, profile=resources.profile, catalog=resources.catalog, host=host, edit_interval=edit_interval
    )
    background = Background(services=services, generator=generator, classifier=classifier, metrics=resources.metrics)
    async with AsyncExitStack() as stack:
        for threads in (services.reader, codec, hub):
            stack.push_async_callback(threads.close)
        if classifier is not None:
            stack.push_async_callback(classifier.close)
        stack.push_async_callback(generator.close)
        stack.push_async_callback(background.stop)
        await asyncio.to_thread(load_catalogues)
        await services.reader.read_again(broken_rule, "", "", adult=False)  # loads its lists: 0.2 s that delay nobody
        yield Runtime(services=services, background=background)


def _artist(resources: Resources) -> tuple[DiffusersGenerator, TransformersClassifier | None]:
    """Returns the generator, and the classifier of its pictures where the model needs one."""
    wanted = resources.profile.classifier
    plan = memory_plan(resources.settings, resources.profile)
    place = classifier_device(resources.settings, plan)
    classifier = None if wanted is None else TransformersClassifier(wanted, device=place)
    generator = DiffusersGenerator(
        resources.profile,
        resources.catalog,
        device=resources.settings.device,
        engine=engine_settings(resources.settings, plan),
    )
    generator.judge = None if classifier is None else classifier.judge
    return generator, classifier


@asynccontextmanager
async def open_application(settings: Settings, *, state_dir: Path | None = None) -> AsyncGenerator[Application]:
    """Yields the whole bot over `settings`; at the end stops background work, Discord, generator and database."""
    async with AsyncExitStack() as stack:
        resources = await stack.enter_async_context(open_resources(settings, state_dir=state_dir))

        async def on_login() -> None:
            runtime.background.start()

        host = operator_rules(settings)
        bot = PastelBot(
            metrics=resources.metrics,
            meta=resources.repositories.meta,
            extensions=EXTENSIONS,
            on_login=on_login,
            audience=host.audience,
            ticks=resources.clock.ticks,
        )
        runtime = await stack.enter_async_context(
            open_runtime(
                resources,
                DiscordMessenger(bot),
                limits=operator_limits(settings),
                host=host,
                board=DiscordReportMessages(bot),
                member_ranks=DiscordMemberRanks(bot),
                attachments=DiscordAttachments(bot),
            )
        )
        stack.push_async_callback(bot.close)
        stack.push_async_callback(runtime.background.stop)
        bot.provide_all(runtime.services)
        yield Application(resources=resources, runtime=runtime, bot=bot)


async def run_bot(settings: Settings) -> None:
    """Serves Discord until SIGTERM or SIGINT; raises OperatorError when only the operator can help."""
    set_up_logging(settings.log_level, settings.log_format)
    stop, drain = stop_event(), drain_event()
    async with open_application(settings) as app:
        checks = {
            "gateway": app.bot.is_connected,
            "database": app.resources.database.answers,
            "generator": app.runtime.background.draws,
        }
        async with serve_health(settings.http_port, checks, app.resources.metrics, host=settings.http_host):
            log.info("Pastel %s starts with model %s", __version__, app.resources.profile.name)
            await first_of(
                connect(app.bot, settings.token()),
                app.runtime.background.failure(),
                stop.wait(),
                _drained(app.runtime.services.drain, drain),
            )
            log.info("Stopping")


def operator_limits(settings: Settings) -> LimitsSource:
    """Returns the settings' limits for members; 0 there is no limit."""
    return OperatorLimits(
        limits=Limits(
            daily_credits=settings.daily_credits or None,
            waiting_jobs=settings.max_waiting_jobs or None,
            operator_credits=settings.user_daily_credits or None,
        ),
        server_weights=settings.server_weights,
    )


def operator_rules(settings: Settings) -> OperatorRules:
    """Returns the settings' rules for all servers; 0 there is no bound."""
    return OperatorRules(
        audience=Audience(served_servers=settings.served_servers, blocked_users=settings.blocked_users),
        keeping=KeepingTimes(picture_days=settings.picture_days or None, word_days=settings.prompt_days or None),
        min_free_bytes=settings.min_free_mb * MEGABYTE,
        source_url=settings.source_url,
    )


async def _drained(drain: Drain, asked: asyncio.Event) -> None:
    await asked.wait()
    drain.begin()
    await drain.finished()
