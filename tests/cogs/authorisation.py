"""Who may do what: a row for every door of the bot (see tests.cogs.entry_points), a cell for everybody who tries it.

A door that stands in no row fails a test, so whoever adds a button or a command says here whom it is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from bot.domain import job, moderation
from bot.domain.policy import JOB_GONE
from bot.services import moderation as moderating
from bot.services import privacy, quotas, removal, reports
from tests.cogs.two_servers import OWNERS_WORD, SERVERS_WORD, Who


class Opens(Enum):
    """How a door opens; a sentence in its place is a refusal, which changes nothing."""

    TO_ALL = auto()  # it does what it is for, also to the owner's picture or the job's server
    ANEW = auto()  # out of the owner's picture comes one of whoever asks; the owner's stays as it was
    FOR_OWN = auto()  # the same, but nothing of the owner's or the job's server is read or changed
    EMPTY = auto()  # a list of choices, with none in it


Cell = Opens | str
Cells = tuple[Cell, Cell, Cell, Cell, Cell, Cell, Cell]
"""In the order of Who."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """`options` is what is filled in, `changes` the tables that then change, `tells` what an answer of TO_ALL shows."""

    cells: Cells
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    changes: frozenset[str] = frozenset()
    tells: str = ""
    while_paused: bool = False

    def cell(self, who: Who) -> Cell:
        return self.cells[list(Who).index(who)]


_ALL, _NEW, _OWN, _NONE = Opens.TO_ALL, Opens.ANEW, Opens.FOR_OWN, Opens.EMPTY
_GONE, _NOT_YOURS, _MANAGERS = JOB_GONE, removal.NOT_YOURS, job.ONLY_MANAGERS
_CREDITS, _MODERATORS, _NO_PICTURE = quotas.ONLY_MODERATORS, moderation.ONLY_MODERATORS, moderating.NO_PICTURE
_NO_REPORT, _OWN_PICTURE, _NOBODY_LISTENS = reports.NO_REPORT, reports.OWN_PICTURE, reports.NO_MODERATORS
_NOT_YOU, _BLOCKED = privacy.NOT_YOURS, "You can't draw in this server"

# fmt: off
#              owner         other        moderator    manager      stranger     owner in DM      blocked
EVERYBODY  = ( _OWN,         _OWN,        _OWN,        _OWN,        _OWN,        _OWN,            _OWN)
DRAWS      = ( _OWN,         _OWN,        _OWN,        _OWN,        _OWN,        _OWN,            _BLOCKED)
REUSES     = ( _NEW,         _NEW,        _NEW,        _NEW,        _GONE,       _NEW,            _BLOCKED)
SEES       = ( _ALL,         _ALL,        _ALL,        _ALL,        _GONE,       _ALL,            _ALL)
FILLS_IN   = ( _ALL,         _ALL,        _ALL,        _ALL,        _GONE,       _ALL,            _BLOCKED)
REMOVES    = ( _ALL,         _NOT_YOURS,  _ALL,        _ALL,        _GONE,       _ALL,            _NOT_YOURS)
REPORTS    = ( _OWN_PICTURE, _ALL,        _ALL,        _ALL,        _GONE,       _NOBODY_LISTENS, _ALL)
DECIDES    = ( _MODERATORS,  _MODERATORS, _ALL,        _ALL,        _NO_REPORT,  _MODERATORS,     _MODERATORS)
MODERATES  = ( _MODERATORS,  _MODERATORS, _ALL,        _ALL,        _OWN,        _MODERATORS,     _MODERATORS)
REMOVES_IT = ( _MODERATORS,  _MODERATORS, _ALL,        _ALL,        _NO_PICTURE, _MODERATORS,     _MODERATORS)
GRANTS     = ( _CREDITS,     _CREDITS,    _CREDITS,    _ALL,        _OWN,        _CREDITS,        _CREDITS)
RUNS_QUEUE = ( _MANAGERS,   _MANAGERS,   _MANAGERS,   _ALL,        _OWN,        _MANAGERS,       _MANAGERS)
MANAGES    = ( _MANAGERS,    _MANAGERS,   _MANAGERS,   _ALL,        _OWN,        _MANAGERS,       _MANAGERS)
ERASES     = ( _ALL,         _NOT_YOU,    _NOT_YOU,    _NOT_YOU,    _NOT_YOU,    _ALL,            _NOT_YOU)
LISTS_OWN  = ( _OWN,         _NONE,       _NONE,       _NONE,       _NONE,       _OWN,            _NONE)
LISTS_SET  = ( _NONE,        _NONE,       _NONE,       _ALL,        _OWN,        _NONE,           _NONE)
# fmt: on

NEW_JOB = frozenset({"jobs", "ledger"})
SETTING = frozenset({"guild_settings", "settings_changes"})
DEFAULTS = frozenset({"preferences"})
PAUSES = frozenset({"queue_pauses"})
BLOCKS = frozenset({"blocks"})
CANCELS = frozenset({"jobs", "ledger", "outbox"})
DELETES = frozenset({"jobs", "images"})
WORDS = {"prompt": "a dog", "size": "square", "style": "-"}


def _changes(options: Mapping[str, Any] | None = None, *, cells: Cells = MANAGES, tables: frozenset[str] = SETTING) -> Door:
    return Door(cells=cells, options=options or {}, changes=tables)


def _shows(cells: Cells, tells: str = "", **options: Any) -> Door:
    return Door(cells=cells, options=options, tells=tells)


MEMBERS: Mapping[str, Door] = {
    "/anime": _changes({"prompt": "a cat"}, cells=DRAWS, tables=NEW_JOB),
    "/help": _shows(EVERYBODY),
    "/about": _shows(EVERYBODY),
    "/queue show": _shows(EVERYBODY),
    "/queue cancel": _changes({"job": "$waiting"}, cells=REMOVES, tables=CANCELS),
    "/quota show": _shows(EVERYBODY),
    "/privacy show": _shows(EVERYBODY),
    "/privacy export": _shows(EVERYBODY),
    "/privacy delete": _shows(EVERYBODY),
    "/profile show": _shows(EVERYBODY),
    "/profile set": _changes({"size": "portrait"}, cells=EVERYBODY, tables=DEFAULTS),
    "/profile reset": _changes(cells=EVERYBODY, tables=DEFAULTS),
    "typing /anime style": _shows(EVERYBODY),
    "typing /anime second_style": _shows(EVERYBODY),
    "typing /profile set style": _shows(EVERYBODY),
    "typing /profile set size": _shows(EVERYBODY),
    "typing /queue cancel job": _shows(LISTS_OWN),
}
CARDS: Mapping[str, Door] = {
    "menu Remix": _shows(FILLS_IN, OWNERS_WORD),
    "menu Details": _shows(SEES, OWNERS_WORD),
    "menu Report": _shows(REPORTS),
    "menu Read settings": _shows(EVERYBODY),
    "press reroll": _changes(cells=REUSES, tables=NEW_JOB),
    "press subtle": _changes(cells=REUSES, tables=NEW_JOB),
    "press strong": _changes(cells=REUSES, tables=NEW_JOB),
    "press upscale": _changes(cells=REUSES, tables=NEW_JOB),
    "press remix": _shows(FILLS_IN, OWNERS_WORD),
    "form remixed": _changes(WORDS, cells=REUSES, tables=NEW_JOB),
    "press details": _shows(SEES, OWNERS_WORD),
    "press cancel": _changes(cells=REMOVES, tables=CANCELS),
    "press delete": _changes(cells=REMOVES, tables=DELETES),
    "press report": _shows(REPORTS),
    "form reported": _changes({"reason": "bad"}, cells=REPORTS, tables=frozenset({"reports", "complaints"})),
    "press found": _shows(DRAWS),
    "form adopted": _changes({**WORDS, "numbers": ""}, cells=DRAWS, tables=NEW_JOB),
    "press profile": _shows(EVERYBODY),
    "form profiled": _changes({"style": "ink", "negative_prompt": "x"}, cells=EVERYBODY, tables=DEFAULTS),
    "press erase": _changes(cells=ERASES, tables=DELETES | CANCELS | DEFAULTS | {"erasures", "reports"}),
}
MODERATORS: Mapping[str, Door] = {
    "/moderation block": _changes({"member": "$victim"}, cells=MODERATES, tables=BLOCKS),
    "/moderation unblock": _changes({"member": "$blocked"}, cells=MODERATES, tables=BLOCKS),
    "/moderation blocks": _shows(MODERATES, "until a moderator lifts it"),
    "/moderation remove": _changes({"picture": "$done"}, cells=REMOVES_IT, tables=DELETES),
    "/moderation jobs": _shows(MODERATES, OWNERS_WORD, member="$owner"),
    "typing /moderation block duration": _shows(EVERYBODY),
    "press reportremove": _changes(cells=DECIDES, tables=DELETES | {"reports"}),
    "press reportblock": _changes(cells=DECIDES, tables=BLOCKS | {"reports", "jobs", "ledger", "outbox"}),
    "press reportdismiss": _changes(cells=DECIDES, tables=frozenset({"reports"})),
}
MANAGERS: Mapping[str, Door] = {
    "/queue server": _shows(RUNS_QUEUE, OWNERS_WORD),
    "/queue pause": _changes(cells=RUNS_QUEUE, tables=PAUSES),
    "/queue resume": Door(cells=RUNS_QUEUE, changes=PAUSES, while_paused=True),
    "/quota grant": _changes({"member": "$owner", "credits": 3}, cells=GRANTS, tables=frozenset({"ledger"})),
}
SETTINGS: Mapping[str, Door] = {
    "/settings panel": _shows(MANAGES, SERVERS_WORD, page="safety"),
    "/settings show": _shows(MANAGES, SERVERS_WORD),
    "/settings history": _shows(MANAGES),
    "/settings export": _shows(MANAGES, SERVERS_WORD),
    "/settings import": _changes({"file": "$file"}),
    "/settings reset": _changes({"setting": "everything"}),
    "/settings negative-prompt": _changes({"text": "x"}),
    "/settings safety": _changes({"level": "strict"}),
    "/settings spoilers": _changes({"pictures": "never"}),
    "/settings reuse": _changes({"who": "False"}),
    "/settings language": _changes({"language": "ja"}),
    "/settings reports": _changes({"channel": "$channel"}),
    "/settings channels add": _changes({"channel": "$channel"}),
    "/settings channels remove": _changes({"channel": "$listed_channel"}),
    "/settings channels clear": _changes(),
    "/settings roles add": _changes({"role": "$role"}),
    "/settings roles remove": _changes({"role": "$listed_role"}),
    "/settings roles clear": _changes(),
    "/settings exempt add": _changes({"role": "$role"}),
    "/settings exempt remove": _changes({"role": "$listed_role"}),
    "/settings exempt clear": _changes(),
    "/settings allowance everybody": _changes({"credits": 5}),
    "/settings allowance role": _changes({"role": "$role", "credits": 3}),
    "/settings allowance remove": _changes({"role": "$listed_role"}),
    "/settings allowance clear": _changes(),
    "/settings priority role": _changes({"role": "$role", "turns": 3}),
    "/settings priority remove": _changes({"role": "$listed_role"}),
    "/settings priority clear": _changes(),
    "/settings limit waiting": _changes({"most": 2}),
    "/settings limit size": _changes({"most": 4096}),
    "/settings limit steps": _changes({"most": 20}),
    "/settings limit pictures": _changes({"most": 2}),
    "/settings styles default": _changes(),
    "/settings styles allow": _changes({"style": "ink"}),
    "/settings styles disallow": _changes({"style": "pastel"}),
    "/settings styles allow-all": _changes(),
    "/settings words add": _changes({"word": "cat"}),
    "/settings words remove": _changes({"word": "$word"}),
    "/settings words clear": _changes(),
    "/settings keep pictures": _changes({"days": 1}),
    "/settings keep prompts": _changes({"days": 1}),
    "typing /settings limit size most": _shows(EVERYBODY),
    "typing /settings styles default style": _shows(EVERYBODY),
    "typing /settings styles allow style": _shows(EVERYBODY),
    "typing /settings styles disallow style": _shows(LISTS_SET, "pastel"),
    "typing /settings words remove word": _shows(LISTS_SET, SERVERS_WORD),
}
PANEL: Mapping[str, Door] = {
    "panel theme": _shows(MANAGES, SERVERS_WORD, values=["safety"]),
    "panel history": _shows(MANAGES, SERVERS_WORD),
    "panel allowed_channels": _changes({"values": ["$channel"]}),
    "panel allowed_roles": _changes({"values": ["$role"]}),
    "panel exempt_roles": _changes({"values": ["$role"]}),
    "panel max_pixels": _changes({"values": ["4096"]}),
    "panel max_images": _changes({"values": ["2"]}),
    "panel default_style": _changes({"values": ["-"]}),
    "panel allowed_styles": _changes({"values": ["pastel", "ink"]}),
    "panel safety": _changes({"values": ["strict"]}),
    "panel report_channel": _changes({"values": []}),
    "panel language": _changes({"values": ["ja"]}),
    "panel spoilers": _changes({"values": ["never"]}),
    "panel others_may_reuse": _changes({"values": ["False"]}),
    "panel daily_credits": _shows(MANAGES),
    "panel role_credits": _shows(MANAGES),
    "panel waiting_jobs": _shows(MANAGES),
    "panel role_priorities": _shows(MANAGES),
    "panel max_steps": _shows(MANAGES),
    "panel default_negative_prompt": _shows(MANAGES, "hats"),
    "panel blocked_words": _shows(MANAGES, SERVERS_WORD),
    "panel picture_days": _shows(MANAGES),
    "panel prompt_days": _shows(MANAGES),
    "panel form daily_credits": _changes({"number": "5"}),
    "panel form role_credits": _changes({"role": "$role", "number": "5"}),
    "panel form waiting_jobs": _changes({"number": "5"}),
    "panel form role_priorities": _changes({"role": "$role", "number": "5"}),
    "panel form max_steps": _changes({"number": "5"}),
    "panel form default_negative_prompt": _changes({"text": "x"}),
    "panel form blocked_words": _changes({"text": "cat"}),
    "panel form picture_days": _changes({"number": "5"}),
    "panel form prompt_days": _changes({"number": "5"}),
}
DOORS: Mapping[str, Door] = {**MEMBERS, **CARDS, **MODERATORS, **MANAGERS, **SETTINGS, **PANEL}
