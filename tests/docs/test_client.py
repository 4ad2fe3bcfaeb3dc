"""docs/python.md and docs/cli.md mention every resource, command and variable."""

import argparse
import re
from pathlib import Path

from penstock import Client
from penstock._base.caller import Resource
from penstock.cli import add_commands

DOCS = Path(__file__).parents[2] / "docs"
PYTHON, CLI = ((DOCS / name).read_text("utf-8") for name in ("python.md", "cli.md"))
VARIABLE = re.compile(r"PENSTOCK_[A-Z_]+")


def test_every_resource() -> None:
    with Client("127.0.0.1:1") as client:
        resources = {name for name, one in vars(client).items() if isinstance(one, Resource)}
    rows = [line for line in PYTHON.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)", row.split(" | ")[0])}
    assert resources <= named


def test_every_command() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_commands(parser, commands)
    assert set(re.findall(r"^\| `penstock (\w+)", CLI, re.MULTILINE)) == set(commands.choices)
    parsers = commands.choices.values()
    existing = {option for parser in parsers for option in parser._option_string_actions}
    assert set(re.findall(r"`(--[\w-]+)", CLI)) <= existing


def test_every_variable() -> None:
    assert Client.__doc__
    assert set(VARIABLE.findall(Client.__doc__)) == set(VARIABLE.findall(PYTHON))
