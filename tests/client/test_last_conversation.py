"""`penstock chat --continue`: what is kept of a conversation, and files that cannot be used."""

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.last_conversation import LARGEST_BYTES, LastConversation
from penstock_server.app import Service
from penstock_server.simulator import Simulator

from .terminal import Terminal, penstock
from .test_conversation import BRIEF, HELLO, PNG, WEATHER, simulator, talk, tools

__all__ = ["simulator", "tools"]

Says = Callable[[Terminal], None]


@pytest.fixture
def state(tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose messages are kept."""
    return {"PENSTOCK_HISTORY": "", "XDG_STATE_HOME": str(tmp_path)}


class Kept:
    """The file of the last conversation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def modes(self) -> dict[str, str]:
        """Returns the permissions of the folder and of the files in it."""
        paths = (self.path.parent, *self.path.parent.iterdir())
        return {path.name: stat.filemode(path.stat().st_mode) for path in paths}

    def messages(self) -> list[Any]:
        found: list[Any] = json.loads(self.path.read_bytes())["messages"]
        return found

    def replace(self, content: bytes | None) -> None:
        """Replaces the file; without a content, by a folder."""
        self.path.parent.mkdir()
        if content is None:
            self.path.mkdir()
        else:
            self.path.write_bytes(content)

    def prevent(self) -> None:
        """Replaces the folder by a file."""
        self.path.parent.write_text("a file")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "penstock" / "conversation.json")


def says(*texts: str) -> Says:
    """Types messages, each at the prompt, and ends the conversation."""

    def say(screen: Terminal) -> None:
        for text in texts:
            screen.type(f"{text}\n")
            screen.wait_for("> ")
        screen.type("/quit\n")

    return say


async def once(service: Service, *arguments: str, env: dict[str, str]) -> tuple[str, str]:
    """Sends one message from a pipe; returns the output and the errors."""
    target = ("--target", f"127.0.0.1:{service.port}")
    result = await asyncio.to_thread(penstock, "chat", *arguments, *target, **env)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode(), result.stderr.decode()


def requests(simulator: Simulator) -> list[dict[str, Any]]:
    return [request.json for request in simulator.requests if request.method == "POST"]


async def test_everything_is_sent_again(
    service: Service, simulator: Simulator, tools: str, state: dict[str, str], tmp_path: Path
) -> None:
    def first(screen: Terminal) -> None:
        screen.type(f"{WEATHER}\n")
        screen.wait_for("get_weather = ")
        screen.type("sunny\n")
        screen.wait_for("> ")
        screen.type("/quit\n")

    image = tmp_path / "a.png"
    image.write_bytes(PNG)
    options = ("-m", "tiny-chat-alias", "--tools", tools)
    await talk(service, *options, say=first, code=0, **state)
    await talk(service, "-c", "--image", str(image), say=says("Describe it."), code=0, **state)
    await once(service, "Say hello.", "--continue", env=state)
    _, before, described, last = requests(simulator)
    assert [one["role"] for one in before["messages"]] == ["user", "assistant", "tool"]
    *same, answer, question = described["messages"]
    assert same == before["messages"]
    assert answer["role"] == "assistant"
    assert [part["type"] for part in question["content"]] == ["text", "image_url"]
    *same, answer, question = last["messages"]
    assert same == described["messages"]
    assert answer["role"] == "assistant"
    assert question == {"role": "user", "content": "Say hello."}
    for key in ("model", "tools"):
        assert before[key] == described[key] == last[key]


async def test_options_override(
    service: Service, simulator: Simulator, state: dict[str, str]
) -> None:
    await once(service, "-c", "Say hello.", "-s", BRIEF, "-m", "tiny-chat", env=state)
    await once(service, "-c", "Say hello.", "-s", "Rhyme.", "-m", "tiny-chat-alias", env=state)
    last = requests(simulator)[-1]
    assert last["model"] == "tiny-chat-alias"
    assert [one["content"] for one in last["messages"]] == [
        "Rhyme.",
        "Say hello.",
        HELLO,
        "Say hello.",
    ]


async def test_only_the_user_can_read_it(
    service: Service, state: dict[str, str], kept: Kept
) -> None:
    await talk(service, say=says("Say hello."), code=0, **state)
    private = "-rw-------"
    assert kept.modes() == {
        "penstock": "drwx------",
        "conversation.json": private,
        "history": private,
    }


@pytest.mark.parametrize("off", ["off", ""])
async def test_what_is_not_kept(
    off: str, service: Service, state: dict[str, str], kept: Kept
) -> None:
    """Neither calls of scripts, nor anything if the user wants nothing to be kept."""
    if off:
        await talk(service, say=says("Say hello."), code=0, **state | {"PENSTOCK_HISTORY": off})
    else:
        await once(service, "Say hello.", env=state)
    assert not kept.exists()
    _, errors = await once(service, "-c", "Say hello.", env=state | {"PENSTOCK_HISTORY": off})
    assert errors == "penstock: there is no conversation to continue; this is a new one\n"
    assert kept.exists() != bool(off)


async def test_a_failed_turn_is_not_kept(
    service: Service, simulator: Simulator, state: dict[str, str]
) -> None:
    turns = ("Say hello.", "Say hello. [[simulate: cut after=3]]")
    await talk(service, say=says(*turns), code=0, **state)
    await once(service, "-c", "What is 2+2?", env=state)
    contents = [one["content"] for one in requests(simulator)[-1]["messages"]]
    assert contents == ["Say hello.", HELLO, "What is 2+2?"]


DAMAGED: dict[str, bytes] = {
    "cut off": b'{"messages": [{"role": "ROLE_USER"',
    "another form": b'{"messages": 1}',
    "not text": b"\xff\xfe",
    "nested too deeply": b'{"messages":' + b"[" * 10_000,
    "without messages": b"{}",
    "empty": b"",
    "too large": b" " * (LARGEST_BYTES + 1),
}


@pytest.mark.parametrize("damage", [*DAMAGED, "a folder"])
def test_a_damaged_file(damage: str, kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    kept.replace(DAMAGED.get(damage))
    assert LastConversation(kept.path).load() is None
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"penstock: cannot continue the conversation in {kept.path}: ")
    assert shown.err.endswith("; this is a new one\n")
    assert shown.err.count("\n") == 1


async def test_a_damaged_file_is_replaced(
    service: Service, simulator: Simulator, state: dict[str, str], kept: Kept
) -> None:
    kept.replace(DAMAGED["cut off"])
    output, errors = await once(service, "-c", "Say hello.", env=state)
    assert output == f"{HELLO}\n"
    assert errors.startswith("penstock: cannot continue the conversation")
    assert requests(simulator)[-1]["messages"] == [{"role": "user", "content": "Say hello."}]
    assert len(kept.messages()) == 2


async def test_a_conversation_that_cannot_be_kept(
    service: Service, state: dict[str, str], kept: Kept
) -> None:
    kept.prevent()

    def say(screen: Terminal) -> None:
        screen.type("Say hello.\n")
        assert "is not kept" in screen.wait_for("> ")
        screen.type("Say hello.\n")
        assert "is not kept" not in screen.wait_for("> ")
        screen.type("/quit\n")

    await talk(service, say=say, code=0, **state)
