"""The files of a batch: requests and results in OpenAI's format, one JSON document per line."""

import json
import math
import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self, cast

import grpc

from penstock._base.openai_answers import openai_answer
from penstock.batch import BatchResult
from penstock.errors import CallError

Json = dict[str, Any]

_Code = grpc.StatusCode
_HTTP_STATUS = {
    _Code.INVALID_ARGUMENT: 400,
    _Code.FAILED_PRECONDITION: 400,
    _Code.OUT_OF_RANGE: 400,
    _Code.UNAUTHENTICATED: 401,
    _Code.PERMISSION_DENIED: 403,
    _Code.NOT_FOUND: 404,
    _Code.ABORTED: 409,
    _Code.RESOURCE_EXHAUSTED: 429,
    _Code.CANCELLED: 499,
    _Code.UNIMPLEMENTED: 501,
    _Code.UNAVAILABLE: 503,
    _Code.DEADLINE_EXCEEDED: 504,
}
_OK = 200
_SERVER_ERROR = 500


class FileError(Exception):
    """A file is not in the format of a batch."""


class Line(NamedTuple):
    """One request of a batch.

    Attributes:
        custom_id: its key.
        method: HTTP method.
        url: path of the operation.
        body: the request.
    """

    custom_id: str
    method: Any
    url: Any
    body: Any


def require_two_files(requests: Path, results: Path) -> None:
    """Checks that the file of results is not that of the requests, which it would replace.

    Raises:
        FileError: it is.
        OSError: the file of requests does not exist.
    """
    if results.exists() and results.samefile(requests):
        raise FileError(f"{results} contains the requests; name another file for the results")


def lines(path: Path) -> Iterator[Line]:
    """Yields the requests in a file; skips empty lines.

    Raises:
        FileError: a line is not a JSON object with a `custom_id`, or the file is not a regular one.
        OSError: the file cannot be read.
    """
    _require_regular(path)
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            found = _object(text)
            key = found.get("custom_id") if found else None
            if not (found and _is_key(key)):
                raise FileError(f"{path}, line {number}: not a JSON object with a custom_id")
            yield Line(str(key), found.get("method"), found.get("url"), found.get("body"))


def _is_key(value: object) -> bool:
    """Returns whether a value can be a key: a text that can be encoded, and is not empty."""
    try:
        return isinstance(value, str) and bool(value.encode())
    except UnicodeEncodeError:
        return False


def _require_regular(path: Path) -> None:
    """Checks that a file, if it exists, can be read several times.

    Raises:
        FileError: it is a pipe, a device or a folder.
    """
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a regular file")


def keys(path: Path) -> set[str]:
    """Returns the keys of all requests in a file.

    Raises:
        FileError: a line is not a request, or two requests have the same key.
        OSError: the file cannot be read.
    """
    found: set[str] = set()
    for line in lines(path):
        if line.custom_id in found:
            raise FileError(f"{path}: two lines have the custom_id {line.custom_id!r}")
        found.add(line.custom_id)
    return found


