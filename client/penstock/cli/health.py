"""`penstock health`: checks whether the service is serving."""

import argparse
import json

from penstock.cli.command import EXIT_FAILED, EXIT_OK, Subparsers, add_command, connect

DEFAULT_TIMEOUT_S = 5.0


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "exit 0 if the service is serving, 1 if not"
    parser = add_command(commands, "health", _run, summary)
    parser.add_argument(
        "--service", default="", help="name of one service; default: the whole server"
    )


def _run(arguments: argparse.Namespace) -> int:
    with connect(arguments, DEFAULT_TIMEOUT_S) as client:
        serving = client.health(arguments.service)
    word = "SERVING" if serving else "NOT_SERVING"
    print(json.dumps({"status": word}) if arguments.json else word)
    return EXIT_OK if serving else EXIT_FAILED
