"""A service for clients that block, in a process of its own, and clients of it."""

import io
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from penstock import AsyncClient, Client

LIVE = Path(__file__).with_name("live.py")


@pytest.fixture(scope="session")
def target() -> Iterator[str]:
    """The address of a service that serves everything."""
    command = (sys.executable, str(LIVE))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        target = f"127.0.0.1:{int(process.stdout.readline())}"
        with Client(target) as client:
            client.wait_ready(20)
        yield target
        process.stdin.close()


@pytest.fixture
def client(target: str) -> Iterator[Client]:
    with Client(target) as client:
        yield client


@pytest.fixture
async def aclient(target: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(target) as client:
        yield client


@pytest.fixture
def speech() -> bytes:
    """A second of silence, 32044 bytes."""
    return silence(1)


def silence(seconds: int) -> bytes:
    """A WAV file of 16 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(16_000)
        audio.writeframes(bytes(seconds * 32_000))
    return file.getvalue()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TARGET", "API_KEY", "TIMEOUT", "RETRIES", "TLS", "TLS_CA"):
        monkeypatch.delenv(f"PENSTOCK_{name}", raising=False)
