"""`penstock batch`: its files, interruptions, errors and exit codes."""

import json
import math
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from child import child

from penstock.batch import BatchResult
from penstock.cli import batch
from penstock.cli.batch_files import FileError, Output, keys, lines
from penstock.v1.batch_pb2 import RunBatchResponse
from penstock.v1.common_pb2 import FloatVector
from penstock.v1.embedding_pb2 import CreateEmbeddingsResponse, Embedding

from .terminal import BOUND_S, PENSTOCK, penstock, terminal

Json = dict[str, Any]


def request(key: str, text: str = "Say hello.", **body: Any) -> Json:
    messages = [{"role": "user", "content": text}]
    return {
        "custom_id": key,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"messages": messages, **body},
    }


class Files:
    """The files of a batch."""

    def __init__(self, folder: Path) -> None:
        self.input = folder / "in.jsonl"
        self.output = folder / "out.jsonl"

    def write(self, *lines: Any) -> None:
        self.input.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def run(self, target: str, *options: str) -> "subprocess.CompletedProcess[bytes]":
        return penstock(*self.command(target, *options))

    def command(self, target: str, *options: str) -> tuple[str, ...]:
        return "batch", str(self.input), "-o", str(self.output), "--target", target, *options

    @property
    def results(self) -> dict[str, Json]:
        """The results by key; each key has one."""
        lines = [json.loads(line) for line in self.output.read_text().splitlines()]
        found = {line["custom_id"]: line for line in lines}
        assert len(found) == len(lines)
        return found


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


EVERY_URL = {
    "/v1/chat/completions": ({"messages": [{"role": "user", "content": "x"}]}, "choices"),
    "/v1/completions": ({"prompt": "x", "max_tokens": 3}, "choices"),
    "/v1/embeddings": ({"input": ["x"], "encoding_format": "float"}, "data"),
    "/v1/rerank": ({"query": "x", "documents": ["y", "z"]}, "results"),
    "/v2/rerank": ({"query": "x", "documents": ["y"]}, "results"),
    "/rerank": ({"query": "x", "documents": ["y"]}, "results"),
}


def test_every_url(files: Files, target: str) -> None:
    files.write(
        *(
            {"custom_id": url, "method": "POST", "url": url, "body": body}
            for url, (body, _) in EVERY_URL.items()
        )
    )
    result = files.run(target)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"6 requests, 0 skipped, 6 succeeded, 0 failed, 0 left, ")
    for url, (_, key) in EVERY_URL.items():
        line = files.results[url]
        assert line.keys() == {"id", "custom_id", "response", "error"}
        assert (line["error"], line["response"]["status_code"]) == (None, 200)
        assert line["response"]["request_id"] in line["id"]
        assert line["response"]["body"][key]


