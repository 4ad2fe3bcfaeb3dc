"""Options: their three names, their precedence, and one-line errors for unusable values."""

import argparse
import signal
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from penstock_server.cli import main
from penstock_server.configuration import Settings
from penstock_server.option_list import OptionList
from penstock_server.options import options
from penstock_server.simulator import SimulatorSettings

from .process import PENSTOCK, Result, penstock, started

FREE = ("--listen", "127.0.0.1:0")


def failed_with(result: Result, code: int, *words: str) -> None:
    assert result.code == code, result
    assert result.out == ""
    assert result.err.startswith("penstock: ")
    assert result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err


def here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Result:
    """Runs `penstock` in this process, for errors before anything starts."""
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    return Result(code, *capsys.readouterr())


async def test_wrong_usage_of_a_process() -> None:
    failed_with(await penstock("serve", "--upstreams", "x"), 2, "--upstreams")


USAGE = {
    "unknown command": (["serv"], "serv"),
    "unknown option": (["serve", "--upstreams", "x"], "--upstreams"),
    "no value": (["serve", "--listen"], "--listen"),
    "abbreviated": (["serve", "--list", "x"], "--list"),
    "unknown option of chat": (["chat", "x", "--modle", "y"], "--modle"),
    "bad time": (["chat", "x", "--timeout", "soon"], "--timeout"),
    "demo address": (["demo", "--listen", "50051"], "--listen"),
}


