"""Line numbers in errors of a configuration file."""

import contextlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock_server.configuration import read_callers
from penstock_server.options import SettingsError
from penstock_server.options.toml_lines import Key, line_of

DOCUMENTS = {
    "empty": "",
    "keys and comments": '# [x]\n\na = 1 # b = 2\n\n  c = "d # [e" \n\nf = [] # "',
    "dotted keys": 'a.b.c = 1\na.d = 2\n"a"."e f" = 3\na . g = 4\n',
    "quoted keys": '"a.b" = 1\n\'c\\d\' = 2\n"\\u00e9\\"" = 3\n["x]".\'y = z\']\nk = 1\n',
    "lists over several lines": 'a = [\n  1, # ]\n  [2,\n "]"],\n]\nb = 1\n',
    "texts over several lines": 'a = """\n[x]\n\\""" c = 1\n"""\nd = 1',
    "quotes at the end of a text": 'a = """x"""""\nb = \'\'\'\n\'y\'\'\'\'\'\nc = ""\nd = 1\n',
    "inline tables": 'a = {b = {c = 1}, d = ["}", "#"]}\ne = [{f = 1}, {f = 2, g = [\n3]}]\nh = 1',
    "tables": "[a.b]\nc = 1\n[a]\nd = 1\n[ e . f ]\n",
    "tables with one name": (
        "[[a]]\nb = 1\n[[a]]\nb = 2\n[[a.c]]\nd = 1\n[[a.c]]\n[a.c.e]\nf = 1\n[[a]]\n[a.g]\nh = 1\n"
    ),
    "Windows line endings": "# x\r\na = 1\r\n\r\n[b]\r\nc = '''\r\n'''\r\nd = 1\r\n",
}


def paths(content: Any) -> Iterator[tuple[Key, ...]]:
    """Yields the keys to every value, and to some that are missing."""
    items: Sequence[tuple[Key, Any]] = ()
    if isinstance(content, Mapping):
        items = [*content.items(), ("missing", None)]
    elif isinstance(content, list):
        items = [*enumerate(content), (len(content), None)]
    for key, inner in items:
        yield (key,)
        for rest in paths(inner):
            yield (key, *rest)


def depth(content: Any, keys: Sequence[Key]) -> int:
    """Returns how many of the nested keys exist."""
    for number, key in enumerate(keys):
        if isinstance(key, str):
            there = isinstance(content, Mapping) and key in content
        else:
            there = isinstance(content, list) and key < len(content)
        if not there:
            return number
        content = content[key]
    return len(keys)


def line_by_parsing(text: str, keys: Sequence[Key]) -> int:
    """Returns the line where the shortest valid beginning of the file with the value ends."""
    lines = text.splitlines(keepends=True)
    wanted = depth(tomllib.loads(text), keys)
    for count in range(1, len(lines)):
        for end in range(count, len(lines) + 1):
            with contextlib.suppress(tomllib.TOMLDecodeError):
                if depth(tomllib.loads("".join(lines[:end])), keys) >= wanted:
                    return count
                break
    return max(1, len(lines))


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_the_line_of_every_value(text: str) -> None:
    every = list(paths(tomllib.loads(text)))
    found = {keys: line_of(text, keys) for keys in every}
    assert found == {keys: line_by_parsing(text, keys) for keys in every}


def test_a_file_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a long one with a fault at its end."""
    parsed, loads = list[str](), tomllib.loads

    def counting(text: str) -> dict[str, Any]:
        parsed.append(text)
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counting)
    keys = [
        f'[[caller]]\nname = "caller {number}"\nkeys = ["s-{number}"]\n' for number in range(500)
    ]
    file = tmp_path / "callers.toml"
    file.write_text("".join([*keys, '[[caller]]\nname = "last"\nsecrte = "x"\n']))
    with pytest.raises(SettingsError, match=f"{file}:1503: caller 'last'.*secrte: unknown key"):
        read_callers(str(file))
    assert len(parsed) == 1
