"""`penstock rerank`: prints documents ordered by relevance."""

import argparse
import sys

from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    add_command,
    add_model,
    connect,
    free_text,
    lines_or,
    on,
    show,
)


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "print documents with score and position, best first"
    parser = add_command(commands, "rerank", _run, summary)
    free_text(parser.add_argument("query", help="query that the documents are compared with"))
    free_text(
        parser.add_argument(
            "document", nargs="*", help="documents; default: the lines of standard input"
        )
    )
    parser.set_defaults(more="document")
    add_model(parser)
    parser.add_argument("--top-n", type=int, metavar="N", help="print only the N best documents")


def _run(arguments: argparse.Namespace) -> int:
    documents = lines_or(arguments.document, "document")
    with connect(arguments) as client:
        ranking = client.rerank(
            arguments.query, documents, model=arguments.model, top_n=arguments.top_n
        )
    if arguments.json:
        show(ranking.proto, zeros=True)
        return EXIT_OK
    for one in ranking:
        print(f"{one.score:.6f}", one.index, on(sys.stdout, documents[one.index]), sep="\t")
    return EXIT_OK
