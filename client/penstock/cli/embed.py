"""`penstock embed`: prints embedding vectors of texts."""

import argparse

from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    add_command,
    add_model,
    connect,
    free_text,
    lines_or,
    show,
)


def add(commands: Subparsers) -> None:
    """Adds the command."""
    parser = add_command(commands, "embed", _run, "print one vector per text, one per line")
    free_text(
        parser.add_argument("text", nargs="*", help="texts; default: the lines of standard input")
    )
    parser.set_defaults(more="text")
    add_model(parser)
    parser.add_argument(
        "--dimensions", type=int, help="values per vector, if the model supports several sizes"
    )


def _run(arguments: argparse.Namespace) -> int:
    texts = lines_or(arguments.text, "text")
    with connect(arguments) as client:
        vectors = client.embeddings.create(
            texts, model=arguments.model, dimensions=arguments.dimensions
        )
    if arguments.json:
        show(vectors.proto, zeros=True)
        return EXIT_OK
    for vector in vectors.tolist():
        print(*(f"{value:.8g}" for value in vector))
    return EXIT_OK
