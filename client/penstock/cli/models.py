"""`penstock models`: lists the models."""

import argparse

from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    add_command,
    connect,
    printable,
    report,
    show,
)


def add(commands: Subparsers) -> None:
    """Adds the command."""
    add_command(commands, "models", _run, "list the models")


def _run(arguments: argparse.Namespace) -> int:
    with connect(arguments) as client:
        models = client.models.list()
    if arguments.json:
        show(models.proto)
        return EXIT_OK
    for model in models:
        asleep = ("asleep",) if model.asleep else ()
        print(printable(model.id), ",".join(model.capabilities) or "-", *asleep, sep="\t")
    for upstream in models.unreachable:
        report(f"{upstream} could not be reached")
    return EXIT_OK
