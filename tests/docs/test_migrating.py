"""docs/migrating.md: what its right columns name exists in the client."""

import inspect
import re
from pathlib import Path
from typing import Any, get_type_hints

import penstock
from penstock import Client
from penstock.chat import ChatOptions

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text("utf-8")
# Names of the page for values of these classes.
VALUES: dict[str, Any] = {
    "answer": penstock.ChatCompletion,
    "call": penstock.ToolCall,
    "error": penstock.CallError,
    "event": penstock.ChatEvent,
}


def right(heading: str) -> list[str]:
    """Returns the code in the right column of the table below a heading."""
    table = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split(" | ")[1] for line in table.splitlines() if line.startswith("| ")]
    return [code for cell in cells[2:] for code in re.findall(r"`([^`]+)`", cell)]


def test_the_arguments_of_the_client() -> None:
    accepted = inspect.signature(Client).parameters
    named = {code.partition("=")[0] for code in right("Client") if re.match(r"[a-z_]+=", code)}
    assert len(named) == 7
    assert named <= set(accepted)


def test_the_methods() -> None:
    named = [code.partition("(")[0] for code in right("Methods") if code.startswith("client.")]
    assert len(named) == 16
    with Client("127.0.0.1:1") as client:
        for path in named:
            value: Any = client
            for name in path.split(".")[1:]:
                value = getattr(value, name)
            assert callable(value), path


def test_the_options() -> None:
    assert len(right("Options")) > 20
    assert set(right("Options")) - {"chat_template_kwargs"} <= set(get_type_hints(ChatOptions))


def test_the_answers() -> None:
    named = [code.partition("(")[0] for code in right("Answers") + right("Errors")]
    members = [name.split(".") for name in named if "." in name and not name.startswith("stream.")]
    assert len(members) == 18
    assert not [(value, name) for value, name in members if not hasattr(VALUES[value], name)]


def test_the_names_of_the_errors_of_openai() -> None:
    table = PAGE.partition("\n## Errors\n")[2].partition("\nThe names")
    names = re.findall(r"(?:^\| |, )`([A-Z]\w+)`(?=.* \|)", table[0], re.MULTILINE)
    absent = {name for name in names if not hasattr(penstock, name)}
    assert len(set(names)) > 12
    assert absent == {"OpenAIError", "UnprocessableEntityError", "LengthFinishReasonError"}


def test_the_errors() -> None:
    classes = [code for code in right("Errors") if code[0].isupper()]
    assert len(classes) == 13
    assert all(issubclass(getattr(penstock, name), penstock.PenstockError) for name in classes)
