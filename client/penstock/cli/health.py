"""`penstock health`: whether the service serves."""

import argparse
import json

from penstock.cli.command import EXIT_FAILED, EXIT_OK, Subparsers, add_command, connect

DEFAULT_TIMEOUT_S = 5.0


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "exit 0 if the service is serving, 1 if not"
    parser = add_command(commands, "health", _run, summary)
    parser.add_argument("--service", default="", help="one service; default: the whole server")


def _run(arguments: argparse.Namespace) -> int:
    with connect(arguments) as client:
        timeout = arguments.timeout or DEFAULT_TIMEOUT_S
        serving = client.health(arguments.service, timeout=timeout)
    word = "SERVING" if serving else "NOT_SERVING"
    print(json.dumps({"status": word}) if arguments.json else word)
    return EXIT_OK if serving else EXIT_FAILED
