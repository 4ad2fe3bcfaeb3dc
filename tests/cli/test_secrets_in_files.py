"""Keys in files, and files of keys that others can read."""

from pathlib import Path

import pytest

from penstock_server.configuration.exposed import exposed
from penstock_server.configuration.settings import Settings
from penstock_server.configuration.upstream_table import UpstreamTable, key_file
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
    keys.write_text(f'[[key]]\nname = "a"\nsecret = "{KEY}"\n')
    arguments = ("--upstream", simulator.url, "--keys-file", str(keys))
    async with serving(*arguments) as (_, address):
        result = await penstock("chat", "Hi", "--target", address, "--api-key-file", str(file))
        assert result.code == 0
        none = await penstock("chat", "Hi", "--target", address, "--api-key-file", "/no/such")
        assert (none.code, "/no/such" in none.err) == (1, True)
    for command in ("serve", "chat"):
        shown = " ".join((await penstock(command, "--help")).out.split())
        assert "through ps" in shown


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o640, 0o600])
def test_readable_files(file: Path, tmp_path: Path, mode: int) -> None:
    """Every kind of file with a secret; files without one may be readable."""
    config, keys, plain = (tmp_path / name for name in ("config", "keys", "plain"))
    config.write_text(f'upstream_api_key = "{KEY}"')
    plain.write_text("idle_timeout = 3")
    keys.write_text("")
    for path in (file, config, keys, plain):
        path.chmod(mode)
    table = UpstreamTable("http://a", api_key_file=key_file(str(file)))
    known = {
        str(keys): exposed(Settings(keys_file=str(keys)), ""),
        str(config): exposed(Settings(upstream_api_key=KEY), str(config)),
        str(file): exposed(Settings(upstream_api_key_file=key_file(str(file))), ""),
    }
    assert all(found == ([path] if mode & 4 else []) for path, found in known.items())
    assert exposed(Settings(upstream=(table,)), "") == ([str(file)] if mode & 4 else [])
    assert exposed(Settings(upstream_api_key=KEY), str(plain)) == []


async def test_a_warning(tmp_path: Path, simulator: Simulator) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[key]]\nname = "a"\nsecret = "{KEY}"\n')
    keys.chmod(0o644)
    async with serving("--upstream", simulator.url, "--keys-file", str(keys)) as (process, _):
        line = await process.log("every user can read a file with secrets")
    assert (line["level"], line["file"]) == ("warning", str(keys))
