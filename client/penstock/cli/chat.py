"""`penstock chat`: sends one message, or holds a conversation."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from penstock.chat import ChatOptions
from penstock.chat_answer import ChatCompletion
from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    UsageError,
    add_command,
    add_model,
    connect,
    file_name,
    free_text,
    on,
    read_input,
    report,
    show,
)
from penstock.cli.transcript import Transcript, ended_by_control_c
from penstock.client import Client
from penstock.errors import PenstockError
from penstock.messages import image, system, tool_result, user
from penstock.tools import ToolCall, as_tools
from penstock.v1.message_pb2 import ChatMessage, ContentPart, Tool

PROMPT = "> "
QUIT = ("/quit", "/exit")
RESET = "/reset"
TALK = "Ctrl-C stops an answer, /reset clears the conversation, /quit or Ctrl-D exits"
WHOLE = ("stop", "tool_calls")
"""Finish reasons of answers that are not cut off."""


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "send a message and stream the answer; without a message, start a conversation"
    parser = add_command(commands, "chat", _run, summary)
    message = parser.add_argument(
        "message",
        nargs="?",
        help="message to send; - or none: standard input, or a conversation on a terminal",
    )
    add_model(parser)
    parser.add_argument("--system", default="", help="system message")
    pictures = parser.add_argument(
        "--image", action="append", default=[], help="file or URL; repeatable"
    )
    parser.add_argument(
        "--max-tokens", type=int, help="maximum length of the answer; default: the model's"
    )
    parser.add_argument(
        "--temperature", type=float, help="sampling temperature; default: the model's"
    )
    parser.add_argument("--seed", type=int, help="seed that makes sampling repeatable")
    tools = parser.add_argument(
        "--tools",
        metavar="FILE",
        help="JSON list of tools that the model may call, in OpenAI's form",
    )
    free_text(message)
    file_name(pictures)
    file_name(tools)


def _run(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    pictures = [_image(source) for source in arguments.image]
    with connect(arguments) as client:
        conversation = Conversation(client, options, arguments)
        if arguments.message is None and sys.stdin and sys.stdin.isatty():
            conversation.talk(pictures)
        else:
            conversation.say(user(_message(arguments), *pictures))
    return EXIT_OK


class Conversation:
    """A conversation with a model.

    Args:
        client: the client.
        options: options of each call.
        arguments: the command line.
    """

    def __init__(self, client: Client, options: ChatOptions, arguments: argparse.Namespace) -> None:
        self._client, self._options, self._json = client, options, arguments.json
        self._begin = [system(arguments.system)] if arguments.system else []
        self._messages = self._begin

    def say(self, *messages: ChatMessage) -> ChatCompletion:
        """Sends messages and prints the answer; remembers both if the answer is complete.

        Raises:
            PenstockError: the answer is not complete.
            KeyboardInterrupt: Ctrl-C stopped the answer.
        """
        conversation = [*self._messages, *messages]
        with (
            self._client.chat.stream(conversation, **self._options) as stream,
            ended_by_control_c(stream),
            Transcript(silent=self._json) as transcript,
        ):
            for event in stream:
                transcript.add(event)
            answer = stream.final()
        self._finish(answer)
        self._messages = [*conversation, answer.message]
        return answer

    def talk(self, pictures: Sequence[ContentPart]) -> None:
        """Reads messages until the end of the input; Ctrl-C stops an answer."""
        _enable_line_editing()
        report(TALK)
        while (text := _ask(PROMPT)) not in (None, *QUIT):
            if text == RESET:
                self._messages = self._begin
            elif text and text.strip() and self._turn(user(text, *pictures)):
                pictures = ()

    def _turn(self, *messages: ChatMessage) -> bool:
        """Returns whether the turn was completed; if not, forgets its messages."""
        before = self._messages
        try:
            answer = self.say(*messages)
            while answer.tool_calls:
                answer = self.say(*map(_result, answer.tool_calls))
        except (EOFError, KeyboardInterrupt):
            print()
        except (PenstockError, ValueError) as error:
            report(error)
        else:
            return True
        self._messages = before
        return False

    def _finish(self, answer: ChatCompletion) -> None:
        if self._json:
            show(answer.proto)
            return
        for call in answer.tool_calls:
            print(on(sys.stdout, f"{call.name}({call.arguments_json})"))
        if answer.refusal:
            report(f"refused: {answer.refusal}")
        if answer.finish_reason not in WHOLE:
            report(f"cut off ({answer.finish_reason})")


def _options(arguments: argparse.Namespace) -> ChatOptions:
    return {
        "model": arguments.model,
        "max_tokens": arguments.max_tokens,
        "temperature": arguments.temperature,
        "seed": arguments.seed,
        "tools": _read_tools(arguments.tools) if arguments.tools else None,
    }


def _read_tools(path: str) -> list[Tool]:
    try:
        tools = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(tools, list):
        raise UsageError(f"{path} is not a JSON list of tools")
    try:
        return as_tools(tools)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} contains a tool that is not valid: {error}") from error


def _image(source: str) -> ContentPart:
    try:
        return image(source)
    except ValueError as error:
        raise UsageError(f"cannot detect the media type of {source}") from error


def _message(arguments: argparse.Namespace) -> str:
    text: str | None = arguments.message
    if text is None or text == "-":
        text = read_input().rstrip("\n")
        if not text:
            raise UsageError("no message given, and none on standard input")
    return text


def _result(call: ToolCall) -> ChatMessage:
    """Asks the user for the result of a tool call.

    Raises:
        EOFError: the input ended.
    """
    return tool_result(call, input(f"{call.name} = "))


def _ask(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        print()
        return None
    except UnicodeDecodeError as error:
        report(f"the input is not valid {error.encoding} text")
        return ""


def _enable_line_editing() -> None:
    with suppress(ImportError):
        import readline  # noqa: F401  (importing it enables it for input())
