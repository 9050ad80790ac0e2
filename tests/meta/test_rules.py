"""Rules about the code that no linter knows. A message says how to mend the breach; a floor, that something was looked at."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted([*(ROOT / "bot").rglob("*.py"), *(ROOT / "cogs").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "manager", "misc", "common"}
BLOCKING = {"time.sleep", "requests.get", "subprocess.run", "sqlite3.connect", "urllib.request.urlopen"}


def trees(files: list[Path]) -> Iterator[tuple[Path, ast.Module]]:
    assert len(files) > 10, "the rule looks at nothing"
    for file in files:
        yield file, parsed(file)


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_files_and_functions_keep_their_budget():
    for file, tree in trees(CODE):
        lines = len(file.read_text().splitlines())
        assert lines <= 300, f"{file.relative_to(ROOT)} has {lines} lines. Split it by concept, not into utils."
        for function in functions(tree):
            length = (function.end_lineno or 0) - function.lineno + 1
            assert length <= 60, f"{file.relative_to(ROOT)}: {function.name} has {length} lines. Name its parts."


def test_no_module_is_called_after_nothing():
    for file in CODE:
        assert file.stem not in FORBIDDEN_NAMES, f"{file.relative_to(ROOT)}: name it after the concept that it holds."


def test_mocks_carry_a_spec():
    for file, tree in trees(TESTS):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in {"Mock", "MagicMock", "AsyncMock", "create_autospec"}:
                given = {keyword.arg for keyword in call.keywords}
                assert name == "create_autospec" or given & {"spec_set", "return_value", "side_effect"}, (
                    f"{file.relative_to(ROOT)}:{call.lineno}: give the mock a spec_set, so that a misspelt attribute fails."
                )


def test_nothing_blocks_inside_a_coroutine():
    for file, tree in trees(CODE):
        for function in functions(tree):
            if not isinstance(function, ast.AsyncFunctionDef):
                continue
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                name = ast.unparse(call.func)
                assert name not in BLOCKING, (
                    f"{file.relative_to(ROOT)}:{call.lineno}: {name} blocks the event loop; use a thread."
                )


def test_importing_the_bot_and_every_cog_loads_neither_torch_nor_diffusers():
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in (ROOT / "cogs").glob("*.py")]
    names = ["bot", "bot.__main__", "bot.bootstrap", *(name.removesuffix(".__init__") for name in modules)]
    program = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'peft'} & set(sys.modules)\n"
        "sys.exit(f'imported at start: {heavy}' if heavy else 0)"
    )

    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


def test_unfinished_marks_do_not_stand_in_the_code():
    for file in CODE:
        found = re.search(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError", file.read_text())
        assert not found, f"{file.relative_to(ROOT)}: finish it, or write an issue."
