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
from penstock.cli.item_lines import add_stream, lines, print_results
from penstock.embeddings import Embeddings


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
    add_stream(parser, "embedding")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.stream:
        return _stream(arguments)
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


def _stream(arguments: argparse.Namespace) -> int:
    with (
        connect(arguments) as client,
        client.embeddings.stream(
            lines(arguments.text),
            in_order=True,
            model=arguments.model,
            dimensions=arguments.dimensions,
        ) as results,
    ):
        return print_results(results, _shown)


def _shown(vectors: Embeddings) -> dict[str, object]:
    [embedding] = vectors.tolist()
    return {"embedding": embedding}
