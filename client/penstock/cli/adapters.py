"""`penstock adapters`: lists, loads and unloads LoRA adapters."""

import argparse
from collections.abc import Mapping, Sequence

from penstock.admin import AdapterList, EngineResults
from penstock.cli.admin_command import add_admin_command, not_an_admin_address
from penstock.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    Subparsers,
    UsageError,
    connect,
    printable,
    report,
    show,
)
from penstock.cli.engines import show_results
from penstock.cli.upstreams import table
from penstock.client import Client
from penstock.errors import UnimplementedError
from penstock.v1.admin_pb2 import Adapter, ReplicaResult

_HEADS = ("NAME", "MODEL", "PATH", "KEPT", "REPLICAS")
_NEEDED: Mapping[str, Sequence[str]] = {
    "list": (),
    "load": ("name", "--model", "--path"),
    "unload": ("name",),
}


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "list, load and unload LoRA adapters on all replicas of a model"
    parser = add_admin_command(commands, "adapters", _run, summary)
    parser.add_argument("action", choices=tuple(_NEEDED), help="what to do")
    parser.add_argument(
        "name", metavar="NAME", nargs="?", default="", help="adapter, which calls use as model"
    )
    parser.add_argument("--model", metavar="MODEL", default="", help="load: base model")
    parser.add_argument(
        "--path", metavar="PATH", default="", help="load: path on the machines of the replicas"
    )


def _run(arguments: argparse.Namespace) -> int:
    _require(arguments)
    with connect(arguments) as client:
        try:
            answer = _act(client, arguments)
        except UnimplementedError as error:
            if error.reason != "UNSUPPORTED_OPERATION":
                raise
            raise not_an_admin_address(arguments.target) from error
    if isinstance(answer, EngineResults):
        show_results(answer, arguments, lambda result: _result(result, arguments.action))
        return EXIT_FAILED if answer.failed else EXIT_OK
    return _show(answer, arguments)


def _require(arguments: argparse.Namespace) -> None:
    """Checks that an action has the arguments that it needs, and no others.

    Raises:
        UsageError: one is missing, or not for this action.
    """
    needed = _NEEDED[arguments.action]
    for option in _NEEDED["load"]:
        given = bool(getattr(arguments, option.strip("-")))
        if given is not (option in needed):
            verb = "does not accept" if given else "requires"
            raise UsageError(f"{arguments.action} {verb} {option.replace('name', 'a NAME')}")


def _act(client: Client, arguments: argparse.Namespace) -> AdapterList | EngineResults:
    match arguments.action:
        case "load":
            return client.admin.load_adapter(arguments.model, arguments.name, arguments.path)
        case "unload":
            return client.admin.unload_adapter(arguments.name)
        case _:
            return client.admin.adapters()


def _result(result: ReplicaResult, action: str) -> str:
    return "failed" if result.reason else f"{action}ed"


def _show(adapters: AdapterList, arguments: argparse.Namespace) -> int:
    if arguments.json:
        show(adapters.proto, zeros=True)
    else:
        for line in table([_HEADS, *map(_row, adapters)]):
            print(line)
    for adapter in adapters:
        for one in adapter.replicas:
            if one.last_error:
                report(f"{adapter.name}: {one.address}: {printable(one.last_error)}")
    return EXIT_OK


def _row(adapter: Adapter) -> Sequence[str]:
    loaded = sum(one.loaded for one in adapter.replicas)
    return (
        adapter.name,
        adapter.model,
        adapter.path,
        "yes" if adapter.kept else "no",
        f"{loaded}/{len(adapter.replicas)}",
    )
