"""`penstock upstreams`: lists the upstreams and their state."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from penstock.admin import Replica, UpstreamList
from penstock.cli.admin_command import add_admin_command, not_an_admin_address
from penstock.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    Subparsers,
    connect,
    printable,
    report,
    seconds,
    show,
)
from penstock.client import Client
from penstock.errors import CallError, UnimplementedError

HEADS = ("NAME", "ADDRESS", "STATE", "MODELS", "OUTSTANDING", "ERRORS", "LATENCY", "VERSION")

_DEFAULT_PAUSE_S = 2.0
_CLEAR_SCREEN = "\x1b[H\x1b[2J"


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "list the upstreams; exit 0 if all are ready, 1 if not"
    parser = add_admin_command(commands, "upstreams", _run, summary)
    parser.add_argument(
        "--watch",
        type=seconds,
        nargs="?",
        const=_DEFAULT_PAUSE_S,
        metavar="SECONDS",
        help=f"repeat at this interval until Ctrl-C (default {_DEFAULT_PAUSE_S:g})",
    )


def _run(arguments: argparse.Namespace) -> int:
    with connect(arguments) as client:
        try:
            if arguments.watch is not None:
                _watch(client, arguments)
            listed = client.admin.upstreams()
        except UnimplementedError as error:
            raise not_an_admin_address(arguments.target) from error
    _show(listed, arguments)
    return EXIT_OK if listed and all(replica.ready for replica in listed) else EXIT_FAILED


def _watch(client: Client, arguments: argparse.Namespace) -> None:
    """Shows the upstreams until interrupted; continues while the service is unreachable."""
    while True:
        try:
            listed = client.admin.upstreams()
        except UnimplementedError:
            raise
        except CallError as error:
            report(error)
        else:
            if sys.stdout.isatty():
                print(_CLEAR_SCREEN, end="")
            _show(listed, arguments)
            sys.stdout.flush()
        time.sleep(arguments.watch)


def _show(listed: UpstreamList, arguments: argparse.Namespace) -> None:
    if arguments.json:
        show(listed.proto, zeros=True)
        return
    for line in table([HEADS, *map(_row, listed)]):
        print(line)
    sys.stdout.flush()
    if listed.certificate_problem:
        report(f"certificate of the service: {listed.certificate_problem}")
    for replica in listed:
        if not replica.ready and replica.proto.last_error:
            report(f"{replica.upstream}: {replica.proto.last_error}")
        if odd := replica.proto.model_list_oddities:
            report(f"{replica.upstream}: odd model list: {odd}")


def _row(replica: Replica) -> tuple[str, ...]:
    proto = replica.proto
    return (
        replica.upstream,
        replica.address,
        replica.state,
        ",".join(replica.models) or "-",
        str(proto.outstanding),
        str(proto.errors),
        _time(replica.latency),
        proto.version or "-",
    )


def _time(took: float | None) -> str:
    if took is None:
        return "-"
    return f"{took:.3g}s" if took >= 1 else f"{took * 1000:.3g}ms"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields the lines of a table whose columns are as wide as their content."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
