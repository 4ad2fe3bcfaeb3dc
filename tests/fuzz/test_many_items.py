"""A long batch whose client and replica are killed: each item is exactly once in the output."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from cli.process import PENSTOCK, serving, started

from .profile import IS_LONG

ITEMS = 100_000 if IS_LONG else 600
BOUND_S = 3600
MEBIBYTE = 2**20


@pytest.mark.timeout(BOUND_S)
async def test_each_item_has_one_result(tmp_path: Path) -> None:
    given, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    with given.open("w") as file:
        file.writelines(f"{json.dumps(_request(number))}\n" for number in range(ITEMS))
    async with AsyncExitStack() as running, asyncio.timeout(BOUND_S):
        simulate = (PENSTOCK, "simulate", "--listen", "127.0.0.1:0")
        replicas = [await running.enter_async_context(started(*simulate)) for _ in range(2)]
        urls = []
        for replica in replicas:
            address = (await replica.line("http://")).split("http://")[1].split()[0]
            urls += ["--upstream", f"http://{address}"]
        service, target = await running.enter_async_context(serving(*urls))
        command = (PENSTOCK, "batch", str(given), "-o", str(output), "--target", target, "--json")
        memory = []
        async with started(*command) as client:
            await _written(output, ITEMS // 4)
            memory.append(_resident_bytes(service.pid))
            client.signal(signal.SIGKILL)
        async with started(*command) as client:
            await _written(output, ITEMS // 2)
            replicas[1].signal(signal.SIGKILL)
            await _written(output, ITEMS * 3 // 4)
            memory += [_resident_bytes(service.pid), _resident_bytes(client.pid)]
            await _written(output, ITEMS * 9 // 10)
            memory += [_resident_bytes(service.pid), _resident_bytes(client.pid)]
            await client.line("{")
        # Items that the replica had when it was killed may have failed.
        async with started(*command) as client:
            counts = json.loads(await client.line("{"))
    results = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(int(result["custom_id"]) for result in results) == list(range(ITEMS))
    assert not any(result["error"] for result in results)
    assert counts["skipped"] + counts["succeeded"] == ITEMS
    assert counts["skipped"] >= ITEMS // 4 - 1
    first, service_then, client_then, service_last, client_last = memory
    if IS_LONG:  # a short run ends before a new process has its usual size
        assert max(service_then, service_last) < first + 32 * MEBIBYTE, memory
        assert client_last < client_then + 16 * MEBIBYTE, memory
    print(f"\n{ITEMS} items: {counts}; resident bytes: {memory}")


def _request(number: int) -> dict[str, object]:
    messages = [{"role": "user", "content": f"Say hello to number {number}."}]
    return {
        "custom_id": str(number),
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"messages": messages, "max_tokens": 16},
    }


async def _written(output: Path, lines: int) -> None:
    """Waits until the output has a number of lines."""
    while _lines(output) < lines:  # noqa: ASYNC110  another process writes it
        await asyncio.sleep(0.5 if IS_LONG else 0.01)


def _lines(output: Path) -> int:
    # Opened each time: a command that continues may replace the file.
    return output.read_bytes().count(b"\n") if output.exists() else 0


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096
