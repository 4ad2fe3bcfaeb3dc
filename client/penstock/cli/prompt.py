"""Reads the messages of a conversation from a terminal: line editing, several lines, history."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from penstock.cli import state_folder
from penstock.cli.command import report
from penstock.cli.screen import can_redraw

PROMPT = "> "
MORE = "... "
QUOTES = '"""'

_MOST_ENTRIES = 1000


class Prompt:
    """A prompt for messages.

    A pasted text is one message, even if it has several lines. A text that begins with three
    quotation marks ends with three more, perhaps on a later line.

    Attributes:
        keeps_pastes: whether the terminal marks pasted texts, so that they stay one message.
    """

    def __init__(self) -> None:
        self._readline = _readline()
        self.keeps_pastes = self._readline is not None and _bracketed_paste(self._readline)
        self._history = History(history_file())
        if self._readline:
            for entry in self._history.entries():
                self._readline.add_history(entry)

    def ask(self) -> str | None:
        """Returns the next message; None at the end of the input.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        try:
            text = input(PROMPT)
            if text.lstrip().startswith(QUOTES):
                text = _quoted(text.lstrip().removeprefix(QUOTES))
        except EOFError:
            print()
            return None
        except UnicodeDecodeError as error:
            report(f"the input is not valid {error.encoding} text")
            return ""
        self._remember(text)
        return text

    def _remember(self, text: str) -> None:
        if text.strip():
            if self._readline:
                self._readline.add_history(text)
            self._history.add(text)


class History:
    """The messages of earlier conversations, in a file that only its user can read.

    Args:
        path: the file, whose lines are JSON strings; None for no history.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def entries(self) -> list[str]:
        """Returns the latest messages, oldest first."""
        found: list[str] = []
        if self._path:
            with suppress(OSError, ValueError):
                lines = self._path.read_text("utf-8").splitlines()
                found = [str(json.loads(line)) for line in lines[-_MOST_ENTRIES:]]
        return found

    def add(self, text: str) -> None:
        """Appends a message; a history that cannot be written is given up."""
        if self._path:
            with suppress(OSError):
                state_folder.create(self._path.parent)
                descriptor = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
                with open(descriptor, "a", encoding="utf-8") as file:
                    file.write(json.dumps(text) + "\n")


def _quoted(text: str) -> str:
    """Returns a message in quotation marks, from the text after the first ones."""
    while not text.rstrip().endswith(QUOTES):
        text += "\n" + input(MORE)
    return text.rstrip().removesuffix(QUOTES).strip("\n")


def history_file() -> Path | None:
    """Returns the path of the history; None if the user wants none."""
    if state_folder.keeps_nothing():
        return None
    given = os.environ.get(state_folder.VARIABLE, "").strip()
    return Path(given).expanduser() if given else state_folder.state_folder() / "history"


def _readline() -> ModuleType | None:
    """Enables line editing; returns the module if there is one."""
    if not sys.stdout.isatty():
        return None
    try:
        import readline
    except ImportError:
        return None
    readline.set_auto_history(False)
    return readline


def _bracketed_paste(readline: ModuleType) -> bool:
    """Lets the terminal mark pasted texts, if it can; returns whether it does.

    Python switches that off: without it, each pasted line is a message.
    """
    if not can_redraw(sys.stdout) or "libedit" in (readline.__doc__ or ""):
        return False
    readline.parse_and_bind("set enable-bracketed-paste on")
    return True
