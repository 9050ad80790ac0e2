"""Composition root: builds every part once from the settings, and starts and stops them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot import __version__
from bot.background import Background
from bot.chat.client import PastelBot
from bot.chat.connection import connect
from bot.chat.extensions import EXTENSIONS
from bot.chat.messenger import DiscordMessenger
from bot.chat.report_board import DiscordReportBoard
from bot.chat.roster import DiscordRoster
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.quota import Limits
from bot.errors import FolderError
from bot.health import serve_health
from bot.inference.classifier import TransformersClassifier
from bot.inference.classifier_files import check_classifier
from bot.inference.cuda_probe import cuda_device_count
from bot.inference.generator import DiffusersGenerator
from bot.inference.image_files import PillowCodec
from bot.inference.loading import check_weights
from bot.log import set_up_logging
from bot.ports import Clock, LimitsSource, Messenger
from bot.services.assembly import Ports, Services, build_services
from bot.services.drain import Drain
from bot.services.findings import Findings
from bot.services.generation import GenerationService
from bot.services.house_rules import HouseRules
from bot.services.live_cards import EDIT_INTERVAL
from bot.services.moderation import Moderation, Roster
from bot.services.personal import Preferences
from bot.services.privacy import Privacy
from bot.services.quotas import OperatorLimits, Quotas
from bot.services.report_display import ReportBoard
from bot.services.reports import Reports
from bot.services.server_queue import ServerQueue
from bot.settings import SHIPPED_DATA, Settings
from bot.shutdown import drain_event, first_of, stop_event
from bot.storage.catalog import load_catalog
from bot.storage.credits import SqliteCredits
from bot.storage.database import Database
from bot.storage.house_rules import SqliteHouseRules
from bot.storage.images import DiskImageStore
from bot.storage.jobs import SqliteJobs
from bot.storage.lock import DataFolderLock
from bot.storage.meta import SqliteMeta
from bot.storage.moderation import SqliteModeration
from bot.storage.outbox import SqliteOutbox
from bot.storage.pauses import SqlitePauses
from bot.storage.personal import SqlitePersonalDefaults
from bot.storage.privacy import SqlitePrivacy
from bot.storage.reports import SqliteReports
from bot.storage.retention import SqliteRetention
from bot.telemetry import Metrics

RANDOM_MODEL = "tiny-random"  # made on the spot, in seconds; it shows the way, not pictures
SMALL_MODEL = "mini"  # needs no GPU

log = logging.getLogger(__name__)


class SystemClock:
    """Implements ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What everything stands on: settings, catalogue and storage, open and checked."""

    settings: Settings
    catalog: Catalog
    profile: ModelProfile
    clock: Clock
    metrics: Metrics
    database: Database
    jobs: SqliteJobs
    outbox: SqliteOutbox
    meta: SqliteMeta
    images: DiskImageStore


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
async def open_ground(settings: Settings, *, state_dir: Path | None = None) -> AsyncGenerator[Ground]:
    """Check and open everything that can be known without Discord.

    `state_dir` holds database and pictures (default: DATA_DIR); models and styles always come from DATA_DIR.
    Raises FolderError, ModelError, DatabaseError.
    """
    state = state_dir or settings.data_dir
    clock = SystemClock()
    await asyncio.to_thread(_make_folder, state)
    catalog = await asyncio.to_thread(load_catalog, SHIPPED_DATA, settings.data_dir)
    profile = catalog.profile(settings.model or default_model(catalog))
    if profile.name == RANDOM_MODEL:
        await asyncio.to_thread(_make_random_model, profile)
    await asyncio.to_thread(check_weights, profile)
    if profile.classifier is not None:
        await asyncio.to_thread(check_classifier, profile.classifier)
    async with AsyncExitStack() as stack:
        stack.enter_context(DataFolderLock(state))
        database = await stack.enter_async_context(Database.open(state / "pastel.db"))
        jobs = SqliteJobs(database)
        images = DiskImageStore(state / "images", clock)
        await images.sweep(await jobs.known_keys())  # here, while nobody writes pictures
        yield Ground(
            settings=settings,
            catalog=catalog,
            profile=profile,
            clock=clock,
            metrics=Metrics(),
            database=database,
            jobs=jobs,
            outbox=SqliteOutbox(database),
            meta=SqliteMeta(database),
            images=images,
        )


@asynccontextmanager
async def open_works(
    ground: Ground,
    messenger: Messenger,
    *,
    limits: LimitsSource,
    board: ReportBoard | None = None,
    roster: Roster | None = None,
    edit_interval: float = EDIT_INTERVAL,
) -> AsyncGenerator[Works]:
    """Build the use cases over `ground`; at the end their tasks stop, then the threads of generator and classifier.

    `edit_interval` is seconds between two edits of one live card.
    """
    generator = DiffusersGenerator(ground.profile, ground.catalog, device=ground.settings.device)
    wanted = ground.profile.classifier
    classifier = None if wanted is None else TransformersClassifier(wanted, device=ground.settings.device)
    ports = Ports(
        jobs=ground.jobs,
        credits=SqliteCredits(ground.database),
        limits=limits,
        pauses=SqlitePauses(ground.database),
        house_rules=SqliteHouseRules(ground.database),
        moderation=SqliteModeration(ground.database),
        reports=SqliteReports(ground.database),
        personal=SqlitePersonalDefaults(ground.database),
        records=SqlitePrivacy(ground.database),
        shelf=SqliteRetention(ground.database),
        outbox=ground.outbox,
        store=ground.images,
        codec=PillowCodec(),
        messenger=messenger,
        generator=generator,
        clock=ground.clock,
        metrics=ground.metrics,
        classifier=classifier,
        board=board,
        roster=roster,
    )
    services = build_services(ports, profile=ground.profile, catalog=ground.catalog, edit_interval=edit_interval)
    background = Background(services=services, generator=generator, classifier=classifier, metrics=ground.metrics)
    async with AsyncExitStack() as stack:
        if classifier is not None:
            stack.push_async_callback(classifier.close)
        stack.push_async_callback(generator.close)
        stack.push_async_callback(background.stop)
        yield Works(services=services, background=background)


@asynccontextmanager
async def open_application(settings: Settings, *, state_dir: Path | None = None) -> AsyncGenerator[Application]:
    """The whole bot over `settings`. At the end: background work, Discord, the generator's thread, the database."""
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(settings, state_dir=state_dir))

        async def on_login() -> None:
            works.background.start()

        bot = PastelBot(metrics=ground.metrics, meta=ground.meta, extensions=EXTENSIONS, on_login=on_login)
        limits = operator_limits(settings)
        works = await stack.enter_async_context(
            open_works(ground, DiscordMessenger(bot), limits=limits, board=DiscordReportBoard(bot), roster=DiscordRoster(bot))
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
        async with serve_health(settings.http_port, checks, app.ground.metrics):
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


async def _drained(drain: Drain, asked: asyncio.Event) -> None:
    await asked.wait()
    drain.begin()
    await drain.finished()


def default_model(catalog: Catalog) -> str:
    """animagine-xl where CUDA is found, else the small model, and random weights where that was not shipped."""
    return "animagine-xl" if cuda_device_count() else small_model(catalog)


def small_model(catalog: Catalog) -> str:
    """The model that needs no GPU: the one that ships, else random weights."""
    mini = catalog.profiles.get(SMALL_MODEL)
    has_weights = mini is not None and mini.source.folder is not None and mini.source.folder.is_dir()
    return SMALL_MODEL if has_weights else RANDOM_MODEL


def _make_random_model(profile: ModelProfile) -> None:
    from bot.training.tiny import build_tiny_sdxl

    if profile.source.folder is not None and not profile.source.folder.exists():
        log.info("Making the random model in %s", profile.source.folder)
        build_tiny_sdxl(profile.source.folder, seed=0)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".pastel-write-test"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise FolderError(
            f"DATA_DIR {folder} cannot be written ({error.strerror}). Change its owner or set another folder."
        ) from None
