"""`penstock batch`: makes the requests in a file, and writes their results to another one."""

import argparse
import json
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from penstock._base.openai_requests import openai_request
from penstock.batch import BatchRequest
from penstock.channel import MAX_MESSAGE_BYTES
from penstock.cli.batch_files import FileError, Line, Output, keys, lines, require_two_files
from penstock.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    Subparsers,
    UsageError,
    add_command,
    connect,
    file_name,
    report,
)
from penstock.cli.screen import CLEAR_LINE, can_redraw, columns
from penstock.errors import PenstockError

_REDRAWN_S = 0.1
# A larger one would end the call; the rest is more than the other parts of an item need.
_LARGEST_BYTES = MAX_MESSAGE_BYTES - 1024
_UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Exceptions that reading a request of an unexpected shape raises."""


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "make the requests in a file of OpenAI's batch format, and write their results"
    parser = add_command(commands, "batch", _run, summary)
    file_name(parser.add_argument("input", metavar="FILE", type=Path, help="file of requests"))
    file_name(
        parser.add_argument(
            "-o",
            "--output",
            metavar="FILE",
            type=Path,
            required=True,
            help="file of results; requests that have an answer in it are not made again",
        )
    )


def _run(arguments: argparse.Namespace) -> int:
    try:
        wanted, output = _opened(arguments.input, arguments.output)
        with output:
            progress = Progress(len(wanted), output)
            try:
                _answer(arguments, output, progress)
            except PenstockError as error:
                progress.clear()
                report(error)
            finally:
                progress.clear()
                code = _summarize(len(wanted), output, progress.seconds, as_json=arguments.json)
            return code
    except FileError as error:
        raise UsageError(str(error)) from error


def _opened(requests: Path, results: Path) -> tuple[Collection[str], Output]:
    """Returns the keys of the requests, and the file of results.

    Raises:
        FileError: one of the files cannot be used.
    """
    try:
        require_two_files(requests, results)
        wanted = keys(requests)
        return wanted, Output(results, wanted)
    except OSError as error:
        raise FileError(f"{error.filename}: {error.strerror}") from error


def _answer(arguments: argparse.Namespace, output: Output, progress: "Progress") -> None:
    requests = _requests(lines(arguments.input), output)
    limit = arguments.timeout or None
    with (
        connect(arguments) as client,
        client.batch.run(requests, output.done, timeout=limit) as results,
    ):
        for result in results:
            output.write(result)
            progress.show()


def _requests(given: Iterator[Line], output: Output) -> Iterator[tuple[str, BatchRequest]]:
    """Yields the requests that can be sent, and writes the errors of the others."""
    for line in given:
        if line.custom_id in output.done:
            continue
        try:
            yield line.custom_id, _request(line)
        except _UNREADABLE as error:
            output.write_invalid(line.custom_id, str(error))


def _request(line: Line) -> Any:
    if line.method != "POST":
        raise ValueError(f"{line.method!r} is not a valid method; valid is POST")
    if not isinstance(line.body, dict):
        raise TypeError("body must be a JSON object")
    request = openai_request(str(line.url), line.body)
    size = request.ByteSize() + len(line.custom_id.encode())
    if size > _LARGEST_BYTES:
        raise ValueError(f"the request has {size} bytes, over the limit of {_LARGEST_BYTES} bytes")
    return request


def _summarize(total: int, output: Output, seconds: float, *, as_json: bool) -> int:
    """Prints the summary; returns the exit code."""
    skipped, succeeded, failed = len(output.done), output.succeeded, output.failed
    left = total - skipped - succeeded - failed
    counts = {
        "requests": total,
        "skipped": skipped,
        "succeeded": succeeded,
        "failed": failed,
        "left": left,
        "seconds": round(seconds, 1),
    }
    if as_json:
        print(json.dumps(counts))
    else:
        print(", ".join(f"{count} {what}" for what, count in counts.items()))
    if left:
        report("run the same command again to continue")
    return EXIT_FAILED if failed or left else EXIT_OK


class Progress:
    """The progress of a batch: a line on standard error, where a line can be redrawn.

    Args:
        total: the number of requests.
        output: the results so far.
    """

    def __init__(self, total: int, output: Output) -> None:
        self._total = total
        self._output = output
        self._started = time.monotonic()
        self._drawn = 0.0
        self._is_watched = can_redraw(sys.stderr)

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return time.monotonic() - self._started

    def show(self) -> None:
        """Draws the line again, a few times a second."""
        now = time.monotonic()
        if self._is_watched and now - self._drawn > _REDRAWN_S:
            self._drawn = now
            output, before = self._output, len(self._output.done)
            new = output.succeeded + output.failed
            text = progress(self._total, before, new, output.failed, self.seconds)
            shown = text[: columns() - 1]
            print(f"{CLEAR_LINE}{shown}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Removes the line."""
        if self._drawn:
            print(CLEAR_LINE, end="", file=sys.stderr, flush=True)
            self._drawn = 0.0


def progress(total: int, before: int, new: int, failed: int, seconds: float) -> str:
    """Returns the progress of a batch as a text.

    >>> progress(100_000, 20_000, 25_000, 3, 50.0)
    ' 45% 45,000 of 100,000, 3 failed, 500/s'

    Args:
        total: the number of requests.
        before: the number of results that existed before.
        new: the number of results since.
        failed: the number of these that are errors.
        seconds: the time for these.
    """
    share = (before + new) / max(total, 1)
    rate = new / max(seconds, 0.001)
    return f"{share:4.0%} {before + new:,} of {total:,}, {failed:,} failed, {rate:,.0f}/s"
