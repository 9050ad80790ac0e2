"""Shows SimCord's page in the demo's colours and order, without the tools for developers of bots."""

# SimCord has no public hook for its page, hence the private names.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web
from simcord.preview import Preview
from simcord.preview._server import PreviewServer

from bot.demo.live import LiveEnv, publish_changes

HERE = Path(__file__).parent
OWN_FILES = {"/pastel.css": "text/css", "/pastel.js": "application/javascript"}
ICON = "/pastel.png"
PATCHES: Mapping[str, tuple[tuple[str, str], ...]] = {  # the text in SimCord's files, and what we serve instead
    "/": (
        ("<title>SimCord Preview</title>", f'<title>Pastel</title><link rel="icon" type="image/png" href="{ICON}">'),
        ('href="/preview.css">', 'href="/preview.css"><link rel="stylesheet" href="/pastel.css">'),
        ('<script type="module"', '<script type="module" src="/pastel.js"></script><script type="module"'),
        ("<strong>SimCord</strong><small>Preview</small>", "<strong>Pastel</strong><small>demo on this computer</small>"),
    ),
    "/presentation.js": (  # the visitor's own way to write times, and time zone
        ('configured.locale || state.profile.locale || "en-US"', "navigator.language"),
        (
            'configured.timezone || state.profile.timezone || "UTC"',
            "Intl.DateTimeFormat().resolvedOptions().timeZone || configured.timezone",
        ),
    ),
    "/messages.js": (('dateStyle: "short",\n', "\n"),),  # the line above the day's messages has the date
    "/text.js": (  # lets pastel.js keep "in 20 seconds" true
        ("if (title) time.title = title;", 'if (title) time.title = title;\n  if (style === "R") time.dataset.relative = "";'),
    ),
    "/timeline.js": (  # of a message taller than the window show the end, where the buttons are
        ("rect.height > bounds.height || rect.top < bounds.top", "rect.height <= bounds.height && rect.top < bounds.top"),
    ),
    "/commands.js": (
        ("Math.min(24, ", "Math.min(60, "),  # room for a prompt
        (  # choices are offered before anything is typed, as in Discord
            "const choices = autocompleteResults.get(",
            "if (!current) queryAutocomplete(option, current);\n            const choices = autocompleteResults.get(",
        ),
        (
            '"Loading options failed" : "No options match"',
            '"Loading options failed" : autocomplete.state === "loading" ? "Loading…" : "No options match"',
        ),
    ),
    "/components.js": (  # a form starts in its first field
        (
            'dialog.querySelector("input, textarea, button")',
            'dialog.querySelector(".modal-fields :is(input, textarea, button)")',
        ),
    ),
    "/actions.js": (  # silence where all is well, a visitor's words where it is not
        ('return labels[kind || ""] || "Action completed";', 'return "";'),
        ('ready ? "Preview ready" : "Loading preview…"', 'ready ? "" : "Loading…"'),
        ('return pendingLabels[pending.kind] || "Completing action…";', 'return "";'),
        ('|| Object.keys(pages).length) return "Updating preview…";', '|| Object.keys(pages).length) return "";'),
        ('return "Action was not completed.";', 'return "That did not work. Please try again.";'),
        ('return "Action outcome uncertain. It will not be retried.";', 'return "Pastel did not answer. Reload this page.";'),
        ('return "Connection interrupted; trying again…";', 'return "The demo has ended, or cannot be reached.";'),
        ('return "Preview session ended.";', 'return "The demo has ended.";'),
    ),
}


class Page(PreviewServer):
    """Serves the page, and publishes changes whenever a page asks. `icon` is a PNG.

    Publishing just before the answer, not on a timer, leaves no moment in which the published state names a picture that the
    bot has replaced. Actions of several windows take turns, since SimCord refuses overlapping ones.
    """

    _STATIC_FILES: ClassVar[dict[str, str]] = {**PreviewServer._STATIC_FILES, **{path: path for path in (*OWN_FILES, ICON)}}

    def __init__(self, env: LiveEnv, preview: Preview, port: int, icon: bytes) -> None:
        super().__init__(preview, port)
        self._env = env
        self._icon = icon
        self._turn = asyncio.Lock()

    async def _static(self, request: web.Request) -> web.Response:
        if request.headers.get("Host", "") not in self._allowed_hosts():
            raise web.HTTPForbidden
        if request.path == ICON:
            return web.Response(body=self._icon, content_type="image/png", headers=self._SECURITY_HEADERS)
        if request.path in OWN_FILES:
            text = await asyncio.to_thread((HERE / request.path[1:]).read_text, encoding="utf-8")
            return web.Response(text=text, content_type=OWN_FILES[request.path], headers=self._SECURITY_HEADERS)
        response: web.Response = await super()._static(request)
        for old, new in PATCHES.get(request.path, ()):
            response.text = (response.text or "").replace(old, new)
        return response

    async def _state(self, request: Any) -> Any:
        publish_changes(self._env, self.preview)
        return await super()._state(request)

    async def _action(self, request: Any) -> Any:
        async with self._turn:
            return await super()._action(request)
