"""The adapters that the services work through, in one hand."""

from __future__ import annotations

from dataclasses import dataclass

from bot.metrics import Metrics
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
from bot.services.fetching import Hub
from bot.services.guild_settings import GuildSettingsRepository
from bot.services.intakes import Attachments, IntakeBook
from bot.services.moderation import MemberRanks, ModerationRepository
from bot.services.overwriting import Traces
from bot.services.preferences import PreferencesRepository
from bot.services.privacy import MemberRecords
from bot.services.quotas import Credits
from bot.services.report_display import ReportBoard, ReportRepository
from bot.services.retention import RetentionRepository
from bot.services.server_queue import Pauses


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The adapters that the services work through; `limits` are the operator's.

    A model whose profile has a classifier shows nothing without one here. Without Discord there are no board, no
    roster and no attachments.
    """

    jobs: JobRepository
    intakes: IntakeBook
    credits: Credits
    limits: LimitsSource
    pauses: Pauses
    guild_settings: GuildSettingsRepository
    moderation: ModerationRepository
    reports: ReportRepository
    personal: PreferencesRepository
    outbox: Outbox
    records: MemberRecords
    retention_repository: RetentionRepository
    traces: Traces
    store: ImageStore
    codec: ImageCodec
    messenger: Messenger
    generator: ImageGenerator
    hub: Hub
    clock: Clock
    metrics: Metrics
    classifier: PictureClassifier | None = None
    board: ReportBoard | None = None
    member_ranks: MemberRanks | None = None
    attachments: Attachments | None = None
