"""`penstock chat`: one message, or a conversation."""

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
    complain,
    connect,
    file_name,
    free_text,
    on,
    read_input,
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
TALK = "Ctrl-C stops an answer, /reset forgets what was said, /quit or Ctrl-D leaves"
WHOLE = ("stop", "tool_calls")
"""Reasons for which an answer ends that is not cut off."""


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "send a message and stream the answer; without a message, talk"
    parser = add_command(commands, "chat", _run, summary)
    message = parser.add_argument(
        "message",
        nargs="?",
        help="what to say; - or none: standard input, or a conversation on a terminal",
    )
    add_model(parser)
    parser.add_argument("--system", default="", help="instructions that come first")
    pictures = parser.add_argument(
        "--image", action="append", default=[], help="file or URL; repeatable"
    )
    parser.add_argument("--max-tokens", type=int, help="longest answer; default: the model's")
    parser.add_argument("--temperature", type=float, help="default: the model's")
    parser.add_argument("--seed", type=int, help="makes sampling repeatable")
    tools = parser.add_argument(
        "--tools", metavar="FILE", help="tools that the model may call: a JSON list, as OpenAI's"
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
    """What was said so far, and how it goes on."""

    def __init__(self, client: Client, options: ChatOptions, arguments: argparse.Namespace) -> None:
        """Begins with the system's message, if there is one."""
        self._client, self._options, self._json = client, options, arguments.json
        self._begin = [system(arguments.system)] if arguments.system else []
        self._messages = self._begin

    def say(self, *messages: ChatMessage) -> ChatCompletion:
        """Prints the answer to messages; both are remembered if it comes whole.

        Raises:
            PenstockError: it did not.
            KeyboardInterrupt: Ctrl-C ended it.
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
        """Goes on until the end of the input; an answer is left with Ctrl-C."""
        _enable_line_editing()
        complain(TALK)
        while (text := _ask(PROMPT)) not in (None, *QUIT):
            if text == RESET:
                self._messages = self._begin
            elif text and text.strip() and self._turn(user(text, *pictures)):
                pictures = ()

    def _turn(self, *messages: ChatMessage) -> bool:
        """Tells whether it came to its end; what was said is forgotten if not."""
        before = self._messages
        try:
            answer = self.say(*messages)
            while answer.tool_calls:
                answer = self.say(*map(_result, answer.tool_calls))
        except (EOFError, KeyboardInterrupt):
            print()
        except (PenstockError, ValueError) as error:
            complain(error)
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
            complain(f"refused: {answer.refusal}")
        if answer.finish_reason not in WHOLE:
            complain(f"cut off ({answer.finish_reason})")


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
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(tools, list):
        raise UsageError(f"{path} is no JSON list of tools")
    try:
        return as_tools(tools)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} has a tool that is none: {error}") from error


def _image(source: str) -> ContentPart:
    try:
        return image(source)
    except ValueError as error:
        raise UsageError(f"neither name nor content of {source} tells what it is") from error


def _message(arguments: argparse.Namespace) -> str:
    text: str | None = arguments.message
    if text is None or text == "-":
        text = read_input().rstrip("\n")
        if not text:
            raise UsageError("no message given, and none on standard input")
    return text


def _result(call: ToolCall) -> ChatMessage:
    """Lets the person be the tool.

    Raises:
        EOFError: they would not.
    """
    return tool_result(call, input(f"{call.name} = "))


def _ask(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        print()
        return None
    except UnicodeDecodeError as error:
        complain(f"that is no {error.encoding} text")
        return ""


def _enable_line_editing() -> None:
    with suppress(ImportError):
        import readline  # noqa: F401  (input() uses it once it is there)
