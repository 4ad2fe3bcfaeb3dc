"""Commands that call the service.

Results go to standard output, errors and progress to standard error. `--json` prints the whole
answer as one JSON document instead of its text. Exit codes: 0 success; 1 the call failed, the
service is not serving, or an upstream is not ready; 2 incorrect usage; 130 interrupted.
"""

import argparse

from penstock.chat import chat_request
from penstock.cli import (
    adapters,
    batch,
    chat,
    completion,
    embed,
    engines,
    generate,
    health,
    models,
    rerank,
    response,
    tokenize,
    transcribe,
    upstreams,
)
from penstock.cli.command import EXIT_FAILED, EXIT_OK, Subparsers, unrecognized

__all__ = ["EXIT_FAILED", "EXIT_OK", "add_commands", "chat_request", "unrecognized"]


def add_commands(parser: argparse.ArgumentParser, commands: Subparsers) -> None:
    """Adds the client's commands to a command line."""
    for module in (
        chat,
        embed,
        rerank,
        transcribe,
        tokenize,
        batch,
        generate,
        response,
        models,
        upstreams,
        engines,
        adapters,
        health,
    ):
        module.add(commands)
    completion.add(commands, parser)
