"""The pages that people read say what is there: settings, exit codes, metrics, commands, and paths that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from discord import app_commands

from bot.chat.settings.text import SETTING_TEXTS
from bot.errors import OperatorError
from bot.metrics import Metrics
from bot.services.guild_settings import GuildSettingsService
from bot.setting_sources import OF_LIBRARIES
from bot.settings import Settings
from cogs._settings_commands import add_setting_commands

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / ".github" / "manual"
OPERATORS = MANUAL / "operators.md"
MEMBERS = MANUAL / "members.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
PAGES = sorted([ROOT / "README.md", ROOT / "tests" / "README.md", *(ROOT / ".github").rglob("*.md")])
TOP_LEVEL = {"bot", "cogs", "data", "tests", ".github", ".ci"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_the_manual_and_in_the_example(name):
    assert f"\n| `{name.upper()}` |" in OPERATORS.read_text(), f"Give {name.upper()} a row in {name_of(OPERATORS)}."
    assert f"{name.upper()}=" in (ROOT / ".env.example").read_text(), f"Describe {name.upper()} in .env.example."


def test_the_example_names_no_setting_that_does_not_exist():
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert named - set(OF_LIBRARIES) == {name.upper() for name in Settings.model_fields}


def exit_codes(kind: type[OperatorError]) -> set[int]:
    return {kind.exit_code}.union(*(exit_codes(narrower) for narrower in kind.__subclasses__()))


def test_every_exit_code_stands_in_the_manual_and_no_other():
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", OPERATORS.read_text(), re.MULTILINE)}

    assert told == exit_codes(OperatorError) - {OperatorError.exit_code} | {0}


def test_every_metric_stands_in_the_manual_and_no_other():
    told = set(re.findall(r"`(pastel_\w+)`", OPERATORS.read_text()))

    assert told == {family.name for family in Metrics().registry.collect() if family.name.startswith("pastel_")}


def names_in_the_cogs() -> dict[str, set[str]]:
    """Returns the names of commands and groups, by the cog that has them."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "cogs").glob("*.py"):
        keywords = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.keyword))
        found[file.stem] = {
            word.value.value
            for word in keywords
            if word.arg in {"name", "group_name"} and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str)
        }
    found["settings"] |= names_of_setting_commands()
    return found


def names_of_setting_commands() -> set[str]:
    """Returns the names of the commands that are made from the table of settings."""
    group = app_commands.Group(name="settings", description="-")
    add_setting_commands(group, create_autospec(GuildSettingsService, instance=True))
    return {command.name for command in group.walk_commands()}


def test_every_command_stands_in_the_manual():
    told = {words for line in MEMBERS.read_text().splitlines() for words in re.findall(r"`/([a-z -]+)`", line)}
    groups = ("queue", "quota", "profile", "privacy", "moderation")
    commands = {f"{group} {name}" for group in groups for name in names_in_the_cogs()[group] - {group}}

    assert len(commands) > 10, "the rule looks at nothing"
    assert commands | {"anime", "settings", "help", "about"} <= told


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_names_only_commands_that_exist(page):
    of_settings = {word for text in SETTING_TEXTS.values() for path, _ in text.commands for word in path.split()}
    known = of_settings.union(*names_in_the_cogs().values())
    for words in re.findall(r"`/([a-z]+(?: [a-z-]+)*)(?: [a-z]+:[^`]*)?`", page.read_text()):
        if words not in {"healthz", "metrics", "tmp", "data"}:
            assert set(words.split()) <= known, f"{name_of(page)} names /{words}, which is no command."


def anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", page.read_text())
    for target in (link or source for link, source in targets):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} links to {target}, which does not exist."
        assert not anchor or anchor in anchors(file), f"{name_of(page)} links to {target}, but there is no such heading."


def expanded(path: str) -> Iterator[str]:
    """Yields the paths that `a/{b,c}.py` stands for."""
    if match := re.search(r"\{([^}]*)\}", path):
        for part in match[1].split(","):
            yield from expanded(path[: match.start()] + part.strip() + path[match.end() :])
    else:
        yield path


def named_paths(text: str) -> Iterator[str]:
    for quoted in re.findall(r"`([^`\n]+)`", text):
        if quoted.partition("/")[0] in TOP_LEVEL and "/" in quoted and " " not in quoted:
            yield from expanded(quoted)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_paths_that_a_page_names_exist(page):
    for path in named_paths(page.read_text()):
        concrete = path.replace("NAME", "*").replace("NNNN", "*").replace("LANGUAGE", "*")
        assert any(ROOT.glob(concrete.rstrip("/"))), f"{name_of(page)} names {path}, which does not exist."


def test_every_module_of_the_table_of_moves_is_where_it_says():
    rows = re.findall(r"^\| (?:bot|cogs)[a-z/]* \| `([^`]+)` \| (.+) \|$", CONTRIBUTING.read_text(), re.MULTILINE)
    moved = [(folder, name.split(" → ")[-1]) for folder, names in rows for name in names.partition(", and ")[0].split(", ")]

    assert len(moved) > 100, "the rule looks at nothing"
    for folder, name in moved:
        assert (ROOT / folder / f"{name}.py").exists(), f"{name_of(CONTRIBUTING)} says that {name}.py is in {folder}."


def test_the_hooks_before_a_commit_run_the_linter_of_make_test():
    rev = re.search(r"^    rev: v(\S+)", (ROOT / ".pre-commit-config.yaml").read_text(), re.MULTILINE)

    assert rev is not None
    for page in ("pyproject.toml", "constraints.txt"):
        assert f"ruff=={rev[1]}" in (ROOT / page).read_text(), f".pre-commit-config.yaml and {page} differ about ruff."
