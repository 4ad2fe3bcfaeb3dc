"""The examples in docstrings run, and say what they say, against a service."""

import asyncio
import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock import Client

NO_EXAMPLES = "penstock.v1"


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
    client: Client,
    target: str,
    admin_target: str,
    speech: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("speech.wav").write_bytes(speech)
    names: dict[str, Any] = {name: getattr(penstock, name) for name in penstock.__all__}
    targets = {"target": target, "admin_target": admin_target}
    example.globs = names | example.globs | {"client": client, "asyncio": asyncio} | targets
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(example, out=said.append, clear_globs=False)
    assert not runner.failures, "".join(said)


def test_examples_are_found() -> None:
    assert len(examples()) > 20
