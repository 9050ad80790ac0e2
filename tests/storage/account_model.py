"""What members have, counted anew from all that happened: no running totals that could go wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bot.domain.quota import Limits


@dataclass
class Bill:
    """What a job costs its member, and on which day it was ordered."""

    user_id: int
    guild_id: int | None
    day: int
    daily: int
    granted: int
    is_live: bool = True

    def end(self, paid: int) -> None:
        """What was paid stays with it, of the daily purse first; the rest goes back."""
        self.is_live = False
        self.daily, self.granted = min(self.daily, paid), paid - min(self.daily, paid)

    @property
    def amount(self) -> int:
        return self.daily + self.granted


@dataclass
class AccountModel:
    bills: dict[str, Bill] = field(default_factory=dict)
    withheld: Counter[tuple[int, int]] = field(default_factory=Counter[tuple[int, int]])  # by member and day
    grants: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # by interaction: member, server, credits

    def used(self, user_id: int, guild_id: int | None, day: int) -> int:
        """Of the day's allowance in the server."""
        return sum(bill.daily for bill in self._mine(user_id, guild_id) if bill.day == day)

    def used_everywhere(self, user_id: int, day: int) -> int:
        return sum(bill.amount for bill in self.bills.values() if bill.user_id == user_id and bill.day == day)

    def granted(self, user_id: int, guild_id: int | None) -> int:
        """What is left of the grants."""
        given = sum(amount for user, guild, amount in self.grants.values() if (user, guild) == (user_id, guild_id))
        return given - sum(bill.granted for bill in self._mine(user_id, guild_id))

    def reserved(self, user_id: int, guild_id: int | None) -> int:
        """In both purses, whenever it was."""
        return sum(bill.amount for bill in self._mine(user_id, guild_id) if bill.is_live)

    def split(self, cost: int, limits: Limits, user_id: int, guild_id: int | None, day: int) -> tuple[int, int] | None:
        """How a job is paid, (daily, granted); None where it must be refused."""
        waiting = sum(bill.is_live for bill in self._mine(user_id, guild_id))
        if limits.waiting_jobs is not None and waiting + 1 > limits.waiting_jobs:
            return None
        if limits.operator_credits is not None and self.used_everywhere(user_id, day) + cost > limits.operator_credits:
            return None
        if limits.daily_credits is None:
            return cost, 0
        free = max(limits.daily_credits - self.used(user_id, guild_id, day), 0)
        if cost > free + self.granted(user_id, guild_id):
            return None
        return min(cost, free), cost - min(cost, free)

    def _mine(self, user_id: int, guild_id: int | None) -> list[Bill]:
        return [bill for bill in self.bills.values() if (bill.user_id, bill.guild_id) == (user_id, guild_id)]
