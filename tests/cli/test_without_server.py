"""Commands in a Python with the client's dependencies only."""

import sys

import pytest

from penstock_server.app import Service

from .process import Result, run

# What the package's extras add, made impossible to import.
CLIENT_ONLY = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        hidden = "grpc_health grpc_reflection h11 httpcore httptools httpx orjson pybase64"
        hidden += " pydantic shtab"
        if name.partition(".")[0] in hidden.split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from penstock_server.cli import main
sys.exit(main(sys.argv[1:]))
"""


async def client_only(*arguments: str) -> Result:
    return await run(sys.executable, "-c", CLIENT_ONLY, *arguments)


@pytest.mark.parametrize(
    "command", [("serve",), ("simulate",), ("demo",), ("serve", "--listen", "127.0.0.1:0")]
)
async def test_the_server_is_not_installed(command: tuple[str, ...]) -> None:
    result = await client_only(*command)
    assert (result.code, result.out) == (5, "")
    assert result.err.count("\n") == 1, result.err
    assert result.err.startswith('penstock: this command needs the extra "server" (')
    assert result.err.endswith(' is not installed); run: pip install "penstock[server]"\n')


async def test_shtab_is_not_installed() -> None:
    result = await client_only("completion", "bash")
    assert (result.code, result.out) == (5, "")
    reason = 'this command needs the extra "cli" (shtab is not installed)'
    assert result.err == f'penstock: {reason}; run: pip install "penstock[cli]"\n'


async def test_the_client_works(service: Service) -> None:
    target = ("--target", f"127.0.0.1:{service.port}")
    result = await client_only("chat", "Say hello.", *target)
    assert result == Result(0, "Hello! How can I help you today?\n", "")
    assert (await client_only("models", *target)).code == 0
    assert (await client_only("health", "--help")).code == 0
    assert (await client_only("--version")).code == 0
