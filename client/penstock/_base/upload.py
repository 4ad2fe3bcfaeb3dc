"""Reads audio in chunks while it is sent."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from penstock._base.settings import pairs
from penstock.v1.transcription_pb2 import TranscriptionConfig, UploadTranscribeRequest

CHUNK_BYTES = 64 * 1024

Audio: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
Progress: TypeAlias = Callable[[int, int | None], None]
AsyncProgress: TypeAlias = Callable[[int, int | None], Awaitable[None] | None]


class BaseUpload:
    """An upload: the source of the audio, and its progress."""

    def __init__(
        self,
        config: TranscriptionConfig,
        audio: Audio,
        progress: Progress | AsyncProgress | None,
    ) -> None:
        """Opens the file.

        Raises:
            OSError: the file cannot be opened.
        """
        self._file, self._total, name = _open(audio)
        self._own = self._file is not audio
        self._config = config
        self._config.filename = config.filename or name
        self._progress = progress
        self._sent = 0
        self._error: BaseException | None = None

    def announced(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of the call with the size: a file over a limit is refused at once."""
        if self._total is None:
            return {**options}
        size = (("x-upload-bytes", str(self._total)),)
        return {**options, "metadata": (*pairs(options.get("metadata") or ()), *size)}

    def check(self) -> None:
        """Raises the error of reading the file or reporting progress, if there was one.

        gRPC itself only reports that the call was cancelled.
        """
        if self._error:
            raise self._error

    def _first(self) -> UploadTranscribeRequest:
        return UploadTranscribeRequest(config=self._config)

    def _next(self, chunk: bytes) -> UploadTranscribeRequest:
        return UploadTranscribeRequest(audio_chunk=chunk)

    def _report(self, chunk: bytes) -> Any:
        self._sent += len(chunk)
        return self._progress(self._sent, self._total) if self._progress else None

    def _close(self) -> None:
        if self._own:
            self._file.close()


class Upload(BaseUpload):
    """The requests of an upload, as an iterator."""

    def __init__(
        self, config: TranscriptionConfig, audio: Audio, progress: Progress | None
    ) -> None:
        """Opens the file.

        Raises:
            OSError: the file cannot be opened.
            TypeError: `progress` is a coroutine function.
        """
        if inspect.iscoroutinefunction(progress):
            raise TypeError("progress is a coroutine function; only AsyncClient awaits it")
        super().__init__(config, audio, progress)

    def __iter__(self) -> Iterator[UploadTranscribeRequest]:
        try:
            yield self._first()
            while chunk := self._file.read(CHUNK_BYTES):
                yield self._next(chunk)
                self._report(chunk)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error
            # gRPC iterates in a thread, and ends the call only for an Exception.
            raise RuntimeError("the upload cannot continue") from error
        finally:
            self._close()


class AsyncUpload(BaseUpload):
    """The requests of an upload, as an asynchronous iterator."""

    async def __aiter__(self) -> AsyncIterator[UploadTranscribeRequest]:
        try:
            yield self._first()
            while chunk := await asyncio.to_thread(self._file.read, CHUNK_BYTES):
                yield self._next(chunk)
                if inspect.isawaitable(reported := self._report(chunk)):
                    await reported
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._close()


def _open(audio: Audio) -> tuple[BinaryIO, int | None, str]:
    """Returns an open file, its size if known, and its name.

    Raises:
        OSError: the file cannot be opened.
        TypeError: the audio has none of these forms.
    """
    if isinstance(audio, bytes):
        return BytesIO(audio), len(audio), ""
    if isinstance(audio, str | os.PathLike):
        path = Path(audio)
        return path.open("rb"), path.stat().st_size, path.name
    if not hasattr(audio, "read"):
        raise TypeError(f"{audio!r} is not audio; pass a path, bytes or a binary file")
    name = getattr(audio, "name", "")
    return audio, None, Path(name).name if isinstance(name, str) else ""
