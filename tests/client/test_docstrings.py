"""The examples in docstrings run against a service, with the output that they show."""

import asyncio
import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock import Client
from penstock._base.caller import Resource
from penstock._base.stream import Stream

NO_EXAMPLES = "penstock.v1"
CERT = Path(__file__).with_name("tls") / "cert.pem"
OPERATED = tuple(
    f"penstock.admin.Admin.{name}"
    for name in ("sleep", "wake_up", "reset_caches", "load_adapter", "unload_adapter")
)
"""Examples that change an engine."""
STORED = tuple(
    f"penstock.responses.Responses.{name}" for name in ("get", "cancel", "stream_stored")
)
"""Examples whose upstream must store responses."""


def modules() -> Iterator[str]:
    yield "penstock"
    for found in pkgutil.walk_packages(penstock.__path__, "penstock."):
        if not found.name.startswith(NO_EXAMPLES):
            yield found.name


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        test for name in modules() for test in finder.find(importlib.import_module(name), name)
    ]
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example.name))
def test_example(
    example: doctest.DocTest,
    target: str,
    admin_target: str,
    storing_target: str,
    operated_target: str,
    speech: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("speech.wav").write_bytes(speech)
    Path("cat.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    Path("ca.pem").write_bytes(CERT.read_bytes())
    names: dict[str, Any] = {name: getattr(penstock, name) for name in penstock.__all__}
    admin = operated_target if example.name in OPERATED else admin_target
    targets = {"target": target, "admin_target": admin, "key": "key-of-the-operator"}
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    with Client(storing_target if example.name in STORED else target) as client:
        example.globs = names | example.globs | {"client": client, "asyncio": asyncio} | targets
        runner.run(example, out=said.append, clear_globs=False)
    assert not runner.failures, "".join(said)


WITHOUT = {
    "Client.close",
    "Stream.close",
    "TLS.credentials",
}
"""Functions that need no example."""


def public() -> Iterator[tuple[str, Any]]:
    """Yields the public functions and methods, without the asyncio counterparts."""
    with Client("127.0.0.1:1") as client:
        resources: set[Any] = {
            type(one) for one in vars(client).values() if isinstance(one, Resource)
        }
    named = {getattr(penstock, name) for name in penstock.__all__} | {Stream, *resources}
    for thing in named | {Stream, *resources}:
        if inspect.isfunction(thing):
            yield thing.__name__, thing
        elif not thing.__name__.startswith("Async"):
            for name, method in vars(thing).items():
                if inspect.isfunction(method) and (name[0] != "_" or name == "__call__"):
                    yield f"{thing.__name__}.{name}", method


def test_every_public_function_has_an_example() -> None:
    found = dict(public())
    assert len(found) > 40
    lacking = {name for name, one in found.items() if ">>>" not in (inspect.getdoc(one) or "")}
    assert lacking == WITHOUT
