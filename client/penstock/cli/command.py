"""What the commands have in common: the service, the output, the failures."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from penstock.channel import DEFAULT_TARGET, TLS
from penstock.client import Client
from penstock.errors import PenstockError

EXIT_OK = 0
EXIT_FAILED = 1
"""The call failed, or the service is not serving."""
EXIT_USAGE = 2

Subparsers = Any


class UsageError(Exception):
    """The arguments do not make sense together."""


def add_command(
    commands: Subparsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    variable: str = "PENSTOCK_TARGET",
    default: str = DEFAULT_TARGET,
) -> argparse.ArgumentParser:
    """Adds a command with the options that all commands have.

    Args:
        commands: the command line.
        name: the command's name.
        run: runs it and returns the exit code.
        summary: what it does, in a line.
        variable: names the target in the environment.
        default: the target if nothing names one.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False
    )
    add = parser.add_argument_group("the service").add_argument
    add(
        "--target",
        metavar="HOST:PORT",
        default=os.environ.get(variable) or default,
        help=f"its address [environment {variable}] (default {default})",
    )
    add("--api-key", metavar="KEY", help="sent as bearer token [environment PENSTOCK_API_KEY]")
    add("--tls", action="store_true", default=None, help="use TLS [environment PENSTOCK_TLS=1]")
    add(
        "--tls-ca",
        metavar="FILE",
        help="certificates to trust, in PEM [environment PENSTOCK_TLS_CA]",
    )
    add(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="deadline of a call [environment PENSTOCK_TIMEOUT] (default: none; health: 5)",
    )
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    parser.set_defaults(command=name, run=lambda arguments: _guarded(run, arguments))
    return parser


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names the model."""
    parser.add_argument("--model", help="the model; default: the only one there is")


def connect(arguments: argparse.Namespace) -> Client:
    """Returns a client as the options say.

    Raises:
        UsageError: an option or a variable of the environment makes no sense.
    """
    timeout = arguments.timeout or float(os.environ.get("PENSTOCK_TIMEOUT") or 0) or None
    tls = TLS(ca=arguments.tls_ca) if arguments.tls_ca else arguments.tls
    try:
        return Client(arguments.target, api_key=arguments.api_key, tls=tls, timeout=timeout)
    except ValueError as error:
        raise UsageError(str(error)) from error


def lines_or(given: Sequence[str], what: str) -> list[str]:
    """Returns the texts that were given, or the lines of standard input if none were.

    Raises:
        UsageError: there are neither.
    """
    found = list(given)
    if not found and not sys.stdin.isatty():
        found = [line.rstrip("\n") for line in sys.stdin]
    if not found:
        raise UsageError(f"no {what} given, and none on standard input")
    return found


def show(message: Message, *, zeros: bool = False) -> None:
    """Prints a message as JSON: one line, or several for people; fields that are 0 if asked."""
    indent = 2 if sys.stdout.isatty() else None
    print(
        MessageToJson(
            message,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=zeros,
            indent=indent,
            ensure_ascii=False,
        )
    )


def complain(problem: object) -> None:
    """Prints one line to standard error."""
    print(f"penstock: {printable(str(problem))}", file=sys.stderr)


def printable(text: str) -> str:
    """Returns a text with its control characters spelled out: what upstreams say steers nothing."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _guarded(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        code = run(arguments)
        sys.stdout.flush()
        return code
    except UsageError as error:
        complain(f"{error}; see penstock {arguments.command} --help")
        return EXIT_USAGE
    except BrokenPipeError:
        # The reader has had enough; nothing may be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except (PenstockError, OSError) as error:
        complain(error)
        return EXIT_FAILED
