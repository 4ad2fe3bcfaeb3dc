"""The client's commands, in pipes and in terminals."""

import ast
import json
import subprocess
import wave
from pathlib import Path

import pytest
from child import child

from penstock import Client
from penstock.channel import DEFAULT_TARGET

from .conftest import silence
from .terminal import BOUND_S, PENSTOCK, penstock, terminal

HELLO = "Hello! How can I help you today?"
LICENSE = str(Path(__file__).parents[2] / "LICENSE")
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


def test_a_stream_of_embeddings(target: str) -> None:
    lines = [f"text {number}" for number in range(100)]
    result = penstock("embed", "--stream", "--target", target, given="\n".join(lines))
    shown = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["index"] for one in shown] == list(range(100))
    assert [len(one["embedding"]) for one in shown] == [64] * 100
    assert result.returncode == 0


def test_a_stream_of_tokens(target: str) -> None:
    given = "Say hello.\n\n[[simulate: status code=400]]\n"
    result = penstock("tokenize", "--stream", "--target", target, given=given)
    text, empty, failed = map(json.loads, result.stdout.splitlines())
    assert text["token_strings"] == ["Say", "Ġhello", "."]
    assert len(text["token_ids"]) == 3
    assert empty == {"index": 1, "token_ids": [], "token_strings": []}
    assert (failed["index"], failed["error"]["reason"]) == (2, "UPSTREAM_REJECTED")
    assert result.returncode == 1


def test_a_failed_item_of_a_stream(target: str) -> None:
    given = "a cat\n[[simulate: status code=400]]\n"
    result = penstock("embed", "--stream", "--target", target, given=given)
    fine, failed = map(json.loads, result.stdout.splitlines())
    assert fine["embedding"]
    assert (failed["error"]["code"], failed["error"]["reason"]) == (
        "INVALID_ARGUMENT",
        "UPSTREAM_REJECTED",
    )
    assert result.returncode == 1


@pytest.mark.parametrize("command", ["embed", "tokenize"])
def test_a_stream_accepts_no_texts(command: str, target: str) -> None:
    result = penstock(command, "--stream", "a", "--target", target)
    assert (result.returncode, b"--stream" in result.stderr) == (2, True)


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


