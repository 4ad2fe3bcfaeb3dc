"""A service in a separate process, for blocking clients, and clients of it."""

import io
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from child import child

from penstock import AsyncClient, Client

LIVE = Path(__file__).with_name("live.py")


@pytest.fixture(scope="session")
def _live() -> Iterator[Sequence[str]]:
    """Addresses of a service for calls and for administration, and of two others.

    One stores responses; the last address is for the operator of the other one.
    """
    command = (sys.executable, str(LIVE))
    with child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        targets = [f"127.0.0.1:{int(port)}" for port in process.stdout.readline().split()]
        for target in (targets[0], targets[2]):
            with Client(target) as client:
                client.wait_ready(60)
        yield targets
        process.stdin.close()


@pytest.fixture(scope="session")
def target(_live: Sequence[str]) -> str:
    """The address of the service."""
    return _live[0]


@pytest.fixture(scope="session")
def admin_target(_live: Sequence[str]) -> str:
    """The admin address of the service."""
    return _live[1]


@pytest.fixture(scope="session")
def storing_target(_live: Sequence[str]) -> str:
    """The address of a service whose upstream stores responses."""
    return _live[2]


@pytest.fixture(scope="session")
def operated_target(_live: Sequence[str]) -> str:
    """The admin address of a service whose operator may change engines."""
    return _live[3]


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
    for name in ("TARGET", "ADMIN_TARGET", "API_KEY", "TIMEOUT", "RETRIES", "TLS", "TLS_CA"):
        monkeypatch.delenv(f"PENSTOCK_{name}", raising=False)
