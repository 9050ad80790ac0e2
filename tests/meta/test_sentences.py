"""What a member reads is an English template with values: a sentence that is put together in the code is never translated."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.locales.catalogues import KEYWORDS, MEMBER_ERRORS, TERMINAL, template

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted([*(ROOT / "bot").rglob("*.py"), *(ROOT / "cogs").rglob("*.py")])


def member_errors() -> set[str]:
    """Returns the names of the errors that members see, with those that are derived from them anywhere."""
    classes = [node for file in CODE for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)]
    found = set(MEMBER_ERRORS)
    while more := {one.name for one in classes if found & {ast.unparse(base) for base in one.bases}} - found:
        found |= more
    return found


def called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def sentences() -> Iterator[tuple[str, ast.expr]]:
    """Yields each expression that stands in the place of a template, with its file and line."""
    names = member_errors() | set(KEYWORDS)
    for file in CODE:
        path = str(file.relative_to(ROOT))
        if path.startswith(TERMINAL):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and called(node) in names:
                for template_ in node.args[: max(KEYWORDS.get(called(node)) or (1,))]:
                    yield f"{path}:{node.lineno}", template_


def is_put_together(sentence: ast.expr) -> bool:
    formatted = isinstance(sentence, ast.Call) and called(sentence) in {"format", "join"}
    return formatted or isinstance(sentence, ast.JoinedStr | ast.BinOp)


def test_no_sentence_for_a_member_is_put_together_in_the_code():
    assert {"WithheldError", "LostFileError"} <= member_errors(), "the rule misses errors that are derived"
    for place, sentence in sentences():
        assert not is_put_together(sentence), f"{place}: write a template with values, as bot/messages.py shows."


def test_every_sentence_is_found_where_it_is_written():
    known = {text for message in template() for text in ([message.id] if isinstance(message.id, str) else message.id)}
    written = [(place, one.value) for place, one in sentences() if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    assert len(written) > 100, "the rule looks at nothing"
    for place, text in written:
        assert text in known, f"{place}: the extraction does not see {text!r}. Write it as the first argument, whole."


def test_a_sentence_that_is_put_together_is_noticed():
    for source in ('f"{a} b"', '"a" + b', '"%s b" % a', '"{} b".format(a)', '", ".join(a)'):
        assert is_put_together(ast.parse(source, mode="eval").body), source
    assert not is_put_together(ast.parse('"a {b}"', mode="eval").body)