def test_transcribe_live(target: str, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(silence(1))
    live = ("transcribe", "--live", "--target", target)
    heard = penstock(*live, str(path))
    assert (heard.returncode, heard.stderr) == (0, b"")
    assert heard.stdout.startswith(b" Hello world")
    raw = path.read_bytes()[44:]
    assert penstock(*live, "-", given=raw).stdout == heard.stdout
    assert penstock(*live, "-", given=path.read_bytes()).stdout == heard.stdout
    lines = penstock(*live, "--json", str(path)).stdout.splitlines()
    assert [list(json.loads(line)) for line in (lines[0], lines[-1])] == [["started"], ["done"]]


def test_transcribe_live_of_another_rate(target: str, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    result = penstock("transcribe", "--live", "--target", target, str(path))
    assert result.returncode == 2
    assert b"16000 Hz" in result.stderr


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


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_audio_that_does_not_end(form: tuple[str, ...], target: str) -> None:
    """A thread is still reading it when the command ends."""
    command = (PENSTOCK, "transcribe", "-", "--timeout", "0.3", "--target", target, *form)
    with child(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        output = process.stderr.read().decode()
        assert process.wait(BOUND_S) == 1
    assert output.startswith("penstock: DEADLINE_EXCEEDED")
    assert output.count("\n") == 1


def test_options_between_arguments(target: str) -> None:
    ranked = penstock("rerank", "France", "--top-n", "1", "Rome", "Paris", "--target", target)
    assert ranked.stdout.count(b"\n") == 1
    vectors = penstock("embed", "a", "--target", target, "b")
    assert vectors.stdout.count(b"\n") == 2
    is_one_error(penstock("embed", "a", "--new", "b"), "unrecognized arguments: --new b")


def test_generate(target: str) -> None:
    options = ("--max-tokens", "3", "--temperature", "0", "--target", target)
    ids = penstock("generate", "565", "1262", "16", *options).stdout.split()
    assert len(ids) == 3
    assert all(map(bytes.isdigit, ids))
    tokens = penstock("tokenize", "Say hello.", "--target", target).stdout
    text = penstock("generate", "--text", *options, given=tokens.decode()).stdout
    assert text.startswith(b" You said")
    whole = json.loads(penstock("generate", "565", "--json", *options).stdout)
    assert whole["choices"][0]["finish_reason"] == "FINISH_REASON_LENGTH"


@pytest.mark.parametrize("given", ["", "565\nx1\n"])
def test_generate_without_token_ids(given: str) -> None:
    is_one_error(penstock("generate", "--target", "127.0.0.1:1", given=given), "token id")


def test_response(storing_target: str) -> None:
    with (
        Client(storing_target) as client,
        client.responses.stream("Say hello.", background=True) as stream,
    ):
        *_, last = (event for event in stream if event.text)
        response_id = stream.snapshot.id
    command = ("response", response_id, "--target", storing_target)
    assert penstock(*command).stdout.decode() == HELLO + "\n"
    number = str(last.proto.sequence_number - 1)
    rest = penstock(*command, "--starting-after", number)
    assert rest.stdout.decode() == f"{last.text}\n"
    events = penstock(*command, "--json").stdout.splitlines()
    assert json.loads(events[0])["created"]["id"] == response_id
    assert json.loads(events[-1])["completed"]["status"] == "RESPONSE_STATUS_COMPLETED"


def test_an_unknown_response(storing_target: str) -> None:
    result = penstock("response", "resp_0", "--target", storing_target)
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"RESPONSE_NOT_FOUND" in result.stderr


def test_tokenize(target: str) -> None:
    result = penstock("tokenize", "Say hello.", "--target", target)
    rows = [line.split("\t") for line in result.stdout.decode().splitlines()]
    text = "".join(ast.literal_eval(string) for _, string in rows)
    assert text.replace("Ġ", " ") == "Say hello."  # the tokenizer's form of a space
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


def test_a_limit_is_reported_before_the_upload(target: str, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    with path.open("wb") as file:
        file.truncate(25 * 1024 * 1024 + 1)
    with terminal("transcribe", str(path), "--target", target) as shown:
        printed = shown.wait_for("is larger than 26214400 bytes")
        assert shown.end() == 1
    assert "100%" not in printed


def test_models_as_json(target: str) -> None:
    models = json.loads(penstock("models", "--json", "--target", target).stdout)["models"]
    assert [model["id"] for model in models] == ["tiny-chat", "tiny-chat-alias"]


def test_health_as_json(target: str) -> None:
    result = penstock("health", "--json", "--target", target)
    assert json.loads(result.stdout) == {"status": "SERVING"}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("chat",), "no message given, and none on standard input; see penstock chat --help"),
        (("embed",), "no text given"),
        (("rerank", "a"), "no document given"),
        (("models", "--target", "http://localhost:1"), "use host:port"),
        (("chat", "a", "--tools", __file__), "is not valid JSON"),
        (("completion", "csh"), "invalid choice"),
        (("chat", "a", "--max-tokens", "x"), "--max-tokens"),
        (("chat", "a", "--timeout", "soon"), "'soon' is not a valid number of seconds"),
        (("chat", "a", "--timeout", "-1"), "'-1' is not a valid number of seconds"),
        (("chat", "a", "--metadata", "x"), "'x' is not in the form KEY=VALUE"),
        (("chat", "a", "--metadata", "x y=1"), "'x y' is not a valid metadata key"),
        (("chat", "a", "--api-key", "sk\n"), "begins or ends with white space"),
        (("chat", "a", "--max-tokens", "99999999999"), "max_tokens cannot be 99999999999"),
        (("chat", "a", "--seed", "99999999999999999999"), "seed cannot be"),
        (("embed", "a", "--dimensions", "99999999999"), "dimensions cannot be"),
        (("chat", "a", "--image", LICENSE), f"cannot detect the media type of {LICENSE}"),
        (("chat", b"\xff"), "an argument is not valid UTF-8 text"),
        (("embed", "a", b"\xff"), "an argument is not valid UTF-8 text"),
        (("upstreams", "--watch", "x"), "--watch"),
        (("upstreams", "--watch", "inf"), "'inf' is not a valid number of seconds"),
    ],
)
def test_wrong_usage(arguments: tuple[str | bytes, ...], error: str) -> None:
    is_one_error(penstock(*arguments), error)


def is_one_error(result: "subprocess.CompletedProcess[bytes]", error: str) -> None:
    assert (result.returncode, result.stdout) == (2, b"")
    assert error in result.stderr.decode()
    assert result.stderr.startswith(b"penstock: ")
    assert result.stderr.count(b"\n") == 1


@pytest.mark.parametrize("command", ["chat", "embed", "rerank query", "tokenize", "generate"])
def test_input_that_is_not_text(command: str) -> None:
    result = penstock(*command.split(), given=b"\xff\n", PYTHONUTF8="1")
    is_one_error(result, "standard input is not valid utf-8 text")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("TIMEOUT", "abc", "PENSTOCK_TIMEOUT is 'abc'"),
        ("RETRIES", "abc", "PENSTOCK_RETRIES is 'abc'"),
        ("TLS", "maybe", "PENSTOCK_TLS is 'maybe'"),
        ("TARGET", "http://localhost:1", "use host:port"),
    ],
)
def test_invalid_variables(name: str, value: str, error: str) -> None:
    result = penstock("models", **{f"PENSTOCK_{name}": value})
    is_one_error(result, error)


