"""The client's commands, in pipes and in terminals."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from penstock.channel import DEFAULT_TARGET

from .conftest import silence
from .terminal import penstock, terminal

HELLO = "Hello! How can I help you today?"
WEATHER = "What is the weather in Paris?"
FUNCTION = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture
def tools(tmp_path: Path) -> str:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([FUNCTION]))
    return str(path)


@pytest.mark.parametrize("arguments", [("chat",), ("chat", "-")])
def test_a_message_from_a_pipe(target: str, arguments: tuple[str, ...]) -> None:
    result = penstock(*arguments, "--target", target, given="Say hello.\n")
    assert (result.returncode, result.stdout.decode(), result.stderr) == (0, HELLO + "\n", b"")


def test_the_target_from_the_environment(target: str) -> None:
    assert penstock("health", PENSTOCK_TARGET=target).stdout == b"SERVING\n"


def test_a_timeout_from_the_environment(target: str) -> None:
    result = penstock("chat", "[[simulate: silent]]", "--target", target, PENSTOCK_TIMEOUT="0.2")
    assert result.returncode == 1
    assert b"DEADLINE_EXCEEDED" in result.stderr


def test_chat_as_json(target: str) -> None:
    result = penstock("chat", "Say hello.", "--json", "--target", target)
    answer = json.loads(result.stdout)
    assert answer["choices"][0]["message"]["content"] == [{"text": HELLO}]
    assert answer["usage"]["total_tokens"] > 0
    assert result.stdout.count(b"\n") == 1


def test_tools(target: str, tools: str) -> None:
    result = penstock("chat", WEATHER, "--tools", tools, "--target", target)
    assert result.stdout.decode() == 'get_weather({"city": "Paris"})\n'
    result = penstock("chat", WEATHER, "--tools", tools, "--json", "--target", target)
    [call] = json.loads(result.stdout)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"


def test_an_image(target: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    result = penstock("chat", "What is it?", "--image", str(path), "--target", target)
    assert (result.returncode, result.stderr) == (0, b"")


def test_embed(target: str) -> None:
    result = penstock("embed", "Say hello.", "What is 2+2?", "--target", target)
    rows = [[float(value) for value in line.split()] for line in result.stdout.splitlines()]
    assert [len(row) for row in rows] == [64, 64]
    piped = penstock("embed", "--target", target, given="Say hello.\nWhat is 2+2?\n")
    assert piped.stdout == result.stdout
    whole = json.loads(penstock("embed", "Say hello.", "--json", "--target", target).stdout)
    assert whole["embeddings"][0]["index"] == 0
    assert whole["embeddings"][0]["float_vector"]["values"] == pytest.approx(rows[0])


def test_rerank(target: str) -> None:
    documents = ["Berlin is in Germany.", "Paris is in France."]
    result = penstock("rerank", "capital of France", *documents, "--target", target)
    rows = [line.split("\t") for line in result.stdout.decode().splitlines()]
    assert [documents[int(row[1])] for row in rows] == [row[2] for row in rows]
    assert float(rows[0][0]) >= float(rows[1][0])
    given = "\n".join(documents)
    best = penstock("rerank", "capital of France", "--top-n", "1", "--target", target, given=given)
    assert best.stdout == result.stdout.splitlines(keepends=True)[0]
    whole = penstock("rerank", "capital of France", *documents, "--json", "--target", target)
    assert {one["index"] for one in json.loads(whole.stdout)["results"]} == {0, 1}


def test_transcribe(target: str, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(silence(1))
    result = penstock("transcribe", str(path), "--language", "en", "--target", target)
    assert (result.returncode, result.stderr) == (0, b"")
    text = result.stdout.decode().strip()
    assert text
    piped = penstock("transcribe", "-", "--target", target, given=silence(1))
    assert piped.stdout == result.stdout
    srt = penstock("transcribe", str(path), "--srt", "--target", target)
    assert b"00:00:00,000 --> " in srt.stdout
    vtt = penstock("transcribe", str(path), "--vtt", "--target", target)
    assert vtt.stdout.startswith(b"WEBVTT")
    whole = penstock("transcribe", str(path), "--json", "--target", target)
    assert json.loads(whole.stdout)["text"].strip() == text


def test_tokenize(target: str) -> None:
    result = penstock("tokenize", "Say hello.", "--target", target)
    rows = [line.split("\t") for line in result.stdout.decode().splitlines()]
    text = "".join(ast.literal_eval(string) for _, string in rows)
    assert text.replace("Ġ", " ") == "Say hello."  # as the tokenizer writes a space
    piped = penstock("tokenize", "--target", target, given="Say hello.")
    assert piped.stdout == result.stdout
    whole = json.loads(penstock("tokenize", "x", "--json", "--target", target).stdout)
    assert whole["count"] == len(whole["token_ids"])


def test_progress_in_a_terminal(target: str, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(silence(20))
    with terminal("transcribe", str(path), "--target", target) as shown:
        shown.wait_for("0.1 of 0.6 MB")
        shown.wait_for("100% sent, waiting for the text")
        assert shown.wait_for("\x1b[K").strip() == ""
        assert shown.end() == 0


def test_models_as_json(target: str) -> None:
    models = json.loads(penstock("models", "--json", "--target", target).stdout)["models"]
    assert [model["id"] for model in models] == ["tiny-chat", "tiny-chat-alias"]


def test_health_as_json(target: str) -> None:
    result = penstock("health", "--json", "--target", target)
    assert json.loads(result.stdout) == {"status": "SERVING"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("chat",), "no message given, and none on standard input; see penstock chat --help"),
        (("embed",), "no text given"),
        (("rerank", "a"), "no document given"),
        (("models", "--target", "http://localhost:1"), "give host:port"),
        (("chat", "a", "--tools", __file__), "is no JSON"),
        (("completion", "csh"), "invalid choice"),
        (("chat", "a", "--max-tokens", "x"), "--max-tokens"),
        (("upstreams", "--watch", "x"), "--watch"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], complaint: str) -> None:
    result = penstock(*arguments)
    assert (result.returncode, result.stdout) == (2, b"")
    assert complaint in result.stderr.decode()
    assert result.stderr.startswith(b"penstock: ")
    assert result.stderr.count(b"\n") == 1


def test_failures(target: str) -> None:
    for arguments in (
        ("transcribe", "nowhere.wav"),
        ("chat", "a", "--tools", "nowhere.json"),
        ("chat", "a", "--model", "nobody"),
        ("models", "--tls"),
    ):
        result = penstock(*arguments, "--target", target)
        assert (result.returncode, result.stdout) == (1, b"")
        assert result.stderr.startswith(b"penstock: ")
        assert result.stderr.count(b"\n") == 1


def test_a_reader_who_has_enough(target: str) -> None:
    command = f"{penstock_path()} models --target {target} | true"
    result = subprocess.run(command, shell=True, capture_output=True, timeout=30, check=False)
    assert result.stderr == b""


def penstock_path() -> str:
    from .terminal import PENSTOCK

    return PENSTOCK


def test_a_conversation(target: str) -> None:
    with terminal("chat", "--target", target, "--system", "You are a helpful assistant.") as shown:
        shown.wait_for("> ")
        shown.type("Say hello.\n")
        assert HELLO in shown.wait_for("> ")
        shown.type("\n")
        shown.wait_for("> ")
        shown.type("Count to three [[simulate: status code=500]]\n")
        assert "penstock: INTERNAL UPSTREAM_INTERNAL" in shown.wait_for("> ")
        shown.type("\x04")
        assert shown.end() == 0


def test_a_conversation_remembers(target: str) -> None:
    with terminal("chat", "--json", "--target", target) as shown:
        counts = []
        for _ in range(2):
            shown.wait_for("> ")
            shown.type("Say hello.\n")
            shown.wait_for('"prompt_tokens": ')
            counts.append(int(shown.wait_for(",")))
        assert counts[1] > counts[0] + 10
        shown.wait_for("> ")
        shown.type("\x04")
        assert shown.end() == 0


def test_a_person_is_the_tool(target: str, tools: str) -> None:
    with terminal("chat", "--tools", tools, "--target", target) as shown:
        shown.wait_for("> ")
        shown.type(f"{WEATHER}\n")
        shown.wait_for('get_weather({"city": "Paris"})')
        shown.wait_for("get_weather = ")
        shown.type("sunny, 21C\n")
        assert "It is sunny in Paris, 21 degrees." in shown.wait_for("> ")
        shown.type("\x04")
        assert shown.end() == 0


def test_an_answer_is_left_with_control_c(target: str) -> None:
    with terminal("chat", "--target", target) as shown:
        shown.wait_for("> ")
        shown.type("Say hello. [[simulate: stall after=3]]\n")
        shown.wait_for("Hello")
        shown.interrupt("> ")
        shown.type("Say hello.\n")
        assert HELLO in shown.wait_for("> ")
        shown.type("\x04")
        assert shown.end() == 0


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("penstock tr", ["transcribe"]),
        ("penstock chat --tem", ["--temperature"]),
        ("penstock completion f", ["fish"]),
        ("penstock serve --upstr", ["--upstream"]),
        ("penstock nothing --x", []),
        ("penstock upstreams --wa", ["--watch"]),
    ],
)
def test_bash_completes(words: str, completed: list[str]) -> None:
    script = penstock("completion", "bash").stdout.decode()
    ask = f"""
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _penstock
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    result = subprocess.run(
        ("bash", "--norc", "-c", script + ask), capture_output=True, timeout=30, check=True
    )
    assert result.stdout.decode().split() == completed


def test_zsh_script_leaves_the_words_of_the_line_alone() -> None:
    script = penstock("completion", "zsh").stdout.decode()
    declared = [name for line in re.findall(r"local (.*)", script) for name in line.split()]
    assert not {"words", "CURRENT"} & set(declared)
    assert "compinit" in script


def test_scripts_name_every_command() -> None:
    for shell in ("zsh", "fish"):
        script = penstock("completion", shell).stdout.decode()
        for name in ("serve", "chat", "embed", "transcribe", "tokenize", "models", "upstreams"):
            assert name in script
        assert "temperature" in script
    assert DEFAULT_TARGET in script
