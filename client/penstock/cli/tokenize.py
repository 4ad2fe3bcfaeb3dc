"""`penstock tokenize`: prints the tokens of a text."""

import argparse

from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    UsageError,
    add_command,
    add_model,
    connect,
    free_text,
    read_input,
    show,
)


def add(commands: Subparsers) -> None:
    """Adds the command."""
    parser = add_command(commands, "tokenize", _run, "print the tokens of a text, one per line")
    free_text(
        parser.add_argument(
            "text", nargs="*", help="text, whose words are joined; default: standard input"
        )
    )
    parser.set_defaults(more="text")
    add_model(parser)


def _run(arguments: argparse.Namespace) -> int:
    text = " ".join(arguments.text)
    if not arguments.text and not (text := read_input()):
        raise UsageError("no text given, and none on standard input")
    with connect(arguments) as client:
        tokens = client.tokenize(text, model=arguments.model, return_token_strings=True)
    if arguments.json:
        show(tokens.proto, zeros=True)
        return EXIT_OK
    for token, string in zip(tokens.ids, tokens.strings, strict=True):
        print(token, repr(string), sep="\t")
    return EXIT_OK
