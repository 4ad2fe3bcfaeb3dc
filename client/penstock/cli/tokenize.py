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
from penstock.cli.item_lines import add_stream, lines, print_results
from penstock.tokenize import Tokens


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
    add_stream(parser, "tokens")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.stream:
        return _stream(arguments)
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


def _stream(arguments: argparse.Namespace) -> int:
    with (
        connect(arguments) as client,
        client.tokenize.stream(
            lines(arguments.text), in_order=True, model=arguments.model, return_token_strings=True
        ) as results,
    ):
        return print_results(results, _shown)


def _shown(tokens: Tokens) -> dict[str, object]:
    return {"token_ids": list(tokens.ids), "token_strings": list(tokens.strings)}
