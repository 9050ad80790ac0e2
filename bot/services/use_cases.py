"""All use cases in one hand, for the composition root and for who runs them."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.operator_rules import OperatorRules
from bot.services.delivery import Delivery
from bot.services.drain import Drain
from bot.services.erasure import Eraser
from bot.services.fetching import Fetcher
from bot.services.first_answers import FirstAnswers
from bot.services.generation import GenerationService
from bot.services.guild_settings import GuildSettingsService
from bot.services.intakes import Intakes
from bot.services.live_cards import LiveCards
from bot.services.moderation import Moderation
from bot.services.overwriting import Overwriting
from bot.services.places import Places
from bot.services.preferences import PreferencesService
from bot.services.privacy import Privacy
from bot.services.quotas import Quotas
from bot.services.reports import Reports
from bot.services.retention import Retention
from bot.services.server_queue import ServerQueue
from bot.services.settings_import import SettingsImport
from bot.services.sweeping import Sweeping
from bot.services.text_reader import TextReader
from bot.services.uploads import UploadPlaces
from bot.services.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases, and what the host decides for all of them.

    What has a `run` wants a task; stop the worker first, then delivery, then the others.
    """

    host: OperatorRules
    generation: GenerationService
    quotas: Quotas
    server_queue: ServerQueue
    guild_settings: GuildSettingsService
    moderation: Moderation
    reports: Reports
    preferences: PreferencesService
    settings_import: SettingsImport
    drain: Drain
    privacy: Privacy
    eraser: Eraser
    overwriting: Overwriting
    retention: Retention
    sweeping: Sweeping
    first_answers: FirstAnswers
    intakes: Intakes
    fetcher: Fetcher
    worker: Worker
    delivery: Delivery
    live: LiveCards
    reader: TextReader
    uploads: UploadPlaces
    places: Places
