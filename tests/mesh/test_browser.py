"""The page of examples/browser in a real browser."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shlex import join
from typing import Any

import pytest
from docs.markdown import commands
from examples.test_clients import EXAMPLES, shell
from rpc.calls import STORY, until
from servers import HOST

from mesh.conftest import StartMesh
from mesh.gateway import ORIGIN

EXAMPLE = EXAMPLES / "browser"
DRIVER = Path(__file__).parent / "browser"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves files; yields their origin."""
    with ThreadingHTTPServer((HOST, 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
async def page() -> Path:
    """The folder of the page, built by the commands of its README."""
    *building, _ = commands((EXAMPLE / "README.md").read_text("utf-8"))
    for command in building:
        await shell(command, EXAMPLE)
    return EXAMPLE / "build"


@pytest.mark.timeout(600)
async def test_a_page_streams_and_cancels(start: StartMesh, page: Path) -> None:
    with served(page) as origin:
        mesh = await start(changes={ORIGIN: origin})
        questions = {
            "whole": STORY,
            "stopped": "STOP Wait. [[simulate: stall after=3]]",
            "broken": "Hi. [[simulate: cut after=3]]",
            "refused": "Hi. [[simulate: status code=400]]",
        }
        url = f"{origin}/?envoy=http://{mesh.envoy.address}"
        printed = await shell(join(("node", "drive.js", url, *questions.values())), DRIVER)
        shown = dict(zip(questions, json.loads(printed), strict=True))
        assert shown["whole"]["outcome"].startswith("complete: ")
        assert len(shown["whole"]["answer"]) > 20
        assert shown["stopped"]["answer"]
        assert shown["stopped"]["outcome"] == "stopped"
        assert shown["broken"]["answer"]
        assert shown["broken"]["outcome"].startswith("Unavailable STREAM_INTERRUPTED: ")
        assert shown["refused"]["outcome"].startswith("InvalidArgument UPSTREAM_REJECTED: ")
        await until(lambda: sum(one.aborted for one in mesh.simulators) == 1)
