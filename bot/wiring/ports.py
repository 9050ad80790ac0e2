"""The adapters that the services work through, in one hand."""

from __future__ import annotations

from dataclasses import dataclass

from bot.metrics import Metrics
from bot.ports import Clock, ImageCodec, ImageGenerator, ImageStore, LimitsSource, Messenger, PictureClassifier
from bot.services.fetching import HubGateway
from bot.services.intakes import AttachmentGateway
from bot.services.moderation import MemberRankGateway
from bot.services.report_display import ReportGateway
from bot.storage.repositories import Repositories


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The adapters that the services work through; `limits` are the operator's.

    A model whose profile has a classifier shows nothing without one here. Without Discord there are no board, no
    member ranks and no attachments.
    """

    repositories: Repositories
    limits: LimitsSource
    store: ImageStore
    codec: ImageCodec
    messenger: Messenger
    generator: ImageGenerator
    hub: HubGateway
    clock: Clock
    metrics: Metrics
    classifier: PictureClassifier | None = None
    board: ReportGateway | None = None
    member_ranks: MemberRankGateway | None = None
    attachments: AttachmentGateway | None = None
