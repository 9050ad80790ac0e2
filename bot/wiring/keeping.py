"""The services for what is kept and who answers for it: servers' settings, reports, privacy, deletion."""

from __future__ import annotations

from bot.domain.operator_rules import OperatorRules
from bot.domain.profile import Catalog, ModelProfile
from bot.services.clock_check import ClockCheck
from bot.services.delivery import Delivery
from bot.services.erasure import Eraser, ErasureDeps
from bot.services.exports import Exports
from bot.services.guild_settings import GuildSettingsService
from bot.services.live_cards import LiveCards
from bot.services.moderation import Moderation
from bot.services.privacy import Privacy
from bot.services.removal import Removal
from bot.services.report_display import ReportDisplay
from bot.services.reports import Reports
from bot.services.retention import Retention
from bot.services.sweeping import Sweeping
from bot.services.wakeup import Sleep
from bot.services.worker import Worker
from bot.wiring.ports import Ports


def report_display(ports: Ports) -> ReportDisplay:
    return ReportDisplay(
        records=ports.repositories.reports,
        rules=ports.repositories.guild_settings,
        jobs=ports.repositories.jobs,
        store=ports.store,
        codec=ports.codec,
        board=ports.board,
        metrics=ports.metrics,
    )


def removal(ports: Ports, worker: Worker, delivery: Delivery, live: LiveCards, display: ReportDisplay) -> Removal:
    return Removal(
        jobs=ports.repositories.jobs,
        store=ports.store,
        messenger=ports.messenger,
        worker=worker,
        delivery=delivery,
        live=live,
        reports=display,
        clock=ports.clock,
    )


def moderation(ports: Ports, removal: Removal) -> Moderation:
    return Moderation(
        records=ports.repositories.moderation,
        jobs=ports.repositories.jobs,
        removal=removal,
        member_ranks=ports.member_ranks,
        clock=ports.clock,
    )


def guild_settings(ports: Ports, host: OperatorRules, profile: ModelProfile, catalog: Catalog) -> GuildSettingsService:
    return GuildSettingsService(
        repository=ports.repositories.guild_settings,
        profile=profile,
        catalog=catalog,
        longest=host.keeping,
        posting=ports.board,
        clock=ports.clock,
    )


def privacy(ports: Ports, host: OperatorRules, eraser: Eraser) -> Privacy:
    return Privacy(
        records=ports.repositories.privacy,
        retention_repository=ports.repositories.retention,
        longest=host.keeping,
        eraser=eraser,
        exports=Exports(ports.repositories.privacy),
    )


def retention(ports: Ports, host: OperatorRules, display: ReportDisplay, clock_check: ClockCheck, sleep: Sleep) -> Retention:
    return Retention(
        retention_repository=ports.repositories.retention,
        longest=host.keeping,
        store=ports.store,
        reports=display,
        clock=ports.clock,
        clock_check=clock_check,
        metrics=ports.metrics,
        sleep=sleep,
    )


def sweeping(ports: Ports, clock_check: ClockCheck, sleep: Sleep) -> Sweeping:
    return Sweeping(
        jobs=ports.repositories.jobs,
        store=ports.store,
        clock=ports.clock,
        clock_check=clock_check,
        metrics=ports.metrics,
        sleep=sleep,
    )


def eraser(ports: Ports, worker: Worker, delivery: Delivery, live: LiveCards, display: ReportDisplay, sleep: Sleep) -> Eraser:
    return Eraser(
        erasures=ports.repositories.privacy,
        store=ports.store,
        deps=ErasureDeps(worker=worker, delivery=delivery, live=live, messenger=ports.messenger, reports=display),
        clock=ports.clock,
        metrics=ports.metrics,
        sleep=sleep,
    )


def reports(ports: Ports, display: ReportDisplay, moderation: Moderation, removal: Removal) -> Reports:
    return Reports(
        records=ports.repositories.reports,
        display=display,
        rules=ports.repositories.guild_settings,
        jobs=ports.repositories.jobs,
        moderation=moderation,
        removal=removal,
        clock=ports.clock,
    )
