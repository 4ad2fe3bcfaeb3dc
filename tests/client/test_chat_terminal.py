"""`penstock chat` at a terminal: several lines, commands, history, reasoning, widths."""

import asyncio
import json
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conftest import FREE_PORT, Serve

from penstock.cli.screen import CLEAR_LINE, DIM, DO_NOT_MARK_PASTES, MARK_PASTES
from penstock.cli.transcribe import bar
from penstock.cli.wrapping import Wrapping
from penstock_server.app import Service
from penstock_server.simulator import Simulator, SimulatorSettings

from .terminal import PENSTOCK, Terminal, penstock, shown
from .test_conversation import HELLO, asked, talk

THOUGHT = "Two plus two. That is four."


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    settings = SimulatorSettings(listen=FREE_PORT, kind="all", multimodal=True, max_model_len=8192)
    async with Simulator(settings) as running:
        yield running


@pytest.fixture
async def thinking(serve: Serve) -> AsyncIterator[Service]:
    """A service whose model reasons."""
    async with Simulator(SimulatorSettings(listen=FREE_PORT, reasoning=True)) as simulator:
        yield await serve(upstream=(simulator.url,))


def says(screen: Terminal, *texts: str) -> str:
    """Types lines, each after the prompt; returns what the last one caused."""
    caused = ""
    for text in texts:
        screen.type(f"{text}\n")
        caused = screen.wait_for("> ")
    return caused


async def test_a_pasted_text_is_one_message(service: Service, simulator: Simulator) -> None:
    def say(screen: Terminal) -> None:
        screen.type("\x1b[200~first\nsecond\n\nthird\x1b[201~")
        screen.type("\n")
        screen.wait_for("You said: first")
        screen.wait_for("> ")
        screen.type("/quit\n")

    await talk(service, say=say, TERM="xterm")
    assert asked(simulator) == [[("user", "first\nsecond\n\nthird")]]


@pytest.mark.parametrize(
    "lines",
    [('"""first', 'second"""'), ('"""', "first", "second", '"""'), (' """first', "second", '"""')],
)
async def test_quotation_marks(
    lines: tuple[str, ...], service: Service, simulator: Simulator
) -> None:
    def say(screen: Terminal) -> None:
        screen.type("".join(f"{line}\n" for line in lines))
        screen.wait_for("You said: first")
        screen.wait_for("> ")
        screen.type("/quit\n")

    await talk(service, say=say)
    assert asked(simulator) == [[("user", "first\nsecond")]]


async def test_commands(service: Service, simulator: Simulator) -> None:
    def say(screen: Terminal) -> None:
        assert "unknown command /foo; /help lists the commands" in says(screen, "/foo bar")
        assert "unknown command /resett" in says(screen, "/resett")
        for name in ("/help", "/?"):
            listed = says(screen, name)
            assert all(word in listed for word in ("/reset", "/model", "/system", "/quit"))
        assert "model: the only one" in says(screen, "/model")
        assert "model: tiny-chat-alias" in says(screen, "/model tiny-chat-alias")
        says(screen, "/system Be brief.", "Say hello.", "/clear", "/system", " /foo", "/etc/passwd")
        screen.type("exit\n")

    await talk(service, say=say)
    assert [one[0] for one in asked(simulator)] == [
        ("system", "Be brief."),
        ("user", " /foo"),
        ("user", " /foo"),
    ]
    [first, _, last] = [one.json for one in simulator.requests if one.method == "POST"]
    assert first["model"] == "tiny-chat-alias"
    assert last["messages"][-1] == {"role": "user", "content": "/etc/passwd"}


async def test_ctrl_c_at_the_prompt_keeps_the_conversation(
    service: Service, simulator: Simulator
) -> None:
    def say(screen: Terminal) -> None:
        says(screen, "Say hello.")
        screen.interrupt()
        screen.wait_for("\r\n> ")
        says(screen, "What is 2+2?")
        screen.type("\x04")

    await talk(service, say=say)
    assert asked(simulator)[-1][:2] == [("user", "Say hello."), ("assistant", HELLO)]


