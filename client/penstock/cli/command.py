"""Code that all commands share: connection options, output, error handling."""

import argparse
import io
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from penstock._base.call_log import LOGGER
from penstock._base.settings import LONGEST_S, UNSET, Unset
from penstock._base.spelling import alike
from penstock.channel import DEFAULT_TARGET, TLS
from penstock.cli.screen import can_redraw
from penstock.cli.wrapping import wrapped
from penstock.client import Client
from penstock.errors import CallError, PenstockError

EXIT_OK = 0
EXIT_FAILED = 1
"""The call failed, or the service is not serving."""
EXIT_USAGE = 2

FILE_COMPLETION: dict[str, str | dict[str, str]] = {}
"""How each shell completes a file name; only `penstock completion` fills it."""

Subparsers = Any

_C1_CONTROLS = re.compile("[\x7f-\x9f]")
# All control characters except line feed and tab.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BYTE_ORDER_MARK = "\ufeff"

_TLS_FILES = {
    "ca": "certificates to trust",
    "cert": "client certificate, for a service that requires one",
    "key": "private key of the client certificate",
}


class UsageError(Exception):
    """The arguments, or their combination, are not valid."""


def add_command(
    commands: Subparsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    variable: str = "PENSTOCK_TARGET",
    default: str = DEFAULT_TARGET,
    add_groups: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> argparse.ArgumentParser:
    """Adds a command, with the options that all commands have.

    Args:
        commands: the command line.
        name: name of the command.
        run: runs the command and returns its exit code.
        summary: one-line description.
        variable: environment variable for the target.
        default: target if neither option nor variable is set.
        add_groups: adds groups of options that the help lists before those of the service.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False
    )
    add_groups(parser)
    _add_service(parser, variable, default)
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    parser.set_defaults(command=name, run=lambda arguments: guarded(run, arguments))
    return parser


def _add_service(parser: argparse.ArgumentParser, variable: str, default: str) -> None:
    group = parser.add_argument_group("the service")
    add, key = group.add_argument, group.add_mutually_exclusive_group().add_argument
    add(
        "--target",
        metavar="HOST:PORT",
        default=os.environ.get(variable, "").strip() or default,
        help=f"address of the service [environment {variable}] (default {default})",
    )
    key(
        "--api-key",
        metavar="KEY",
        help="sent as bearer token; visible to other users of this machine through ps "
        "[environment PENSTOCK_API_KEY]",
    )
    file_name(key("--api-key-file", metavar="FILE", help="file that contains the bearer token"))
    add("--tls", action="store_true", default=None, help="use TLS [environment PENSTOCK_TLS=1]")
    for part, what in _TLS_FILES.items():
        text = f"{what}, in PEM format [environment PENSTOCK_TLS_{part.upper()}]"
        file_name(add(f"--tls-{part}", metavar="FILE", help=text))
    add(
        "--tls-server-name",
        metavar="NAME",
        help="name that the service's certificate must have",
    )
    add(
        "--metadata",
        metavar="KEY=VALUE",
        type=_pair,
        action="append",
        default=[],
        help="sent with every call; repeatable",
    )
    add(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="deadline of a call, 0 for none [environment PENSTOCK_TIMEOUT] "
        "(default: none; health: 5)",
    )
    add(
        "-v",
        "--show-metadata",
        action="store_true",
        help="report the metadata of calls, and their trailers",
    )


def _pair(given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{given!r} is not in the form KEY=VALUE")
    return key, value


def seconds(given: str) -> float:
    """Parses the value of an option that is a number of seconds."""
    try:
        read = float(given)
    except ValueError:
        read = math.nan
    if not 0 <= read <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"{given!r} is not a valid number of seconds")
    return read


def file_name(action: argparse.Action) -> None:
    """Marks an argument as a file name, which shells complete."""
    action.complete = FILE_COMPLETION  # type: ignore[attr-defined]  # shtab's own attribute


def free_text(action: argparse.Action) -> None:
    """Marks an argument as free text; without the mark, zsh would not complete options."""
    action.complete = {"zsh": "( )"}  # type: ignore[attr-defined]


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names the model."""
    free_text(parser.add_argument("-m", "--model", help="name of the model; default: the only one"))


def connect(arguments: argparse.Namespace, timeout: float | None = None) -> Client:
    """Returns a client that the options describe.

    Args:
        arguments: the command line.
        timeout: timeout of calls if neither option nor variable sets one.

    Raises:
        UsageError: an option or an environment variable is not valid.
    """
    if arguments.show_metadata:
        _metadata.show()
    try:
        return Client(
            arguments.target,
            api_key=_api_key(arguments),
            tls=_tls(arguments),
            timeout=_timeout(arguments, timeout),
            metadata=arguments.metadata,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


class _Metadata(logging.Handler):
    """Reports the client's debug log, which contains metadata."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.held is None:
            report(record.getMessage())
        else:
            self.held.append(record.getMessage())

    def show(self) -> None:
        """Begins to report."""
        LOGGER.addHandler(self)
        LOGGER.setLevel(logging.DEBUG)
        LOGGER.propagate = False


_metadata = _Metadata()


@contextmanager
def metadata_held() -> Iterator[None]:
    """Reports metadata at the end, after an output that would be interrupted."""
    _metadata.held = []
    try:
        yield
    finally:
        held, _metadata.held = _metadata.held, None
        for line in held:
            report(line)


def _api_key(arguments: argparse.Namespace) -> str | None:
    if not arguments.api_key_file:
        key: str | None = arguments.api_key
        return key
    return Path(arguments.api_key_file).read_text().strip()


def _tls(arguments: argparse.Namespace) -> TLS | bool | None:
    given = {part: getattr(arguments, f"tls_{part}") for part in _TLS_FILES}
    name = arguments.tls_server_name
    if not name and not any(given.values()):
        return True if arguments.tls else None
    for part in _TLS_FILES:
        given[part] = given[part] or os.environ.get(f"PENSTOCK_TLS_{part.upper()}") or None
    return TLS(**given, server_name=name or "")


def _timeout(arguments: argparse.Namespace, otherwise: float | None) -> float | Unset | None:
    if arguments.timeout is not None:
        return arguments.timeout or None
    return UNSET if os.environ.get("PENSTOCK_TIMEOUT") else otherwise


def read_input() -> str:
    """Returns all of standard input; empty if it is a terminal or closed.

    Raises:
        UsageError: the input is not valid text.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="strict")
    try:
        return sys.stdin.read().removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not valid {error.encoding} text") from error


def lines_or(given: Sequence[str], what: str) -> list[str]:
    """Returns the given texts, or the lines of standard input if there are none.

    Raises:
        UsageError: there are no texts and standard input is empty.
    """
    if given:
        return list(given)
    if not (text := read_input()):
        raise UsageError(f"no {what} given, and none on standard input")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def show(message: Message, *, zeros: bool = False) -> None:
    """Prints a message as JSON, on one line, or indented on a terminal.

    Args:
        message: the message.
        zeros: whether to print fields that are zero or empty.
    """
    shown = MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=zeros,
        indent=2 if sys.stdout.isatty() else None,
        ensure_ascii=sys.stdout.encoding.lower() != "utf-8",
    )
    # JSON itself escapes the other control characters.
    print(_C1_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", shown))


def report(problem: object) -> None:
    """Prints one line to standard error, with the request id of a call that reached a service."""
    reached = not isinstance(problem, CallError) or problem.status.reached
    request_id = problem.request_id if isinstance(problem, PenstockError) and reached else ""
    suffix = f" (request {request_id})" if request_id else ""
    line = f"penstock: {printable(str(problem))}{suffix}"
    print(wrapped(line) if can_redraw(sys.stderr) else line, file=sys.stderr)


def printable(text: str) -> str:
    """Returns a text with control characters escaped, which could control the terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def on(stream: TextIO, text: str) -> str:
    """Returns a model's text for a stream; for a terminal, with control characters escaped."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text) if stream.isatty() else text


def unrecognized(command: argparse.ArgumentParser, arguments: Sequence[str]) -> str:
    """Returns the error message for arguments that a command does not know.

    It suggests the option that the first one is probably meant to be.
    """
    message = f"unrecognized arguments: {' '.join(arguments)}"
    known = command._option_string_actions  # noqa: SLF001  (argparse has no other list)
    for given in arguments:
        if meant := alike(given.partition("=")[0], known):
            return f"{message} (did you mean {meant}?)"
    return message


def guarded(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Runs a command and returns its exit code, even if it raises an error."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (until the end)
    if sys.stdout is None:
        report("standard output is closed")
        return EXIT_FAILED
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Print the answer even if the terminal cannot show all characters.
        sys.stdout.reconfigure(errors="backslashreplace")
    code = _run(run, arguments)
    return code if _flushed() else EXIT_FAILED


def _run(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        _check_texts(arguments)
        return run(arguments)
    except (UsageError, ValueError) as error:
        report(f"{error}; see penstock {arguments.command} --help")
        return EXIT_USAGE
    except BrokenPipeError:
        return EXIT_FAILED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        report(f"{place}{error.strerror or error}")
        return EXIT_FAILED
    except PenstockError as error:
        report(error)
        return EXIT_FAILED


def _check_texts(arguments: argparse.Namespace) -> None:
    for value in vars(arguments).values():
        for text in value if isinstance(value, list) else (value,):
            try:
                str(text).encode()
            except UnicodeEncodeError as error:
                raise UsageError("an argument is not valid UTF-8 text") from error


def _flushed() -> bool:
    """Flushes standard output; returns whether that succeeded."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # A reader that stops early, such as `head`, is not an error. Prevent a flush at exit.
        if not isinstance(error, BrokenPipeError):
            report(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
