"""A conversation with a model at a terminal."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence

from penstock.chat import ChatOptions, chat_request
from penstock.chat_answer import ChatCompletion
from penstock.cli.command import metadata_held, on, report, show
from penstock.cli.last_conversation import LastConversation, last_conversation
from penstock.cli.prompt import Prompt
from penstock.cli.screen import keyboard_unseen
from penstock.cli.transcript import Transcript, ended_by_control_c
from penstock.cli.wrapping import wrapped
from penstock.client import Client
from penstock.errors import PenstockError
from penstock.messages import system, tool_result, user
from penstock.tools import ToolCall
from penstock.v1.message_pb2 import ROLE_SYSTEM, ChatMessage, ContentPart

TALK = "Ctrl-C stops an answer, /help lists the commands, /quit or Ctrl-D exits"
HELP = """\
  /help           list the commands
  /reset          clear the conversation
  /model NAME     continue with another model; without a name, show the model
  /system TEXT    replace the system message; without a text, remove it
  /quit           exit; also Ctrl-D
  \"\"\"             begin a message of several lines, which ends with \"\"\"
  Ctrl-C          stop an answer, or clear the line
A pasted text is one message. A space before / makes it part of a message."""

_QUIT = ("/quit", "/exit", "/bye", "exit", "quit")
_COMMAND = re.compile(r"/(?P<name>[a-z]+|\?)?(\s+(?P<rest>.*))?", re.DOTALL | re.IGNORECASE)
_WHOLE = ("stop", "tool_calls")
"""Finish reasons of answers that are not cut off."""


class Conversation:
    """A conversation with a model.

    Args:
        client: the client.
        options: options of each call.
        arguments: the command line.
    """

    def __init__(self, client: Client, options: ChatOptions, arguments: argparse.Namespace) -> None:
        self._client, self._options, self._arguments = client, options, arguments
        self._system: str = arguments.system
        self._messages: list[ChatMessage] = []
        self._marks_pastes = False
        kept = arguments.resume or sys.stdout.isatty()
        self._last = last_conversation() if kept else LastConversation(None)

    def resume(self) -> None:
        """Continues the last conversation, with its model, tools and system message.

        Those of the command line override them.
        """
        if not (last := self._last.load()):
            return
        self._options["model"] = self._options.get("model") or last.model or None
        self._options["tools"] = self._options.get("tools") or [*last.tools] or None
        self._messages = [*last.messages]
        if self._messages[0].role == ROLE_SYSTEM:
            first = self._messages.pop(0)
            self._system = self._system or "".join(part.text for part in first.content)

    def send(self, message: ChatMessage) -> None:
        """Sends a message, prints the answer, and keeps the conversation.

        Raises:
            PenstockError: the answer is not complete.
            KeyboardInterrupt: Ctrl-C stopped the answer.
        """
        self.say(message)
        self._keep()

    def say(self, *messages: ChatMessage) -> ChatCompletion:
        """Sends messages and prints the answer; remembers both if the answer is complete.

        Raises:
            PenstockError: the answer is not complete.
            KeyboardInterrupt: Ctrl-C stopped the answer.
        """
        arguments = self._arguments
        conversation = [*self._messages, *messages]
        with (
            self._client.chat.stream(self._whole(conversation), **self._options) as stream,
            ended_by_control_c(stream),
            keyboard_unseen(mark_pastes=self._marks_pastes),
            metadata_held(),
            Transcript(
                silent=arguments.json,
                reasoning=not arguments.hide_reasoning,
                wrap=not arguments.no_wrap,
                spinner=not arguments.show_metadata,
            ) as transcript,
        ):
            for event in stream:
                transcript.add(event)
            answer = stream.final()
        self._finish(answer)
        if arguments.verbose:
            report(transcript.figures(answer))
        self._messages = [*conversation, answer.message]
        return answer

    def talk(self, media: Sequence[ContentPart]) -> None:
        """Reads messages until the end of the input; Ctrl-C stops an answer."""
        prompt = Prompt()
        self._marks_pastes = prompt.keeps_pastes
        report(TALK)
        if self._messages:
            report(f"continuing a conversation of {len(self._messages)} messages")
        while (text := _next(prompt)) is not None and text.strip() not in _QUIT:
            if text.startswith("/") and (command := _COMMAND.fullmatch(text.rstrip())):
                self._command(command["name"] or "", (command["rest"] or "").strip())
            elif text.strip() and self._turn(user(text, *media)):
                media = ()

    def _command(self, name: str, rest: str) -> None:
        commands: dict[str, Callable[[str], None]] = {
            "help": _help,
            "?": _help,
            "reset": self._reset,
            "clear": self._reset,
            "model": self._set_model,
            "system": self._set_system,
        }
        if run := commands.get(name.lower()):
            run(rest)
        else:
            report(f"unknown command /{name}; /help lists the commands")

    def _reset(self, _: str) -> None:
        self._messages = []

    def _set_model(self, name: str) -> None:
        if name:
            self._options["model"] = name
        report(f"model: {self._options.get('model') or 'the only one of the service'}")

    def _set_system(self, text: str) -> None:
        self._system = text

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
            self._keep()
            return True
        self._messages = before
        return False

    def _whole(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        return [*([system(self._system)] if self._system else []), *messages]

    def _keep(self) -> None:
        model, tools = self._options.get("model"), self._options.get("tools")
        self._last.save(chat_request(self._whole(self._messages), model=model, tools=tools))

    def _finish(self, answer: ChatCompletion) -> None:
        if self._arguments.json:
            show(answer.proto)
            return
        for call in answer.tool_calls:
            print(on(sys.stdout, f"{call.name}({call.arguments_json})"))
        if answer.refusal:
            report(f"refused: {answer.refusal}")
        if answer.finish_reason not in _WHOLE:
            report(f"cut off ({answer.finish_reason})")


def _next(prompt: Prompt) -> str | None:
    """Returns the next message; empty after Ctrl-C, which keeps the conversation."""
    try:
        return prompt.ask()
    except KeyboardInterrupt:
        print()
        return ""


def _help(_: str) -> None:
    print(wrapped(HELP), file=sys.stderr)


def _result(call: ToolCall) -> ChatMessage:
    """Asks the user for the result of a tool call.

    Raises:
        EOFError: the input ended.
    """
    return tool_result(call, input(f"{call.name} = "))
