"""`penstock chat`: one message, or a conversation."""

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from penstock.chat import ChatOptions
from penstock.chat_answer import ChatCompletion
from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    UsageError,
    add_command,
    add_model,
    complain,
    connect,
    show,
)
from penstock.client import Client
from penstock.errors import PenstockError
from penstock.messages import image, system, tool_result, user
from penstock.tools import ToolCall, as_tools
from penstock.v1.message_pb2 import ChatMessage

PROMPT = "> "


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "send a message and stream the answer; without a message, talk"
    parser = add_command(commands, "chat", _run, summary)
    parser.add_argument(
        "message",
        nargs="?",
        help="what to say; - or none: standard input, or a conversation on a terminal",
    )
    add_model(parser)
    parser.add_argument("--system", default="", help="instructions that come first")
    parser.add_argument("--image", action="append", default=[], help="file or URL; repeatable")
    parser.add_argument("--max-tokens", type=int, help="longest answer; default: the model's")
    parser.add_argument("--temperature", type=float, help="default: the model's")
    parser.add_argument("--seed", type=int, help="makes sampling repeatable")
    parser.add_argument(
        "--tools", metavar="FILE", help="tools that the model may call: a JSON list, as OpenAI's"
    )


def _run(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    with connect(arguments) as client:
        conversation = Conversation(client, options, arguments)
        if arguments.message is None and sys.stdin.isatty():
            conversation.talk()
        else:
            conversation.say(_message(arguments))
    return EXIT_OK


class Conversation:
    """What was said so far, and how it goes on."""

    def __init__(self, client: Client, options: ChatOptions, arguments: argparse.Namespace) -> None:
        """Begins with the system's message, if there is one."""
        self._client, self._options, self._json = client, options, arguments.json
        self._messages = [system(arguments.system)] if arguments.system else []

    def say(self, *messages: ChatMessage) -> ChatCompletion:
        """Prints the answer to messages; both are remembered if it comes whole."""
        conversation = [*self._messages, *messages]
        with self._client.chat.stream(conversation, **self._options) as stream:
            for text in stream.text_stream:
                self._print(text)
            answer = stream.final()
        self._finish(answer)
        self._messages = [*conversation, answer.message]
        return answer

    def talk(self) -> None:
        """Goes on until the end of the input; an answer is left with Ctrl-C."""
        _enable_line_editing()
        while (text := _ask(PROMPT)) is not None:
            if text.strip():
                self._turn(user(text))

    def _turn(self, *messages: ChatMessage) -> None:
        before = self._messages
        try:
            answer = self.say(*messages)
            while answer.tool_calls:
                answer = self.say(*map(_result, answer.tool_calls))
        except KeyboardInterrupt:
            print()
            self._messages = before
        except PenstockError as error:
            complain(error)
            self._messages = before

    def _print(self, text: str) -> None:
        if not self._json:
            print(text, end="", flush=True)

    def _finish(self, answer: ChatCompletion) -> None:
        if self._json:
            show(answer.proto)
            return
        if answer.text or not answer.tool_calls:
            print()
        for call in answer.tool_calls:
            print(f"{call.name}({call.arguments_json})")


def _options(arguments: argparse.Namespace) -> ChatOptions:
    return {
        "model": arguments.model,
        "max_tokens": arguments.max_tokens,
        "temperature": arguments.temperature,
        "seed": arguments.seed,
        "tools": as_tools(_read_tools(arguments.tools)) if arguments.tools else None,
    }


def _read_tools(path: str) -> list[dict[str, Any]]:
    try:
        tools = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise UsageError(f"{path} is no JSON list of tools")
    return tools


def _message(arguments: argparse.Namespace) -> ChatMessage:
    text = arguments.message
    if text is None or text == "-":
        text = sys.stdin.read().rstrip("\n")
        if not text:
            raise UsageError("no message given, and none on standard input")
    return user(text, *map(image, arguments.image))


def _result(call: ToolCall) -> ChatMessage:
    """Lets the person be the tool."""
    return tool_result(call, _ask(f"{call.name} = ") or "")


def _ask(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        print()
        return None


def _enable_line_editing() -> None:
    with suppress(ImportError):
        import readline  # noqa: F401  (input() uses it once it is there)
