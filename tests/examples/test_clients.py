"""Builds and runs each example with the commands of its README against a running service."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FREE_PORT, Serve
from docs.markdown import blocks, commands

from penstock_server.configuration import UpstreamTable
from penstock_server.simulator import Simulator, SimulatorSettings

EXAMPLES = Path(__file__).parents[2] / "examples"
# The page in browser/ needs an Envoy and a browser, so tests/mesh runs it.
CLIENTS = sorted({path.parent.name for path in EXAMPLES.glob("*/README.md")} - {"browser"})

CALLS = Counter(
    {
        ("CreateChatCompletion", "OK"): 2,
        ("StreamChatCompletion", "OK"): 2,
        ("CreateEmbeddings", "OK"): 1,
        ("Rerank", "OK"): 1,
        ("UploadTranscribe", "OK"): 1,
        ("StreamChatCompletion", "left"): 1,
        ("CreateChatCompletion", "left"): 1,
        ("CreateChatCompletion", "INVALID_ARGUMENT"): 1,
    }
)
PROGRAM: dict[str, Callable[[str], str]] = {
    "go": "build/{}".format,
    "python": "PYTHONPATH=build/gen build/venv/bin/python {}.py".format,
}
# In Python, an `operator.py` would hide the standard module.
OPERATOR = {"go": "operator", "python": "engines"}
# A client also cancels when its deadline passes; either may reach the service first.
LEFT = ("CANCELLED", "DEADLINE_EXCEEDED")


async def shell(command: str, folder: Path, **environment: str) -> str:
    """Runs a command and returns what it prints; fails the test if the command fails."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euc",
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = (text.decode() for text in await process.communicate())
    assert process.returncode == 0, f"{command}\n{out}\n{err}"
    return out


def test_every_language_has_an_example() -> None:
    assert CLIENTS == ["cpp", "go", "java", "python", "typescript-connect", "typescript-grpc-js"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", CLIENTS)
async def test_client(client: str, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock.rpc")
    folder = EXAMPLES / client
    *building, running = commands((folder / "README.md").read_text("utf-8"))
    settings = SimulatorSettings(listen=FREE_PORT, kind="all", inter_token_latency=0.05)
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), probe_interval=1.0)
        for command in building:
            await shell(command, folder)
        printed = await shell(running, folder, PENSTOCK_TARGET=f"127.0.0.1:{service.port}")
        assert [printed] == blocks((EXAMPLES / "README.md").read_text("utf-8"), "text")
        # Both abandoned generations have been stopped in the model.
        async with asyncio.timeout(60):
            await simulator.wait_aborted(2)
        await service.stop(5)
    assert Counter(map(call, caplog.records)) == CALLS