class Output:
    """The file of results; a context manager. Several threads may write to it.

    Attributes:
        done: the keys whose requests had succeeded before.
        succeeded: the number of results written that are answers.
        failed: the number of results written that are errors.
    """

    def __init__(self, path: Path, wanted: Collection[str]) -> None:
        """Opens the file, to continue after its results.

        Removes what an interruption or an earlier failure has left: an incomplete last line, and
        the results of requests that failed, which are made again.

        Args:
            path: the file; it need not exist.
            wanted: the keys of the batch.

        Raises:
            FileError: the file contains something other than results of this batch, is not a
                regular file, or another process is writing to it.
            OSError: the file cannot be read or written.
        """
        _require_regular(path)
        self.succeeded = self.failed = 0
        self._path = path.resolve()
        self._file = self._open()
        self._lock = threading.Lock()
        try:
            self.done = self._repair(wanted)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, result: BatchResult) -> None:
        """Writes the result of a request."""
        error = result.error
        if error is None:
            body = openai_answer(result.answer.proto)
            self._write(result.key, result.request_id, _OK, body, None)
        else:
            self._write_error(result.key, error)

    def write_invalid(self, key: str, message: str) -> None:
        """Writes the result of a request that cannot be sent."""
        self._fail(key, "", 400, "INVALID_REQUEST", message, "")

    def _write_error(self, key: str, error: CallError) -> None:
        status = error.upstream.status or _HTTP_STATUS.get(error.code, _SERVER_ERROR)
        field = error.violations[0].field if error.violations else ""
        name = error.reason or error.code.name
        self._fail(key, error.request_id, status, name, error.status.message, field)

    def _fail(
        self, key: str, request_id: str, status: int, name: str, message: str, field: str
    ) -> None:
        details = {"message": message, "type": name, "param": field or None, "code": status}
        error = {"code": name, "message": message}
        self._write(key, request_id, status, {"error": details}, error)

    def _write(
        self, key: str, request_id: str, status: int, body: Json, error: Json | None
    ) -> None:
        line = {
            "id": f"batch_req_{request_id or key}",
            "custom_id": key,
            "response": {"status_code": status, "request_id": request_id, "body": body},
            "error": error,
        }
        data = _text(line).encode("utf-8", "surrogatepass") + b"\n"
        with self._lock:
            self._append(data)
            if error:
                self.failed += 1
            else:
                self.succeeded += 1

    def _append(self, data: bytes) -> None:
        """Writes all of a line, or nothing.

        Raises:
            OSError: it cannot be written, such as to a disk that is full.
        """
        end = self._file.seek(0, os.SEEK_END)
        rest = memoryview(data)
        try:
            while rest:
                # A disk that is almost full accepts a part.
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(end)
            raise

    def _open(self) -> BinaryIO:
        """Opens the file for itself alone.

        Raises:
            FileError: another process has opened it so.
            OSError: it cannot be opened.
        """
        # Without a buffer, an interruption leaves at most one incomplete line, the last.
        file = cast(BinaryIO, self._path.open("ab", buffering=0))
        with suppress(ImportError):  # Windows has no fcntl.
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.close()
                raise FileError(f"another process writes to {self._path}") from error
        return file

    def _repair(self, wanted: Collection[str]) -> set[str]:
        """Returns the keys of the results that are kept, after removing the others."""
        done: set[str] = set()
        kept = total = 0
        for line in self._lines():
            total += 1
            if (key := self._succeeded(line, total, wanted)) and key not in done:
                kept += 1
                done.add(key)
        if kept < total:
            self._rewrite(wanted)
        return done

    def _rewrite(self, wanted: Collection[str]) -> None:
        scratch = self._path.with_name(f"{self._path.name}.tmp")
        left: set[str] = set()
        with scratch.open("wb") as file:
            shutil.copymode(self._path, scratch)
            for number, line in enumerate(self._lines(), 1):
                if (key := self._succeeded(line, number, wanted)) and key not in left:
                    file.write(line)
                    left.add(key)
        scratch.replace(self._path)
        self._file.close()
        self._file = self._open()

    def _lines(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            yield from file

    def _succeeded(self, line: bytes, number: int, wanted: Collection[str]) -> str:
        """Returns the key of a result that is an answer; empty for any other line.

        Raises:
            FileError: the line is not a result of the batch.
        """
        if not line.endswith(b"\n"):
            return ""
        found = _object(line)
        key = found.get("custom_id") if found else None
        if not found or key not in wanted or "response" not in found:
            raise FileError(f"{self._path}, line {number}: not a result of this batch")
        response = found.get("response")
        answered = isinstance(response, dict) and response.get("status_code") == _OK
        return str(key) if answered and not found.get("error") else ""


def _object(text: bytes) -> Json | None:
    """Returns the JSON object that a line consists of; None if it is something else."""
    try:
        found = json.loads(text)
    except (RecursionError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _text(line: Json) -> str:
    """Returns the JSON of a line; null for each number that JSON cannot represent."""
    try:
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return _text(_finite(line))


def _finite(value: Any) -> Any:
    """Returns a JSON value in which null replaces NaN and infinite numbers."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
