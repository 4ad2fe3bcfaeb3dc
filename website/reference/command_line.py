"""The reference of the command line, from its parsers."""

import argparse
from collections.abc import Iterator

from penstock_server.cli import command_line
from website.markdown import cell, escaped

_INTRODUCTION = """# Command line

The arguments and options of each command, from its parser. [Commands](../cli.md) describes the
commands that call a service, with examples."""
# Its options are described in full, with their keys, on a page of their own.
_CONFIGURED = {"serve": "[Configuration](../configuration.md#options) lists the options."}


def page() -> str:
    """Returns the page."""
    blocks = [block for name, parser in commands().items() for block in _command(name, parser)]
    return "\n\n".join([_INTRODUCTION, *blocks, ""])


def commands() -> dict[str, argparse.ArgumentParser]:
    """Returns the parser of each command."""
    for action in command_line()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise ValueError("the command line has no commands")


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## penstock {name} {{ #{name} }}"
    yield parser.description or ""
    if name in _CONFIGURED:
        yield _CONFIGURED[name]
        return
    for group in parser._action_groups:
        if rows := [_row(parser, action) for action in group._group_actions if shown(action)]:
            title = "option" if group.title == "options" else group.title
            yield "\n".join([f"| {title} | |", "| --- | --- |", *rows])


def shown(action: argparse.Action) -> bool:
    """Returns whether the help of a command lists an argument or option, except for --help."""
    return action.help != argparse.SUPPRESS and action.dest != "help"


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    invocation = formatter._format_action_invocation(action)
    text = formatter._expand_help(action) if action.help else ""
    return f"| `{cell(invocation)}` | {cell(escaped(text))} |"
