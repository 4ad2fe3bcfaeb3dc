"""`penstock chat`: sends one message, or holds a conversation."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.chat import ChatOptions
from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    UsageError,
    add_command,
    add_model,
    connect,
    file_name,
    free_text,
    read_input,
)
from penstock.cli.conversation import Conversation
from penstock.messages import audio, image, user
from penstock.tools import as_tools
from penstock.v1.message_pb2 import ContentPart, Tool


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "send a message and stream the answer; without a message, start a conversation"
    parser = add_command(commands, "chat", _run, summary, add_groups=_add_groups)
    message = parser.add_argument(
        "message",
        nargs="*",
        help="message to send, whose words are joined; - or none: standard input, or a "
        "conversation on a terminal",
    )
    parser.set_defaults(more="message")
    add_model(parser)
    free_text(message)


def _add_groups(parser: argparse.ArgumentParser) -> None:
    _add_inputs(parser.add_argument_group("input").add_argument)
    _add_generation(parser.add_argument_group("generation").add_argument)
    _add_output(parser.add_argument_group("output").add_argument)


def _add_inputs(add: Callable[..., argparse.Action]) -> None:
    add(
        "-c",
        "--continue",
        action="store_true",
        dest="resume",
        help="continue the last conversation, with its model, tools and system message",
    )
    free_text(add("-s", "--system", default="", help="system message"))
    for name in ("--image", "--audio"):
        media = add(
            name, action="append", default=[], metavar="FILE", help="file or URL; repeatable"
        )
        file_name(media)
    tools = add(
        "--tools",
        metavar="FILE",
        help="JSON list of tools that the model may call, in OpenAI's form",
    )
    file_name(tools)


def _add_generation(add: Callable[..., argparse.Action]) -> None:
    add("--max-tokens", type=int, help="maximum length of the answer; default: the model's")
    add("-t", "--temperature", type=float, help="sampling temperature; default: the model's")
    add(
        "--top-p",
        type=float,
        help="cumulative probability of the tokens to sample from; default: the model's",
    )
    add("--stop", action="append", metavar="TEXT", help="text that ends the answer; repeatable")
    add("--seed", type=int, help="seed that makes sampling repeatable")
    schema = add("--schema", metavar="JSON", help="JSON Schema of the answer, or a file with it")
    body = add(
        "--extra-body",
        metavar="JSON",
        help="further parameters of vLLM, as a JSON object or a file with it",
    )
    file_name(schema)
    file_name(body)


def _add_output(add: Callable[..., argparse.Action]) -> None:
    add("--hide-reasoning", action="store_true", help="do not show the model's reasoning")
    add("--no-wrap", action="store_true", help="leave the line breaks to the terminal")
    add(
        "--verbose",
        action="store_true",
        help="report the number of tokens, the tokens per second and the time to the first one",
    )


def _run(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    media = [
        *(_media(image, source) for source in arguments.image),
        *(_media(audio, source) for source in arguments.audio),
    ]
    with connect(arguments) as client:
        conversation = Conversation(client, options, arguments)
        if arguments.resume:
            conversation.resume()
        if not arguments.message and sys.stdin and sys.stdin.isatty():
            conversation.talk(media)
        else:
            conversation.send(user(_message(arguments), *media))
    return EXIT_OK


def _options(arguments: argparse.Namespace) -> ChatOptions:
    return {
        "model": arguments.model,
        "max_tokens": arguments.max_tokens,
        "temperature": arguments.temperature,
        "top_p": arguments.top_p,
        "stop": arguments.stop,
        "seed": arguments.seed,
        "tools": _read_tools(arguments.tools) if arguments.tools else None,
        "response_format": _read_object(arguments.schema, "--schema"),
        "extra_body": _read_object(arguments.extra_body, "--extra-body"),
    }


def _read_object(given: str | None, option: str) -> dict[str, Any] | None:
    """Returns the JSON object that an option contains or that is in the file that it names."""
    if given is None:
        return None
    inline = given.lstrip().startswith("{")
    read = _parsed(given, option) if inline else _read_json(given)
    if not isinstance(read, dict):
        raise UsageError(f"{given} is not a JSON object")
    return read


def _read_tools(path: str) -> list[Tool]:
    tools = _read_json(path)
    if not isinstance(tools, list):
        raise UsageError(f"{path} is not a JSON list of tools")
    try:
        return as_tools(tools)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} contains a tool that is not valid: {error}") from error


def _read_json(path: str) -> Any:
    try:
        text = Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not valid UTF-8 text") from error
    return _parsed(text, path)


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name} is not valid JSON: {error}") from error


def _media(part: Callable[[str], ContentPart], source: str) -> ContentPart:
    try:
        return part(source)
    except ValueError as error:
        raise UsageError(f"cannot detect the media type of {source}") from error


def _message(arguments: argparse.Namespace) -> str:
    text = " ".join(arguments.message)
    if text in ("", "-"):
        text = read_input().rstrip("\n")
        if not text:
            raise UsageError("no message given, and none on standard input")
    return text