BATCH = [
    "greeting: Hello! How can I help you today?",
    "sum: 2+2 equals 4.",
    "wrong: INVALID_REQUEST",
    "0 without a result",
]
ITEMS = [
    "0: a cat, 64 values",
    "1: a kitten, 64 values",
    "2: UPSTREAM_REJECTED",
    "3: a dog, 64 values",
]
SCORES = [
    "0: 0.051305, Berlin is in Germany.",
    "1: UPSTREAM_REJECTED, This item fails.",
    "2: 0.953314, Paris is the capital of France.",
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", PROGRAM)
async def test_streams_of_items(serve: Serve, language: str) -> None:
    folder, program = EXAMPLES / language, PROGRAM[language]
    *building, _ = commands((folder / "README.md").read_text("utf-8"))
    async with Simulator(SimulatorSettings(listen=FREE_PORT, kind="all")) as simulator:
        service = await serve(upstream=(simulator.url,))
        target = f"127.0.0.1:{service.port}"
        for command in building:
            await shell(command, folder)
        batch = (await shell(program("batch"), folder, PENSTOCK_TARGET=target)).splitlines()
        items = (await shell(program("items"), folder, PENSTOCK_TARGET=target)).splitlines()
        scores = (await shell(program("scores"), folder, PENSTOCK_TARGET=target)).splitlines()
    assert (sorted(batch[:-1]), batch[-1]) == (BATCH[:-1], BATCH[-1])
    assert (items, scores) == (ITEMS, SCORES)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", PROGRAM)
async def test_token_ids(serve: Serve, language: str) -> None:
    folder, program = EXAMPLES / language, PROGRAM[language]
    *building, _ = commands((folder / "README.md").read_text("utf-8"))
    async with Simulator(SimulatorSettings(listen=FREE_PORT)) as simulator:
        service = await serve(upstream=(simulator.url,))
        for command in building:
            await shell(command, folder)
        target = f"127.0.0.1:{service.port}"
        printed = await shell(program("generate"), folder, PENSTOCK_TARGET=target)
    first, second = printed.splitlines()
    assert first == '4 tokens: "Hello! How can", likely: true'
    assert second.startswith("4 tokens: ")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", PROGRAM)
async def test_a_stream_that_breaks_and_continues(
    serve: Serve, language: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "penstock.rpc")
    folder, program = EXAMPLES / language, PROGRAM[language]
    *building, _ = commands((folder / "README.md").read_text("utf-8"))
    settings = SimulatorSettings(listen=FREE_PORT, response_store=True, faults="cut after=6")
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), native_responses="always")
        for command in building:
            await shell(command, folder)
        target = f"127.0.0.1:{service.port}"
        printed = await shell(program("background"), folder, PENSTOCK_TARGET=target)
        await service.stop(5)
    assert printed == "Hello! How can I help you today?\n"
    assert Counter(map(call, caplog.records)) == Counter(
        {("StreamResponse", "UNAVAILABLE"): 1, ("StreamStoredResponse", "OK"): 1}
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", PROGRAM)
async def test_live_transcription(serve: Serve, language: str) -> None:
    folder = EXAMPLES / language
    *building, _ = commands((folder / "README.md").read_text("utf-8"))
    async with Simulator(SimulatorSettings(listen=FREE_PORT, kind="realtime")) as simulator:
        service = await serve(upstream=(simulator.url,))
        for command in building:
            await shell(command, folder)
        speaking = f"head -c 32000 /dev/zero | {PROGRAM[language]('live')}"
        printed = await shell(speaking, folder, PENSTOCK_TARGET=f"127.0.0.1:{service.port}")
    assert printed == " Hello world, this is a test. The quick\n11 tokens\n"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", PROGRAM)
async def test_an_operator(serve: Serve, tmp_path: Path, language: str) -> None:
    folder = EXAMPLES / language
    *building, _ = commands((folder / "README.md").read_text("utf-8"))
    callers = tmp_path / "callers.toml"
    callers.write_text('[[caller]]\nname = "operator"\nkeys = ["sk-operator"]\nadmin = true\n')
    callers.chmod(0o600)
    settings = SimulatorSettings(
        listen=FREE_PORT, development_mode=True, runtime_lora_updating=True
    )
    async with Simulator(settings) as simulator:
        service = await serve(
            upstream=(UpstreamTable(simulator.url, name="vllm-0"),),
            admin_listen=FREE_PORT,
            callers_file=str(callers),
            admin_requires_caller=True,
        )
        for command in building:
            await shell(command, folder)
        printed = await shell(
            f"{PROGRAM[language](OPERATOR[language])} vllm-0",
            folder,
            PENSTOCK_ADMIN_TARGET=f"127.0.0.1:{service.admin.port}",
            PENSTOCK_API_KEY="sk-operator",
        )
        assert simulator.adapters == {}
    assert printed.splitlines() == [
        "sleep: ok",
        "wake: ok",
        "load: ok",
        "jokes of tiny-chat: 1 replica(s)",
        "unload: ok",
    ]


def call(record: logging.LogRecord) -> tuple[str, str]:
    """Returns method and code of a call in the service's log."""
    fields: dict[str, str] = vars(record)["fields"]
    code = "left" if fields["code"] in LEFT else fields["code"]
    return fields["method"].rpartition("/")[2], code
