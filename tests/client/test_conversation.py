"""Conversations on a terminal: the output, and the requests to the model."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from conftest import FREE_PORT, Serve
from grpc import aio

from penstock.cli.screen import DIM, PLAIN
from penstock.v1 import chat_completion_pb2 as pb
from penstock.v1 import chat_completion_pb2_grpc as pb_grpc
from penstock.v1.common_pb2 import FINISH_REASON_STOP
from penstock_server.app import Service
from penstock_server.simulator import Simulator, SimulatorSettings

from .terminal import Terminal, penstock, terminal

HELLO = "Hello! How can I help you today?"
WEATHER = "What is the weather in Paris?"
FUNCTION = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
BRIEF = "You are a helpful assistant."
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A simulator of a vision model."""
    async with Simulator(SimulatorSettings(listen=FREE_PORT, multimodal=True)) as running:
        yield running


@pytest.fixture
def tools(tmp_path: Path) -> str:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([FUNCTION]))
    return str(path)


async def talk(
    service: Service,
    *options: str,
    say: Callable[[Terminal], None],
    code: int = 0,
    **environment: str,
) -> None:
    """Runs a conversation from the first prompt to the end of the command."""

    def run() -> None:
        target = ("--target", f"127.0.0.1:{service.port}")
        with terminal("chat", *target, *options, **environment) as shown:
            shown.wait_for("> ")
            say(shown)
            assert shown.end() == code

    await asyncio.to_thread(run)


def asked(simulator: Simulator) -> list[list[tuple[str, Any]]]:
    """Returns the roles and texts of the messages in each request."""
    return [
        [(message["role"], message["content"]) for message in request.json["messages"]]
        for request in simulator.requests
        if request.method == "POST"
    ]


async def test_earlier_turns_are_sent_again(service: Service, simulator: Simulator) -> None:
    def say(shown: Terminal) -> None:
        shown.type("Say hello.\n")
        assert HELLO in shown.wait_for("> ")
        shown.type("\n")
        shown.wait_for("> ")
        shown.type("What is 2+2?\n")
        shown.wait_for("> ")
        shown.type("\x04")

    await talk(service, "--system", BRIEF, say=say)
    begin = [("system", BRIEF), ("user", "Say hello.")]
    more = [("assistant", HELLO), ("user", "What is 2+2?")]
    assert asked(simulator) == [begin, begin + more]


@pytest.mark.parametrize("word", ["/quit", "/exit"])
async def test_reset_and_quit(word: str, service: Service, simulator: Simulator) -> None:
    def say(shown: Terminal) -> None:
        shown.type("Say hello.\n")
        shown.wait_for("> ")
        shown.type("/reset\n")
        shown.wait_for("> ")
        shown.type("What is 2+2?\n")
        shown.wait_for("> ")
        shown.type(f"{word}\n")

    await talk(service, "--system", BRIEF, say=say)
    assert [one[1:] for one in asked(simulator)] == [
        [("user", "Say hello.")],
        [("user", "What is 2+2?")],
    ]


async def test_the_instructions_are_shown(service: Service) -> None:
    def run() -> str:
        with terminal("chat", "--target", f"127.0.0.1:{service.port}") as shown:
            return shown.wait_for("> ")

    expected = await asyncio.to_thread(run)
    assert all(word in expected for word in ("Ctrl-C", "/help", "/quit", "Ctrl-D"))


