"""`penstock embed`: prints embedding vectors of texts."""

import argparse
import json
import sys
from collections.abc import Iterator

from penstock.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    Subparsers,
    UsageError,
    add_command,
    add_model,
    connect,
    free_text,
    lines_or,
    show,
)
from penstock.embeddings import Embeddings
from penstock.item_result import ItemResult


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
    parser.add_argument(
        "--stream",
        action="store_true",
        help="read any number of lines of standard input, and print a JSON object for each, with "
        "its index and its embedding or error, while reading",
    )


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
    if arguments.text:
        raise UsageError("--stream reads standard input, so it accepts no texts")
    code = EXIT_OK
    with (
        connect(arguments) as client,
        client.embeddings.stream(
            _lines(), in_order=True, model=arguments.model, dimensions=arguments.dimensions
        ) as results,
    ):
        for result in results:
            print(json.dumps(_shown(result)), flush=True)
            code = EXIT_FAILED if result.error else code
    return code


def _lines() -> Iterator[tuple[str, str]]:
    try:
        for index, line in enumerate(sys.stdin):
            yield str(index), line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not valid {error.encoding} text") from error


def _shown(result: ItemResult[Embeddings]) -> dict[str, object]:
    index = int(result.key)
    if error := result.error:
        failed = {"code": error.code.name, "reason": error.reason, "message": error.status.message}
        return {"index": index, "error": failed}
    [embedding] = result.answer.tolist()
    return {"index": index, "embedding": embedding}
