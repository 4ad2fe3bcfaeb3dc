"""The option `--stream`: prints a JSON object for each line of standard input."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from penstock._base.item_stream import ItemStream
from penstock.cli.command import EXIT_FAILED, EXIT_OK, UsageError
from penstock.item_result import ItemResult

A = TypeVar("A")


def add_stream(parser: argparse.ArgumentParser, contents: str) -> None:
    """Adds the option.

    Args:
        parser: the parser of the command.
        contents: names what an object contains besides its index.
    """
    parser.add_argument(
        "--stream",
        action="store_true",
        help="read any number of lines of standard input, and print a JSON object for each, with "
        f"its index and its {contents} or error, while reading",
    )


def lines(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Returns an iterator of the lines of standard input, with their indexes as keys.

    Args:
        texts: the texts on the command line, which must be empty.

    Raises:
        UsageError: there are texts, or, later, a line is not valid text.
    """
    if texts:
        raise UsageError("--stream reads standard input, so it accepts no texts")
    return _lines()


def _lines() -> Iterator[tuple[str, str]]:
    try:
        for index, line in enumerate(sys.stdin):
            yield str(index), line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not valid {error.encoding} text") from error


def print_results(
    results: ItemStream[ItemResult[A]], contents: Callable[[A], dict[str, object]]
) -> int:
    """Prints the results of lines; returns the exit code.

    Args:
        results: the results.
        contents: returns the keys of an object for an answer, besides its index.
    """
    code = EXIT_OK
    for result in results:
        if error := result.error:
            code = EXIT_FAILED
            message = error.status.message
            shown: object = {"code": error.code.name, "reason": error.reason, "message": message}
            found = {"error": shown}
        else:
            found = contents(result.answer)
        print(json.dumps({"index": int(result.key), **found}), flush=True)
    return code
