"""The picture of a terminal in the README, from a real run: python -m website.terminal."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from textwrap import wrap
from xml.etree import ElementTree

from website.index import ROOT

PICTURE = ROOT / "docs" / "terminal.svg"
COMMANDS = (
    'penstock chat "Say hello."',
    'penstock chat "What is the weather in Paris?" \\\n    --tools examples/tools.json',
    'penstock rerank "capital of France" \\\n    "Berlin is in Germany." "Paris is in France."',
    'penstock chat "Tell me a story. [[simulate: cut after=12]]"',
    "penstock health",
)

_TITLE = (
    "A terminal: a chat, a tool call, a reranking, a stream that breaks off and ends with "
    "UNAVAILABLE, and the health of the service"
)
_COLUMNS, _COLUMN, _LINE, _MARGIN, _BAR = 62, 8.4, 20, 20, 36
_STYLE = """\
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
white-space: pre; fill: #cbd5e1 }
.command { fill: #86efac; font-weight: 600 } .error { fill: #fca5a5 }"""
_REQUEST_ID = re.compile(r"\(request [0-9a-f]+\)")
_SVG = "{http://www.w3.org/2000/svg}"

Session = list[tuple[str, str]]
"""Commands and their output."""


def session(picture: str) -> Session:
    """Returns the commands that a picture shows, with their output."""
    found: Session = []
    for text in ElementTree.fromstring(picture).iter(f"{_SVG}text"):
        parts = [part.text or "" for part in text.iter(f"{_SVG}tspan")]
        if text.get("class") == "command":
            found.append(("\n".join(parts).removeprefix("$ "), ""))
        else:
            command, output = found[-1]
            found[-1] = command, f"{output}{' '.join(parts)}\n"
    return found


def draw(shown: Session) -> str:
    """Returns the picture of a session as SVG; each line of text is one element."""
    lines = [line for command, output in shown for line in _lines(command, output)]
    rows = sum(len(parts) for _, parts in lines)
    width = round(_COLUMNS * _COLUMN) + 2 * _MARGIN
    height = _BAR + rows * _LINE + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{_TITLE}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" fill="#0f172a" '
            'stroke="#475569"/>',
            *(f'<circle cx="{20 + 18 * n}" cy="18" r="5" fill="#475569"/>' for n in range(3)),
            *_texts(lines),
            "</svg>\n",
        ]
    )


def _lines(command: str, output: str) -> Iterator[tuple[str, list[str]]]:
    """Yields the class of each line, and its parts, which fit in the width."""
    yield "command", f"$ {command}".split("\n")
    for line in output.splitlines():
        kind = "error" if line.startswith("penstock: ") else "output"
        yield kind, wrap(line, _COLUMNS)


def _texts(lines: list[tuple[str, list[str]]]) -> Iterator[str]:
    y = _BAR
    for kind, parts in lines:
        spans = ""
        for part in parts:
            y += _LINE
            spans += f'<tspan x="{_MARGIN}" y="{y - 4}">{escape(part, quote=False)}</tspan>'
        yield f'<text class="{kind}">{spans}</text>'


def _run() -> Session:
    """Runs the commands on the service of `penstock demo`."""
    with _demo() as target:
        environment = os.environ | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PENSTOCK_TARGET": target,
        }
        return [(command, _output(command, environment)) for command in COMMANDS]


def shell_command(command: str) -> str:
    """Returns the code for a shell that prints what a terminal shows of a command."""
    return f"{{ {command}; }} 2>&1 | expand"


def _output(command: str, environment: dict[str, str]) -> str:
    ended = subprocess.run(
        ["bash", "-c", shell_command(command)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return _REQUEST_ID.sub("(request ...)", ended.stdout)


@contextmanager
def _demo() -> Iterator[str]:
    """Runs the demonstration; yields its address."""
    off = ("--listen", "127.0.0.1:0", "--admin-listen", "off", "--metrics-listen", "off")
    command = (sys.executable, "-m", "penstock_server", "demo", *off)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        try:
            shown = iter(demo.stdout.readline, "Serving until Ctrl-C.\n")
            [target] = re.findall(r"gRPC at (\S+)\. ", "".join(shown))
            yield target
        finally:
            demo.terminate()
            demo.communicate()


if __name__ == "__main__":
    PICTURE.write_text(draw(_run()), "utf-8")
