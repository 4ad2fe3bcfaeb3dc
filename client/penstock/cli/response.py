"""`penstock response`: prints the answer of a background stream."""

import argparse
import sys

from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    add_command,
    add_model,
    connect,
    free_text,
    on,
    show,
)


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "print the text of a response that was requested as a stream in the background"
    parser = add_command(commands, "response", _run, summary)
    free_text(parser.add_argument("id", help="id of the response"))
    add_model(parser)
    parser.add_argument(
        "--starting-after",
        type=int,
        metavar="NUMBER",
        help="sequence number of the last event that is already known; default: all events",
    )


def _run(arguments: argparse.Namespace) -> int:
    with (
        connect(arguments) as client,
        client.responses.stream_stored(
            arguments.id,
            model=arguments.model,
            starting_after=arguments.starting_after,
            resume=True,
        ) as stream,
    ):
        if arguments.json:
            for event in stream:
                show(event.proto)
        else:
            for text in stream.text_stream:
                print(on(sys.stdout, text), end="", flush=True)
            print()
    return EXIT_OK