async def test_the_history_lasts(service: Service, simulator: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"

    def first(screen: Terminal) -> None:
        screen.type('"""one\ntwo"""\n')
        screen.wait_for("You said")
        says(screen, "/reset")
        screen.type("/quit\n")

    def again(screen: Terminal) -> None:
        screen.type("\x10\x10\x10\n")  # Ctrl-P: the previous entry
        screen.wait_for("You said: one")
        screen.wait_for("> ")
        screen.type("/quit\n")

    await talk(service, say=first, PENSTOCK_HISTORY=str(path))
    assert [*map(json.loads, path.read_text().splitlines())] == ["one\ntwo", "/reset", "/quit"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await talk(service, say=again, PENSTOCK_HISTORY=str(path))
    assert asked(simulator) == [[("user", "one\ntwo")]] * 2


async def test_a_history_that_cannot_be_used(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not JSON\n")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):

        def say(screen: Terminal) -> None:
            assert HELLO in says(screen, "Say hello.")
            screen.type("/quit\n")

        await talk(service, say=say, PENSTOCK_HISTORY=str(path))


@pytest.mark.parametrize(
    ("environment", "options", "expected"),
    [
        ({"TERM": "xterm"}, (), f"{DIM}{THOUGHT}"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, (), f"Reasoning: {THOUGHT}"),
        ({"TERM": "dumb"}, (), f"Reasoning: {THOUGHT}"),
        ({"TERM": "xterm"}, ("--hide-reasoning",), ""),
    ],
)
async def test_reasoning(
    environment: dict[str, str], options: tuple[str, ...], expected: str, thinking: Service
) -> None:
    def say(screen: Terminal) -> None:
        screen.type("What is 2+2?\n")
        before = screen.wait_for("2+2 equals 4.")
        assert expected in before
        assert (DIM in before) == (DIM in expected)
        assert (THOUGHT in before) == bool(expected)
        screen.wait_for("> ")
        screen.type("/quit\n")

    await talk(thinking, *options, say=say, code=0, **environment)


async def test_no_reasoning_beside_a_pipe(thinking: Service) -> None:
    target = f"127.0.0.1:{thinking.port}"

    def run() -> str:
        command = f"{PENSTOCK} chat 'What is 2+2?' --target {target} | cat; echo end"
        with shown(("bash", "-c", command), TERM="xterm") as screen:
            return screen.wait_for("end\r\n")

    assert await asyncio.to_thread(run) == "2+2 equals 4.\r\n"


async def test_what_is_typed_during_an_answer_is_read_later(
    service: Service, simulator: Simulator
) -> None:
    def say(screen: Terminal) -> None:
        screen.type("Say hello. [[simulate: stall after=3]]\n")
        screen.wait_for("Hello")
        screen.type("Say hello.")
        screen.interrupt()
        assert "Say" not in screen.wait_for("\r\n> ")
        screen.type("\n")
        assert HELLO in screen.wait_for("\r\n> ")
        screen.type("/quit\n")

    await talk(service, say=say)
    assert asked(simulator)[-1] == [("user", "Say hello.")]


async def test_what_is_pasted_during_an_answer_is_one_message(
    service: Service, simulator: Simulator
) -> None:
    lines = ["first", "x" * 5000, "", "last"]

    def say(screen: Terminal) -> None:
        screen.type("Say hello. [[simulate: stall after=6]]\n")
        assert MARK_PASTES in screen.wait_for("Hello").rpartition(DO_NOT_MARK_PASTES)[2]
        screen.type("\x1b[200~" + "\r".join(lines) + "\x1b[201~")
        screen.interrupt()
        screen.wait_for("\r\n")
        screen.type("\n")
        screen.wait_for("You said: first")
        screen.wait_for("> ")
        screen.type("/quit\n")

    await talk(service, say=say, TERM="xterm")
    assert asked(simulator)[-1] == [("user", "\n".join(lines))]


async def test_a_sign_of_waiting(service: Service) -> None:
    def say(screen: Terminal) -> None:
        screen.type("[[simulate: silent]]\n")
        screen.wait_for("\r/")
        screen.interrupt()
        screen.wait_for(CLEAR_LINE)
        screen.wait_for("> ")
        screen.type("/quit\n")

    await talk(service, say=say, TERM="xterm", PYTHONIOENCODING="ascii")


@pytest.mark.parametrize("width", [40, 120])
async def test_words_are_whole(width: int, service: Service) -> None:
    lines: list[str] = []

    def say(screen: Terminal) -> None:
        screen.type("Tell me a story.\n")
        screen.wait_for("Once upon")
        shown = "Once upon" + screen.wait_for("end.") + "end."
        lines.extend(re.sub(r"\x1b\[[^a-z]*[a-zA-Z]", "", shown).split("\r\n"))
        screen.wait_for("> ")
        screen.type("/quit\n")

    await talk(service, say=say, TERM="xterm", COLUMNS=str(width))
    plain = await asyncio.to_thread(
        penstock, "chat", "Tell me a story.", "--target", f"127.0.0.1:{service.port}"
    )
    assert " ".join(line.strip() for line in lines) == plain.stdout.decode().strip()
    assert width - 15 < max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aa bb cc", "aa bb\ncc"),
        ("aaaaaaaa b", "aaaaaaaa\nb"),
        ("a  b\n  c", "a  b\n  c"),
        ("aaaaaa b", "aaaaaa\nb"),
        ("你好世界", "你好世\n界"),
        ("é́é́é́ x", "é́é́é́ x"),
        ("a ", "a "),
    ],
)
def test_wrapping(text: str, expected: str) -> None:
    for pieces in ([text], list(text)):
        wrapping = Wrapping(lambda: 6)
        assert "".join(map(wrapping.add, pieces)) + wrapping.rest() == expected


async def test_figures(service: Service) -> None:
    target = ("--target", f"127.0.0.1:{service.port}")
    result = await asyncio.to_thread(penstock, "chat", "Say hello.", "--verbose", *target)
    assert result.stdout.decode() == f"{HELLO}\n"
    pattern = (
        r"penstock: tiny-chat: \d+ tokens in, 10 out, [\d.]+ tokens/s, "
        r"first after [\d.]+ s, total [\d.]+ s\n"
    )
    assert re.fullmatch(pattern, result.stderr.decode()), result.stderr


async def test_metadata(service: Service) -> None:
    target = ("--target", f"127.0.0.1:{service.port}")
    more = ("-v", "--api-key", "sk-secret", "--metadata", "x-request-id=try-1")
    result = await asyncio.to_thread(penstock, "chat", "Say hello.", *more, *target)
    assert result.stdout.decode() == f"{HELLO}\n"
    sent, received, ended = result.stderr.decode().splitlines()
    assert "x-request-id: try-1" in sent
    assert "authorization: (hidden)" in sent
    assert "received metadata x-request-id: try-1" in received
    assert "x-penstock-attempts: 1" in ended


async def test_options(service: Service, simulator: Simulator, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    options = ("-m", "tiny-chat", "-s", "Be brief.", "-t", "0.5", "--top-p", "0.9", "--stop", "x")
    more = ("--stop", "y", "--extra-body", '{"custom": 0.1}', "--audio", str(tmp_path / "a.wav"))
    target = ("--target", f"127.0.0.1:{service.port}")
    for given in (json.dumps(schema), str(tmp_path / "schema.json")):
        command = ("chat", "Say", "hello.", *options, *more, "--schema", given, *target)
        result = await asyncio.to_thread(penstock, *command)
        assert (result.returncode, result.stderr.decode()) == (0, "")
    sent = [one.json for one in simulator.requests if one.method == "POST"]
    assert sent[0] == sent[1]
    expected = {"temperature": 0.5, "top_p": 0.9, "stop": ["x", "y"], "custom": 0.1}
    assert sent[0].items() >= expected.items()
    assert sent[0]["response_format"]["json_schema"]["schema"] == schema
    said = sent[0]["messages"][1]["content"]
    assert [part["type"] for part in said] == ["text", "input_audio"]
    assert said[0]["text"] == "Say hello."


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("chat", "a", "--schema", "{x"), "--schema is not valid JSON"),
        (("chat", "a", "--extra-body", "[1]"), "[1]: No such file or directory"),
        (("chat", "a", "--audio", "nowhere.wav"), "nowhere.wav: No such file or directory"),
    ],
)
def test_wrong_options(arguments: tuple[str, ...], error: str) -> None:
    result = penstock(*arguments)
    assert result.returncode in (1, 2)
    assert error in result.stderr.decode()
    assert result.stderr.count(b"\n") == 1


@pytest.mark.parametrize("width", range(8, 90))
def test_a_bar_is_narrower_than_the_terminal(width: int) -> None:
    for sent, total in ((0, 38_000_000), (10**7, 38_000_000), (38_000_000, 38_000_000), (5, None)):
        assert 0 < len(bar(sent, total, width)) < width


def test_the_place_of_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.cli.prompt import history_file

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("PENSTOCK_HISTORY", raising=False)
    assert history_file() == tmp_path / "penstock" / "history"
    monkeypatch.setenv("PENSTOCK_HISTORY", "off")
    assert history_file() is None