@pytest.mark.parametrize(
    "given",
    [
        "{}",
        "[3]",
        '[{"type": "function", "function": {"name": 1}}]',
        '[{"type": "function", "function": 1}]',
        '[{"name": "f", "parameters": {}, "strict": "very"}]',
    ],
)
def test_invalid_tools(given: str, tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text(given)
    is_one_error(penstock("chat", "a", "--tools", str(path)), str(path))


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("chat", "no message given, and none on standard input"),
        ("transcribe -", "standard input is closed"),
    ],
)
def test_closed_standard_input(command: str, error: str, target: str) -> None:
    is_one_error(in_bash(f"{PENSTOCK} {command} --target {target} <&-"), error)


def test_an_output_that_cannot_be_written() -> None:
    result = in_bash(f"{PENSTOCK} completion bash > /dev/full")
    assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)


def in_bash(command: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(("bash", "-c", command), capture_output=True, timeout=60, check=False)


def test_a_terminal_without_some_characters(target: str) -> None:
    """Nothing of an answer is lost; JSON stays JSON."""
    question, greeting = "Greet me in French with emoji.", "Bonjour 👋🌍 — café naïve, 你好!"
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    whole = penstock("chat", question, "--target", target)
    assert whole.stdout.decode() == greeting + "\n"
    result = penstock("chat", question, "--target", target, **ascii_only)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.decode().encode().decode("unicode_escape") == greeting + "\n"
    result = penstock("chat", question, "--json", "--target", target, **ascii_only)
    [choice] = json.loads(result.stdout.decode("ascii"))["choices"]
    assert choice["message"]["content"] == [{"text": greeting}]


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


@pytest.fixture(scope="module")
def bash_script() -> str:
    """The completions of bash."""
    return penstock("completion", "bash").stdout.decode()


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("penstock tr", ["transcribe"]),
        ("penstock chat --tem", ["--temperature"]),
        ("penstock completion f", ["fish"]),
        ("penstock serve --upstr", ["--upstream"]),
        ("penstock nothing --x", []),
        ("penstock upstreams --wa", ["--watch"]),
        ("penstock transcribe --sr", ["--srt"]),
        ("penstock transcribe ''", []),
        ("penstock completion ''", ["bash", "zsh", "fish"]),
        ("penstock serve --native-responses ''", ["never", "always", "auto"]),
        ("penstock serve --log-level w", ["warning"]),
        ("penstock serve --workers ''", ["auto"]),
        ("penstock chat --model ''", []),
    ],
)
def test_bash_completes(words: str, completed: list[str], bash_script: str, tmp_path: Path) -> None:
    ask = f"""
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _shtab_penstock
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    result = subprocess.run(
        ("bash", "--norc", "-c", bash_script + ask),
        cwd=tmp_path,  # without files
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert result.stdout.decode().split() == completed


def test_scripts_name_every_command() -> None:
    for shell in ("zsh", "fish"):
        script = penstock("completion", shell).stdout.decode()
        for name in ("serve", "chat", "embed", "transcribe", "tokenize", "models", "upstreams"):
            assert name in script
        assert "temperature" in script
    assert DEFAULT_TARGET in script
