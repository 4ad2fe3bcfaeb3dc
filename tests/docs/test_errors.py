"""The documented tables of errors match the server's."""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from penstock_server.rpc.status import Resend, Row, table

ROOT = Path(__file__).parents[2]
_WORDS = {
    "yes": Resend.YES,
    "elsewhere": Resend.ELSEWHERE,
    "you decide": Resend.CALLER_DECIDES,
    "no": Resend.NO,
    "never": Resend.NEVER,
}


def _rows() -> Iterator[Row]:
    for value in vars(table).values():
        for one in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(one, Row):
                yield one


ROWS = {(row.code.name, row.reason, row.resend) for row in _rows()}


def test_every_row_is_in_the_table() -> None:
    functions = (
        node
        for module in (ROOT / "server" / "penstock_server").rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    )
    assert not [function.name for function in functions if "Row(" in ast.unparse(function)]


def test_the_page() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    documented = re.findall(r"^\| `([A-Z_]+)` \| `([A-Z_]+)` \| ([a-z ]+) \|", page, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert {(code, reason, _WORDS[word]) for code, reason, word in documented} == ROWS


def test_the_page_groups_rows_by_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    codes = re.findall(r"^\| `([A-Z_]+)` \| `", page, re.MULTILINE)
    changes = sum(one != other for one, other in pairwise(codes))
    assert changes == len(set(codes)) - 1


def test_the_comment_of_the_protos() -> None:
    comment = (ROOT / "protos" / "penstock" / "v1" / "common.proto").read_text("utf-8")
    listed = comment.partition("// # Errors")[2].partition("\nsyntax")[0]
    documented, code = set(), ""
    for line in listed.splitlines():
        if heading := re.match(r"// ([A-Z_]+)\b.*:$", line):
            code = heading[1]
        elif code and (entry := re.match(r"// - ([A-Z_]+):", line)):
            documented.add((code, entry[1]))
    assert documented == {(code, reason) for code, reason, _ in ROWS}