@pytest.mark.parametrize(("arguments", "word"), USAGE.values(), ids=USAGE)
def test_wrong_usage(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    failed_with(here(capsys, *arguments), 2, word)


UNUSABLE = {
    "no scheme": ("--upstream", "localhost:8000"),
    "another scheme": ("--upstream", "grpc://localhost:8000"),
    "no host": ("--upstream", "http://"),
    "bad port": ("--upstream", "http://localhost:99999"),
    "broken IPv6": ("--upstream", "http://[::1"),
    "a space": ("--upstream", "http://local host"),
    "credentials": ("--upstream", "http://me:secret@localhost"),
    "query": ("--upstream", "http://localhost/?a=b"),
    "no port": ("--listen", "localhost"),
    "port too large": ("--listen", "localhost:70000"),
    "no number": ("--idle-timeout", "soon"),
    "not a number": ("--idle-timeout", "nan"),
    "negative": ("--drain-timeout", "-1"),
    "never": ("--probe-interval", "0"),
    "half": ("--max-connections", "1.5"),
    "none": ("--max-connections", "0"),
    "more than gRPC supports": ("--max-message-bytes", "2147483648"),
    "not a boolean": ("--reflection", "maybe"),
    "not a level": ("--log-level", "loud"),
}


@pytest.mark.parametrize(("flag", "value"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_values(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    failed_with(here(capsys, "serve", flag, value), 3, flag)


async def test_unusable_values_of_secrets_are_not_shown() -> None:
    result = await penstock("serve", "--api-key", "schlüssel")
    failed_with(result, 3, "--api-key")
    assert "schl" not in result.err


async def test_unusable_environment() -> None:
    env = {"PENSTOCK_UPSTREAM": "http://good, bad"}
    failed_with(await penstock("serve", env=env), 3, "PENSTOCK_UPSTREAM", "bad")


FILES = {
    "no TOML": ("upstream = [", "not valid TOML"),
    "unknown keys": (
        'upstrem = "http://x"\nlistn = 1',
        ":1: upstrem: unknown key; did you mean upstream?",
    ),
    "unknown table": ("[server]\nlisten = 1", "server"),
    "wrong type": ("listen = 50051", "listen"),
    "list for one value": ('idle_timeout = ["1"]', "idle_timeout"),
    "boolean for a number": ("max_connections = true", "max_connections"),
    "bad URL": ('upstream = ["http://good", "bad"]', "upstream"),
    "not UTF-8": ("listen = '\udcff'", "not valid TOML"),
}


@pytest.mark.parametrize(("content", "words"), FILES.values(), ids=FILES)
def test_unusable_files(
    tmp_path: Path, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "penstock.toml"
    config.write_bytes(content.encode("utf-8", "surrogateescape"))
    failed_with(here(capsys, "serve", "--config", str(config)), 3, "penstock.toml", words)


async def test_a_missing_file() -> None:
    failed_with(await penstock("serve", "--config", "/nowhere.toml"), 3, "/nowhere.toml")


async def effective(*arguments: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Starts the service and returns the configuration that it logs."""
    async with started(PENSTOCK, "serve", *FREE, *arguments, env=env) as process:
        shown = await process.log("configuration")
        process.signal(signal.SIGTERM)
        await process.log("stopped")
        assert [line["event"] for line in process.logged].count("configuration") == 1
        return shown


async def test_defaults() -> None:
    shown = await effective()
    assert shown["upstream"] == ["http://localhost:8000"]
    assert shown["idle_timeout"] == 300.0


async def test_flag_over_environment_over_file(tmp_path: Path) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(
        'upstream = "http://file"\nidle_timeout = 1\nfirst_byte_timeout = 1\n'
        'connect_timeout = 1\nupstream_api_key = "sk-file"\nreflection = false\n'
    )
    env = {
        "PENSTOCK_CONFIG": str(config),
        "PENSTOCK_UPSTREAM": "http://env-1, http://env-2/v1/",
        "PENSTOCK_IDLE_TIMEOUT": "2",
        "PENSTOCK_FIRST_BYTE_TIMEOUT": "2",
        "PENSTOCK_UPSTREAM_API_KEY": "sk-env",
        "PENSTOCK_LOG_LEVEL": "",
    }
    shown = await effective("--idle-timeout", "3", env=env)
    assert shown["upstream"] == ["http://env-1", "http://env-2"]
    assert (shown["idle_timeout"], shown["first_byte_timeout"]) == (3.0, 2.0)
    assert (shown["connect_timeout"], shown["reflection"]) == (1.0, False)
    assert shown["upstream_api_key"] == "(hidden)"
    assert "sk-" not in str(shown)
    several = ("--upstream", "http://flag-1", "--upstream", "http://flag-2")
    shown = await effective(*several, "--api-key", "sk-flag", env=env)
    assert shown["upstream"] == ["http://flag-1", "http://flag-2"]
    assert "sk-" not in str(shown)


async def test_help_lists_all_names() -> None:
    result = await penstock("serve", "--help", env={"COLUMNS": "1000"})
    assert result.code == 0
    text = " ".join(result.out.split())
    for name, option in options(Settings).items():
        flag = option.flag or f"--{name.replace('_', '-')}"
        said = text.rpartition(f" {flag} {option.metavar} ")[2].partition(" --")[0]
        assert option.help in said
        assert f"environment PENSTOCK_{name.upper()}," in said
        assert f"key {name}," in said
    assert "PENSTOCK_CONFIG" in result.out


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (("serve", "--idle-timout", "30"), " (did you mean --idle-timeout?)"),
        (("chat", "Hi", "--temprature=0"), " (did you mean --temperature?)"),
        (("models", "--colour"), ""),
    ],
)
def test_unknown_options(
    arguments: tuple[str, ...], suggestion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = here(capsys, *arguments)
    command, *_ = arguments
    failed_with(result, 2, f"{arguments[-1]}{suggestion}; see penstock {command} --help")


@pytest.mark.parametrize("settings", [Settings, SimulatorSettings])
def test_help_lists_options_in_groups(settings: type) -> None:
    known: OptionList[Any] = OptionList(settings, "PENSTOCK_")
    parser = argparse.ArgumentParser()
    known.add_to(parser)
    _, general, *groups = map(str.splitlines, parser.format_help().split("\n\n"))
    assert "  --config FILE" in "\n".join(general)
    shown = {
        heading: [line.split()[0] for line in lines if line.startswith("  --")]
        for heading, *lines in groups
    }
    assert [*chain.from_iterable(shown.values())] == [
        known.flag(name) for name in options(settings)
    ]
    assert {flags[0]: heading for heading, flags in shown.items()} == {
        known.flag(name): f"{option.heading}:"
        for name, option in options(settings).items()
        if option.heading
    }
    assert max(map(len, shown.values())) <= 15


@pytest.mark.parametrize(
    "command", ["", "serve", "simulate", "demo", "chat", "models", "upstreams", "health"]
)
async def test_every_command_has_help(command: str) -> None:
    arguments: Sequence[str] = (command, "--help") if command else ("--help",)
    result = await penstock(*arguments)
    assert (result.code, result.err) == (0, "")
    assert "usage: penstock" in result.out


async def test_version() -> None:
    result = await penstock("--version")
    assert result.code == 0
    assert result.out.startswith("penstock 0.")