def _nested(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


FAILURES = {
    "upstream": (request("", temperature=-1), 400, "UPSTREAM_REJECTED"),
    "model": (request("", model="nobody"), 404, "MODEL_NOT_FOUND"),
    "type": (request("", n="x"), 400, "INVALID_REQUEST"),
    "stream": (request("", stream=True), 400, "INVALID_REQUEST"),
    "alternatives": (request("", top_logprobs=2), 400, "INVALID_REQUEST"),
    "two limits": (request("", max_tokens=1, max_completion_tokens=1), 400, "INVALID_REQUEST"),
    "no longer known": (request("", guided_json={}), 400, "INVALID_REQUEST"),
    "method": (request("") | {"method": "GET"}, 400, "INVALID_REQUEST"),
    "url": (request("") | {"url": "/v1/images"}, 400, "INVALID_REQUEST"),
    "no url": ({"method": "POST", "body": {}}, 400, "INVALID_REQUEST"),
    "body": (request("") | {"body": [1]}, 400, "INVALID_REQUEST"),
    "messages": (request("") | {"body": {"messages": 5}}, 400, "INVALID_REQUEST"),
    "no messages": (request("") | {"body": {}}, 400, "INVALID_REQUEST"),
    "number": (request("", seed=10**30), 400, "INVALID_REQUEST"),
    "surrogate": (request("", "\ud800"), 400, "INVALID_REQUEST"),
    "depth": (request("", unknown=_nested(500)), 400, "INVALID_REQUEST"),
}


def test_requests_that_fail(files: Files, target: str) -> None:
    wrong = [line | {"custom_id": key} for key, (line, _, _) in FAILURES.items()]
    files.write(*wrong, request("fine"))
    result = files.run(target)
    assert result.returncode == 1
    assert b"17 requests, 0 skipped, 1 succeeded, 16 failed, 0 left" in result.stdout
    for key, (_, status, reason) in FAILURES.items():
        line = files.results[key]
        error = line["response"]["body"]["error"]
        assert (line["response"]["status_code"], line["error"]["code"]) == (status, reason), key
        assert (error["type"], error["message"]) == (reason, line["error"]["message"])
        assert error["message"]
    assert files.results["fine"]["error"] is None
    assert files.results["upstream"]["response"]["body"]["error"]["param"] == "sampling.temperature"


def test_a_request_that_is_too_large(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_LARGEST_BYTES", 200)
    files.write(request("a"), request("large", "x" * 200), request("b"))
    with Output(files.output, {"a", "large", "b"}) as output:
        sent = [key for key, _ in batch._requests(lines(files.input), output)]
    assert sent == ["a", "b"]
    assert "over the limit of 200 bytes" in files.results["large"]["error"]["message"]


def test_requests_with_an_answer_are_skipped(files: Files, target: str) -> None:
    files.write(request("a"), request("b"))
    assert files.run(target).returncode == 0
    before = files.output.read_bytes()
    files.write(request("a"), request("b"), request("c"))
    result = files.run(target, "--json")
    counts = json.loads(result.stdout)
    assert (counts["requests"], counts["skipped"], counts["succeeded"]) == (3, 2, 1)
    assert files.output.read_bytes().startswith(before)
    assert files.results.keys() == {"a", "b", "c"}


def test_requests_without_an_answer_are_made_again(files: Files, target: str) -> None:
    files.write(request("a", model="nobody"), request("b"), request("c"))
    assert files.run(target).returncode == 1
    incomplete = b'{"custom_id": "d", "respon'
    files.output.write_bytes(files.output.read_bytes() + incomplete)
    files.write(*map(request, "abcd"))
    result = files.run(target)
    assert result.stdout.startswith(b"4 requests, 2 skipped, 2 succeeded, 0 failed, 0 left")
    assert {key: line["error"] for key, line in files.results.items()} == dict.fromkeys("abcd")


@pytest.mark.parametrize("rest", [b'{"custom_id": "b", "resp', b"{", b'{"custom_id": "b"}', b""])
def test_only_complete_answers_are_kept(rest: bytes, files: Files) -> None:
    kept = b'{"custom_id": "a", "response": {"status_code": 200}, "error": null}\n'
    failed = b'{"custom_id": "b", "response": {"status_code": 500}, "error": {"code": "x"}}\n'
    files.output.write_bytes(kept + failed + kept + rest)
    with Output(files.output, {"a", "b"}) as output:
        assert output.done == {"a"}
        output.write_invalid("b", "no")
    lines = files.output.read_bytes().splitlines(keepends=True)
    assert lines[0] == kept
    assert [json.loads(line)["custom_id"] for line in lines] == ["a", "b"]


UNUSABLE = {
    "not JSON": (b"x\n", "line 1: not a JSON object with a custom_id"),
    "no key": (b'{"custom_id": ""}\n', "line 1"),
    "key is a number": (b'{"custom_id": 1}\n', "line 1"),
    "twice": (b'{"custom_id": "a"}\n\n{"custom_id": "a"}\n', "two lines have the custom_id 'a'"),
    "bytes": (b'{"custom_id": "\xff"}\n', "line 1"),
    "surrogate": (b'{"custom_id": "\\ud800"}\n', "line 1"),
    "too deep": (b'{"custom_id": ' + b"[" * 100_000 + b"\n", "line 1"),
}


@pytest.mark.parametrize(("content", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_input(content: bytes, message: str, files: Files) -> None:
    files.input.write_bytes(content)
    with pytest.raises(FileError, match=message):
        keys(files.input)


@pytest.mark.parametrize("other", [b"notes\n", b'{"custom_id": "z", "response": null}\n'])
def test_another_file_is_not_overwritten(other: bytes, files: Files) -> None:
    files.output.write_bytes(other)
    with pytest.raises(FileError, match="line 1: not a result of this batch"):
        Output(files.output, {"a"})
    assert files.output.read_bytes() == other


@pytest.mark.parametrize("end", ["\n", ""])
def test_the_requests_are_not_overwritten(end: str, files: Files) -> None:
    given = json.dumps(request("a")) + end
    files.input.write_text(given)
    files.output.hardlink_to(files.input)
    result = files.run("127.0.0.1:1")
    assert (result.returncode, files.input.read_text()) == (2, given)
    assert b"contains the requests; name another file for the results" in result.stderr


def test_a_copy_of_the_requests_is_not_overwritten(files: Files) -> None:
    files.write(request("a"))
    files.output.write_bytes(files.input.read_bytes())
    with pytest.raises(FileError, match="line 1: not a result of this batch"):
        Output(files.output, {"a"})
    assert files.output.read_bytes() == files.input.read_bytes()


@pytest.mark.parametrize("which", ["input", "output"])
def test_a_pipe_cannot_be_read_twice(which: str, files: Files) -> None:
    files.write(request("a"))
    pipe: Path = getattr(files, which)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    result = files.run("127.0.0.1:1")
    assert result.returncode == 2
    assert f"{pipe} is not a regular file".encode() in result.stderr


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limits the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_part_of_a_line(files: Files) -> None:
    with Output(files.output, {"a", "b"}) as output:
        output.write_invalid("a", "no")
        size = files.output.stat().st_size
        with largest_file(size + 50), pytest.raises(OSError, match="File too large"):
            output.write_invalid("b", "no")
        assert (output.failed, files.output.stat().st_size) == (1, size)
        output.write_invalid("b", "no")
    assert files.results.keys() == {"a", "b"}


def test_a_rewritten_file_keeps_its_permissions_and_its_place(files: Files) -> None:
    other = files.output.with_name("elsewhere.jsonl")
    other.write_bytes(b"{")
    other.chmod(0o600)
    files.output.symlink_to(other)
    with Output(files.output, {"a"}) as output:
        output.write_invalid("a", "no")
    assert files.output.is_symlink()
    assert other.stat().st_mode & 0o777 == 0o600
    assert files.results.keys() == {"a"}


def test_numbers_that_json_cannot_represent_are_null(files: Files) -> None:
    vector = FloatVector(values=[1.5, math.nan, -math.inf])
    answer = CreateEmbeddingsResponse(embeddings=[Embedding(float_vector=vector)])
    with Output(files.output, {"a"}) as output:
        output.write(BatchResult(RunBatchResponse(key="a", embeddings=answer)))
    [one] = files.results["a"]["response"]["body"]["data"]
    assert one["embedding"] == [1.5, None, None]


def test_only_one_command_writes_to_a_file(files: Files) -> None:
    with Output(files.output, ()), pytest.raises(FileError, match="another process writes to"):
        Output(files.output, ())


def test_an_unusable_file_is_incorrect_usage(files: Files) -> None:
    files.input.write_bytes(b"x\n")
    result = files.run("127.0.0.1:1")
    assert result.returncode == 2
    assert b"line 1: not a JSON object with a custom_id; see penstock batch" in result.stderr
    assert not files.output.exists()


def test_a_file_that_does_not_exist_is_incorrect_usage(files: Files) -> None:
    result = files.run("127.0.0.1:1")
    assert result.returncode == 2
    assert f"{files.input}: No such file or directory".encode() in result.stderr


def test_lines_of_windows(files: Files, target: str) -> None:
    given = "\r\n\r\n".join(json.dumps(request(key)) for key in "ab")
    files.input.write_text(f"{given}\r\n", encoding="utf-8-sig")
    result = files.run(target)
    assert result.returncode == 0
    assert files.results.keys() == {"a", "b"}


def test_a_service_that_is_not_there(files: Files) -> None:
    files.write(request("a"))
    result = files.run("127.0.0.1:1")
    assert result.returncode == 1
    assert b"nothing listens there" in result.stderr
    assert b"1 left" in result.stdout
    assert files.output.read_bytes() == b""


def _until(condition: Any) -> None:
    for _ in range(BOUND_S * 100):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption(how: signal.Signals, files: Files, target: str) -> None:
    files.write(
        *(request(str(number)) for number in range(200)), request("slow", "[[simulate: silent]]")
    )
    with child((PENSTOCK, *files.command(target)), stdout=subprocess.PIPE) as process:
        _until(lambda: files.output.exists() and files.output.stat().st_size > 1000)
        process.send_signal(how)
        assert process.wait(BOUND_S) == (130 if how is signal.SIGINT else -how)
    files.write(*(request(str(number)) for number in range(200)), request("slow"))
    result = files.run(target)
    assert result.returncode == 0
    assert len(files.results) == 201
    assert all(line["error"] is None for line in files.results.values())


def test_progress_on_a_terminal(files: Files, target: str) -> None:
    files.write(*(request(str(number)) for number in range(20)))
    with terminal(*files.command(target), TERM="xterm") as shown:
        shown.wait_for(" of 20, 0 failed, ")
        shown.wait_for("20 requests, 0 skipped, 20 succeeded, 0 failed, 0 left")
        assert shown.end() == 0
