"""Keys in files, and files of keys that others can read."""

from pathlib import Path
from typing import Any

import pytest

from penstock_server.configuration import File, Settings, UpstreamTable, exposed
from penstock_server.configuration.upstream_table import key_file
from penstock_server.simulator import Simulator, SimulatorSettings

from .process import penstock, serving

KEY = "sk-in-a-file"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


async def test_a_file_with_the_key_for_all_upstreams(file: Path) -> None:
    async with Simulator(SimulatorSettings(listen="127.0.0.1:0", api_key=KEY)) as guarded:
        arguments = ("--upstream", guarded.url, "--api-key-file", str(file))
        async with serving(*arguments) as (process, address):
            result = await penstock("chat", "Say hello.", "--target", address)
            assert (result.code, result.err) == (0, "")
    assert KEY not in str(process.logged)


async def test_a_key_and_a_key_file(file: Path) -> None:
    result = await penstock("serve", "--api-key", "a", "--api-key-file", str(file))
    assert (result.code, "upstream_api_key" in result.err) == (3, True)


async def test_a_file_with_the_key_of_a_caller(
    file: Path, tmp_path: Path, simulator: Simulator
) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[caller]]\nname = "a"\nkeys = ["{KEY}"]\n')
    arguments = ("--upstream", simulator.url, "--callers-file", str(keys))
    async with serving(*arguments) as (_, address):
        result = await penstock("chat", "Hi", "--target", address, "--api-key-file", str(file))
        assert result.code == 0
        none = await penstock("chat", "Hi", "--target", address, "--api-key-file", "/no/such")
        assert (none.code, "/no/such" in none.err) == (1, True)
    for command in ("serve", "chat"):
        shown = " ".join((await penstock(command, "--help")).out.split())
        assert "through ps" in shown


@pytest.fixture(params=[0o644, 0o604, 0o640, 0o600])
def mode(request: pytest.FixtureRequest, file: Path, tmp_path: Path) -> int:
    """The permissions of all files in the folder."""
    for name in ("config", "keys", "plain"):
        (tmp_path / name).touch()
    (tmp_path / "config").write_text(f'upstream_api_key = "{KEY}"')
    (tmp_path / "plain").write_text("idle_timeout = 3")
    mode = int(request.param)
    for path in tmp_path.iterdir():
        path.chmod(mode)
    return mode


def test_readable_files_of_options(file: Path, tmp_path: Path, mode: int) -> None:
    config, keys, plain = (str(tmp_path / name) for name in ("config", "keys", "plain"))
    known = {
        keys: exposed(Settings(callers_file=keys), ""),
        config: exposed(Settings(upstream_api_key=KEY), config),
        str(file): exposed(Settings(upstream_api_key_file=key_file(str(file))), ""),
        plain: exposed(Settings(tls_cert=keys, tls_key=plain), ""),
    }
    assert all(found == ([path] if mode & 4 else []) for path, found in known.items())
    assert exposed(Settings(upstream_api_key=KEY), plain) == []


@pytest.mark.parametrize("secret", ["api_key", "headers"])
def test_readable_secrets_of_a_table(tmp_path: Path, mode: int, secret: str) -> None:
    value: Any = {"x-key": KEY} if secret == "headers" else KEY
    given = Settings(upstream=(UpstreamTable("http://a", **{secret: value}),))
    config = str(tmp_path / "config")
    assert exposed(given, config) == ([config] if mode & 4 else [])


READABLE = {
    "the key": ({"api_key_file": "config"}, ["config"]),
    "a private key": ({"client_certificate_file": "keys", "client_key_file": "plain"}, ["plain"]),
    "a private key with its certificate": ({"client_certificate_file": "keys"}, ["keys"]),
    "a CA": ({"ca_file": "keys"}, []),
}


@pytest.mark.parametrize(("named", "found"), READABLE.values(), ids=READABLE)
def test_readable_files_of_a_table(
    tmp_path: Path, mode: int, named: dict[str, str], found: list[str]
) -> None:
    files: Any = {option: File(str(tmp_path / name), b"") for option, name in named.items()}
    given = Settings(upstream=(UpstreamTable("https://a", **files),))
    assert exposed(given, "") == ([str(tmp_path / name) for name in found] if mode & 4 else [])


async def test_a_warning(tmp_path: Path, simulator: Simulator) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[caller]]\nname = "a"\nkeys = ["{KEY}"]\n')
    keys.chmod(0o644)
    async with serving("--upstream", simulator.url, "--callers-file", str(keys)) as (process, _):
        line = await process.log("every user can read a file with secrets")
    assert (line["level"], line["file"]) == ("warning", str(keys))