FAULTS = {
    "before the text": ("[[simulate: status code=500]]", "INTERNAL UPSTREAM_INTERNAL"),
    "within the text": ("Say hello. [[simulate: cut after=3]]", "UNAVAILABLE STREAM_INTERRUPTED"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failed_turn_is_forgotten(
    fault: str, service: Service, simulator: Simulator
) -> None:
    question, expected = FAULTS[fault]

    def say(shown: Terminal) -> None:
        shown.type("Say hello.\n")
        shown.wait_for("> ")
        shown.type(f"{question}\n")
        lines = shown.wait_for("> ").splitlines()
        assert [line for line in lines if line.startswith(f"penstock: {expected}")]
        shown.type("What is 2+2?\n")
        shown.wait_for("> ")
        shown.type("/quit\n")

    await talk(service, say=say)
    assert asked(simulator)[-1] == [
        ("user", "Say hello."),
        ("assistant", HELLO),
        ("user", "What is 2+2?"),
    ]


async def test_control_c_stops_an_answer(service: Service, simulator: Simulator) -> None:
    def say(shown: Terminal) -> None:
        shown.type("Say hello. [[simulate: stall after=3]]\n")
        shown.wait_for("Hello")
        shown.interrupt()
        shown.wait_for("\r\n> ")
        shown.type("Say hello.\n")
        assert HELLO in shown.wait_for("> ")
        shown.type("\x04")

    await talk(service, say=say)
    async with asyncio.timeout(60):
        await simulator.wait_aborted(1)
    assert asked(simulator)[-1] == [("user", "Say hello.")]


async def test_as_json(service: Service) -> None:
    def say(shown: Terminal) -> None:
        shown.type("Say hello.\n")
        printed = shown.wait_for("\n}")
        answer = json.loads(printed[printed.index("{") :] + "}")
        assert answer["choices"][0]["message"]["content"] == [{"text": HELLO}]
        shown.wait_for("> ")
        shown.type("/quit\n")

    await talk(service, "--json", say=say)


async def test_the_user_answers_tool_calls(
    service: Service, simulator: Simulator, tools: str
) -> None:
    def say(shown: Terminal) -> None:
        shown.type(f"{WEATHER}\n")
        shown.wait_for('get_weather({"city": "Paris"})')
        shown.wait_for("get_weather = ")
        shown.type("sunny, 21C\n")
        assert "It is sunny in Paris, 21 degrees." in shown.wait_for("> ")
        shown.type("\x04")

    await talk(service, "--tools", tools, say=say)
    assert asked(simulator)[-1] == [
        ("user", WEATHER),
        ("assistant", None),
        ("tool", "sunny, 21C"),
    ]


async def test_the_user_refuses_to_answer_a_tool_call(
    service: Service, simulator: Simulator, tools: str
) -> None:
    def say(shown: Terminal) -> None:
        shown.type(f"{WEATHER}\n")
        shown.wait_for("get_weather = ")
        shown.type("\x04")
        shown.wait_for("> ")
        shown.type("Say hello.\n")
        assert HELLO in shown.wait_for("> ")
        shown.type("/quit\n")

    await talk(service, "--tools", tools, say=say)
    assert asked(simulator) == [[("user", WEATHER)], [("user", "Say hello.")]]


async def test_images_are_sent_with_the_first_turn(
    service: Service, simulator: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)

    def say(shown: Terminal) -> None:
        for question in ("What? [[simulate: status code=500]]", "What is it?", "Say hello."):
            shown.type(f"{question}\n")
            shown.wait_for("> ")
        shown.type("/quit\n")

    await talk(service, "--image", str(path), say=say)
    failed, first, second = asked(simulator)
    for request in (failed, first):
        assert [part["type"] for part in request[0][1]] == ["text", "image_url"]
    assert second[-1] == ("user", "Say hello.")


async def test_an_image_in_a_single_message(
    service: Service, simulator: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    target = f"127.0.0.1:{service.port}"
    pictures = ("--image", str(path), "--image", "https://example.com/b.png")
    result = await asyncio.to_thread(
        penstock, "chat", "What are these?", *pictures, "--target", target
    )
    assert (result.returncode, result.stderr) == (0, b"")
    [[(_, content)]] = asked(simulator)
    urls = [part["image_url"]["url"] for part in content[1:]]
    assert urls == ["data:image/png;base64,iVBORw0KGgo=", "https://example.com/b.png"]


async def test_reasoning(serve: Serve) -> None:
    """It is for readers at a terminal, and not part of the answer."""
    settings = SimulatorSettings(listen=FREE_PORT, reasoning=True)
    thought = "Two plus two. That is four."

    def say(shown: Terminal) -> None:
        shown.type("What is 2+2?\n")
        shown.wait_for(DIM)
        assert thought in shown.wait_for(PLAIN)
        assert "\r\n2+2 equals 4.\r\n" in shown.wait_for("> ")
        shown.type("/quit\n")

    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,))
        await talk(service, say=say, TERM="xterm")
        target = f"127.0.0.1:{service.port}"
        result = await asyncio.to_thread(penstock, "chat", "What is 2+2?", "--target", target)
        assert (result.stdout, result.stderr) == (b"2+2 equals 4.\n", b"")
        few = ("--max-tokens", "3")
        result = await asyncio.to_thread(penstock, "chat", "What?", *few, "--target", target)
    assert (result.returncode, result.stdout) == (0, b"")
    assert result.stderr == b"penstock: cut off (length)\n"


async def test_a_truncated_answer(service: Service) -> None:
    target = ("--target", f"127.0.0.1:{service.port}")
    few = ("--max-tokens", "3")
    result = await asyncio.to_thread(penstock, "chat", "Count to ten.", *few, *target)
    assert (result.returncode, result.stderr) == (0, b"penstock: cut off (length)\n")
    assert result.stdout == b"1, 2\n"
    result = await asyncio.to_thread(penstock, "chat", "Count to ten.", "--json", *few, *target)
    assert result.stderr == b""


class Scripted(pb_grpc.ChatCompletionServiceServicer):
    """A service that streams given messages."""

    def __init__(self, *deltas: pb.ChatDelta) -> None:
        self._deltas = deltas

    async def CreateChatCompletion(self, request: Any, context: Any) -> NoReturn:
        raise NotImplementedError

    async def StreamChatCompletion(
        self, request: Any, context: Any
    ) -> AsyncIterator[pb.StreamChatCompletionResponse]:
        for delta in self._deltas:
            message = pb.StreamChatCompletionResponse()
            message.choices.add(delta=delta)
            yield message
        message = pb.StreamChatCompletionResponse()
        message.choices.add(finish_reason=FINISH_REASON_STOP)
        message.usage.total_tokens = 1
        yield message


@asynccontextmanager
async def scripted(*deltas: pb.ChatDelta) -> AsyncIterator[str]:
    server = aio.server()
    pb_grpc.add_ChatCompletionServiceServicer_to_server(Scripted(*deltas), server)
    port = server.add_insecure_port(FREE_PORT)
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


def contents(*texts: str) -> list[pb.ChatDelta]:
    return [pb.ChatDelta(content=text) for text in texts]


@pytest.mark.parametrize(
    ("deltas", "out", "err"),
    [
        (contents("\n", "\n\na\n", "\nb"), b"a\n\nb\n", b""),
        (contents("\n\n"), b"", b""),
        (
            [pb.ChatDelta(refusal="I will "), pb.ChatDelta(refusal="not.")],
            b"",
            b"penstock: refused: I will not.\n",
        ),
    ],
)
async def test_output(deltas: list[pb.ChatDelta], out: bytes, err: bytes) -> None:
    async with scripted(*deltas) as target:
        result = await asyncio.to_thread(penstock, "chat", "a", "--target", target)
    assert (result.returncode, result.stdout, result.stderr) == (0, out, err)
