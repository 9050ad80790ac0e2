"""Finds the proxy for Discord in the same places as every other library."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

from discord.http import Route
from yarl import URL

from bot.errors import SettingsError

NO_SOCKS = (
    "HTTPS_PROXY (or ALL_PROXY) names a proxy of a kind through which Discord cannot be reached. "
    "Give the address of an HTTP proxy, such as http://proxy.example:3128."
)


def proxy_for_discord() -> str | None:
    """Returns the proxy's address (a secret if it has a password); None for a direct connection.

    Reads HTTPS_PROXY, ALL_PROXY and NO_PROXY from the environment, as the model hub's library does (and the system's settings
    on macOS); discord.py itself looks for none. Raises SettingsError for a kind that discord.py cannot use.
    """
    discord = URL(Route.BASE)
    host = discord.host or ""
    proxies = getproxies()
    address = proxies.get(discord.scheme) or proxies.get("all")
    if not address or _is_this_machine(host) or proxy_bypass(host):
        return None
    address = address if "://" in address else f"http://{address}"
    if not address.lower().startswith(("http://", "https://")):
        raise SettingsError((NO_SOCKS,))
    return address


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
