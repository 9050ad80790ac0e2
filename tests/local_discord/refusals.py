"""Discord's own errors, with the codes of its documents (topics/opcodes-and-status-codes)."""

from __future__ import annotations

from typing import Any


class RefusalError(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.body: dict[str, Any] = {"message": message, "code": code}
        self.headers: dict[str, str] = {}


def unauthorized() -> RefusalError:
    return RefusalError(401, 0, "401: Unauthorized")


def unknown_channel() -> RefusalError:
    return RefusalError(404, 10003, "Unknown Channel")


def unknown_message() -> RefusalError:
    return RefusalError(404, 10008, "Unknown Message")


def unknown_webhook() -> RefusalError:
    return RefusalError(404, 10015, "Unknown Webhook")


def unknown_interaction() -> RefusalError:
    return RefusalError(404, 10062, "Unknown interaction")


def already_acknowledged() -> RefusalError:
    return RefusalError(400, 40060, "Interaction has already been acknowledged.")


def too_large() -> RefusalError:
    return RefusalError(413, 40005, "Request entity too large")


def missing_access() -> RefusalError:
    return RefusalError(403, 50001, "Missing Access")


def missing_permissions() -> RefusalError:
    return RefusalError(403, 50013, "Missing Permissions")


def empty_message() -> RefusalError:
    return RefusalError(400, 50006, "Cannot send an empty message")


def invalid_token() -> RefusalError:
    return RefusalError(401, 50027, "Invalid Webhook Token")


def invalid_form(reason: str) -> RefusalError:
    return RefusalError(400, 50035, f"Invalid Form Body: {reason}")


def rate_limited(retry_after: float, *, cloudflare: bool = False) -> RefusalError:
    """A 429; without a Via header the library takes it for a ban by Cloudflare and does not retry."""
    refusal = RefusalError(429, 0, "You are being rate limited.")
    refusal.body |= {"retry_after": retry_after, "global": False}
    refusal.headers = {} if cloudflare else {"Via": "1.1 google"}
    return refusal
