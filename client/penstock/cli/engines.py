"""`penstock engines`: puts engines to sleep, wakes them, and empties their caches."""

import argparse
from collections.abc import Callable, Sequence

from penstock.admin import CacheName, EngineResults
from penstock.cli.admin_command import add_admin_command, not_an_admin_address
from penstock.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    Subparsers,
    connect,
    printable,
    report,
    show,
)
from penstock.cli.upstreams import table
from penstock.client import Client
from penstock.errors import UnimplementedError
from penstock.v1.admin_pb2 import ReplicaResult

_HEADS = ("NAME", "ADDRESS", "RESULT")
_CACHES: Sequence[CacheName] = ("prefix", "multimodal", "encoder")
_DEVELOPMENT_MODE = "requires vLLM's development mode"


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = f"put engines to sleep, wake them, or empty their caches; {_DEVELOPMENT_MODE}"
    parser = add_admin_command(commands, "engines", _run, summary)
    parser.add_argument("action", choices=("sleep", "wake", "reset"), help="what to do")
    parser.add_argument(
        "upstreams", metavar="NAME", nargs="+", help="upstream, as listed by penstock upstreams"
    )
    parser.add_argument(
        "--level",
        type=int,
        choices=range(3),
        default=1,
        help="sleep: 0 to pause, 1 to move the weights to the host's memory, 2 to discard them "
        "(default 1)",
    )
    parser.add_argument(
        "--mode",
        choices=("abort", "wait", "keep"),
        default="abort",
        help="sleep: whether running calls are aborted, completed first, or kept (default abort)",
    )
    parser.add_argument(
        "--tag",
        dest="tags",
        metavar="TAG",
        action="append",
        default=[],
        help="wake: part of the engine, such as weights or kv_cache; repeatable (default: all)",
    )
    parser.add_argument(
        "--cache",
        dest="caches",
        choices=_CACHES,
        action="append",
        help="reset: cache to empty; repeatable (default: all)",
    )


def _run(arguments: argparse.Namespace) -> int:
    with connect(arguments) as client:
        try:
            results = _act(client, arguments)
        except UnimplementedError as error:
            if error.reason != "UNSUPPORTED_OPERATION":
                raise
            raise not_an_admin_address(arguments.target) from error
    show_results(results, arguments, _result)
    return EXIT_FAILED if results.failed else EXIT_OK


def _act(client: Client, arguments: argparse.Namespace) -> EngineResults:
    names = arguments.upstreams
    match arguments.action:
        case "sleep":
            return client.admin.sleep(names, level=arguments.level, mode=arguments.mode)
        case "wake":
            return client.admin.wake_up(names, tags=arguments.tags)
        case _:
            return client.admin.reset_caches(names, arguments.caches or _CACHES)


def show_results(
    results: EngineResults, arguments: argparse.Namespace, describe: Callable[[ReplicaResult], str]
) -> None:
    """Prints the results for replicas, and reports those that failed.

    Args:
        results: the results.
        arguments: the arguments of the command.
        describe: returns the word for a result.
    """
    if arguments.json:
        show(results.proto, zeros=True)
        return
    for line in table([_HEADS, *((one.upstream, one.address, describe(one)) for one in results)]):
        print(line)
    for one in results.failed:
        report(f"{one.upstream}: {one.reason}: {printable(one.message)}")


def _result(result: ReplicaResult) -> str:
    if result.reason:
        return "failed"
    return "asleep" if result.asleep else "awake"
