"""`penstock transcribe`: prints the text of speech in a file as it arrives, or subtitles."""

import argparse
import sys
import wave
from collections.abc import Iterator
from functools import partial
from io import BufferedReader, FileIO
from types import TracebackType
from typing import Any, Self

from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    UsageError,
    add_command,
    add_model,
    connect,
    file_name,
    on,
    show,
)
from penstock.cli.screen import CLEAR_LINE, columns
from penstock.client import Client
from penstock.live_transcription import LiveEvent
from penstock.transcribe import TranscribeOptions

WIDTH = 30
NARROWEST = 5
MEGABYTE = 1e6
LIVE_FORM = (1, 2, 16_000)
"""Channels, bytes of a sample, samples in a second."""
LIVE_BYTES = 3200
"""A tenth of a second."""


def add(commands: Subparsers) -> None:
    """Adds the command."""
    parser = add_command(commands, "transcribe", _run, "print the text of speech in an audio file")
    audio = parser.add_argument(
        "file", help="audio file: wav, flac, ogg, mp3, m4a, webm ...; -: standard input"
    )
    file_name(audio)
    add_model(parser)
    parser.add_argument("--language", help="spoken language, such as en; default: detected")
    parser.add_argument("--prompt", help="text that sets the style or context")
    parser.add_argument("--translate", action="store_true", help="translate to English")
    parser.add_argument(
        "--live",
        action="store_true",
        help="transcribe while it is spoken: WAV or raw samples, 16 bits at 16000 Hz",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--srt",
        action="append_const",
        const="srt",
        dest="subtitles",
        help="print subtitles in SubRip format",
    )
    form.add_argument(
        "--vtt",
        action="append_const",
        const="vtt",
        dest="subtitles",
        help="print subtitles in WebVTT format",
    )


def _run(arguments: argparse.Namespace) -> int:
    if arguments.live:
        return _run_live(arguments)
    with connect(arguments) as client, Bar() as bar:
        if arguments.json or arguments.subtitles:
            _print_whole(client, arguments, bar)
        else:
            _print_pieces(client, arguments, bar)
    return EXIT_OK


def _run_live(arguments: argparse.Namespace) -> int:
    if arguments.language or arguments.prompt or arguments.translate or arguments.subtitles:
        raise UsageError("--live has no other option of the transcription than --model")
    audio = _audio(arguments)
    with (
        connect(arguments) as client,
        open(audio, "rb") if isinstance(audio, str) else BufferedReader(audio) as file,
        client.transcribe.live(_samples(file), model=arguments.model) as stream,
    ):
        for event in stream:
            if arguments.json:
                show(event.proto)
            else:
                _print_heard(event)
    return EXIT_OK


def _print_heard(event: LiveEvent) -> None:
    if event.error:
        print(on(sys.stderr, event.error), file=sys.stderr)
    end = "" if event.utterance is None else "\n"
    print(on(sys.stdout, event.text), end=end, flush=True)


def _samples(file: "BufferedReader[Any]") -> Iterator[bytes]:
    """Yields the samples of a WAV file, or everything of another one.

    Raises:
        UsageError: the samples have another form than live transcription needs.
    """
    if not file.peek(4).startswith(b"RIFF"):
        yield from iter(partial(file.read1, LIVE_BYTES), b"")
        return
    try:
        with wave.open(file) as samples:
            form = samples.getnchannels(), samples.getsampwidth(), samples.getframerate()
            if form != LIVE_FORM:
                raise UsageError("--live needs one channel with 16 bits at 16000 Hz")
            yield from iter(partial(samples.readframes, LIVE_BYTES // 2), b"")
    except (wave.Error, EOFError) as error:
        raise UsageError(f"not a valid WAV file: {error}") from error


def _print_whole(client: Client, arguments: argparse.Namespace, bar: "Bar") -> None:
    options = _options(arguments)
    transcription = client.transcribe(_audio(arguments), bar.show, **options)
    bar.clear()
    if arguments.json:
        show(transcription.proto)
    else:
        print(on(sys.stdout, getattr(transcription, arguments.subtitles[0])), end="")


def _print_pieces(client: Client, arguments: argparse.Namespace, bar: "Bar") -> None:
    started = False
    with client.transcribe.stream(_audio(arguments), bar.show, **_options(arguments)) as stream:
        for text in stream.text_stream:
            bar.clear()
            print(on(sys.stdout, text if started else text.lstrip()), end="", flush=True)
            started = True
    print()


def _audio(arguments: argparse.Namespace) -> str | FileIO:
    if arguments.file != "-":
        return str(arguments.file)
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    # Unbuffered: a thread reads it, and Python aborts at exit while a thread holds a buffer.
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


def _options(arguments: argparse.Namespace) -> TranscribeOptions:
    return TranscribeOptions(
        model=arguments.model,
        language_code=arguments.language,
        prompt=arguments.prompt,
        task="translate" if arguments.translate else None,
        subtitles=arguments.subtitles,
    )


class Bar:
    """A progress bar on standard error, cleared at the end; only on a terminal."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def show(self, sent: int, total: int | None) -> None:
        """Draws the bar again."""
        if self._watched:
            drawn = bar(sent, total, columns())
            print(f"{CLEAR_LINE}{drawn}", end="", file=sys.stderr, flush=True)
            self._shown = True

    def clear(self) -> None:
        """Clears the bar."""
        if self._shown:
            print(CLEAR_LINE, end="", file=sys.stderr, flush=True)
            self._shown = False


def bar(sent: int, total: int | None, width: int) -> str:
    """Returns the bar as a text that is narrower than the terminal.

    >>> bar(1_000_000, 4_000_000, 80)
    '[#######                       ]  25% 1.0 of 4.0 MB'
    >>> bar(1_000_000, 4_000_000, 30)
    '[##      ]  25% 1.0 of 4.0 MB'
    >>> bar(1_500_000, None, 80)
    '1.5 MB'
    """
    if not total:
        return f"{sent / MEGABYTE:.1f} MB"[: width - 1]
    share = min(sent / total, 1.0)
    of = f"{sent / MEGABYTE:.1f} of {total / MEGABYTE:.1f} MB"
    text = f"{share:4.0%} {of if sent < total else 'sent, waiting for the text'}"
    room = min(WIDTH, width - len(text) - len("[] ") - 1)
    if room < NARROWEST:
        return text[: width - 1].strip()
    return f"[{'#' * int(share * room):<{room}}] {text}"
