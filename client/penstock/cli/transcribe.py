"""`penstock transcribe`: the text of speech in a file."""

import argparse
import sys
from contextlib import nullcontext
from types import TracebackType
from typing import Self

from penstock.cli.command import EXIT_OK, Subparsers, add_command, add_model, connect, show

WIDTH = 30
MEGABYTE = 1e6


def add(commands: Subparsers) -> None:
    """Adds the command."""
    parser = add_command(commands, "transcribe", _run, "print the text of speech in a file")
    parser.add_argument("file", help="audio: wav, flac, ogg, mp3, m4a, webm ...; - standard input")
    add_model(parser)
    parser.add_argument("--language", help="language spoken, as en; default: the model detects it")
    parser.add_argument("--prompt", help="text that tells style or context")
    parser.add_argument("--translate", action="store_true", help="write English")
    parser.add_argument(
        "--format", choices=("text", "srt", "vtt"), default="text", help="default: text"
    )


def _run(arguments: argparse.Namespace) -> int:
    audio = sys.stdin.buffer if arguments.file == "-" else arguments.file
    subtitles = [] if arguments.format == "text" else [arguments.format]
    watched = sys.stderr.isatty()
    with connect(arguments) as client, Bar() if watched else nullcontext() as bar:
        transcription = client.transcribe(
            audio,
            bar.show if bar else None,
            model=arguments.model,
            language_code=arguments.language,
            prompt=arguments.prompt,
            task="translate" if arguments.translate else None,
            subtitles=subtitles,
        )
    if arguments.json:
        show(transcription.proto)
    elif subtitles:
        print(getattr(transcription, arguments.format), end="")
    else:
        print(transcription.text.strip())
    return EXIT_OK


class Bar:
    """A progress bar on standard error, gone at the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def show(self, sent: int, total: int | None) -> None:
        """Draws it anew."""
        print(f"\r\x1b[K{bar(sent, total)}", end="", file=sys.stderr, flush=True)


def bar(sent: int, total: int | None) -> str:
    """Returns the bar.

    >>> bar(1_000_000, 4_000_000)
    '[#######                       ]  25% 1.0 of 4.0 MB'
    >>> bar(1_500_000, None)
    '1.5 MB'
    """
    if not total:
        return f"{sent / MEGABYTE:.1f} MB"
    if sent >= total:
        return f"[{'#' * WIDTH}] 100% sent, waiting for the text"
    share = sent / total
    drawn = "#" * int(share * WIDTH)
    of = f"{sent / MEGABYTE:.1f} of {total / MEGABYTE:.1f} MB"
    return f"[{drawn:<{WIDTH}}] {share:4.0%} {of}"
