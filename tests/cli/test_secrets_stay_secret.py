"""No secret is in what the service, its commands and their errors show, at any level of the log."""

import asyncio
import base64
import re
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from authority import Authority, write
from closed_port import closed_url
from grpc import aio
from rpc.calls import chat
from telemetry.collector import collector
from telemetry.scrape import scrape

from penstock.v1.admin_pb2 import ListUpstreamsRequest
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.model_pb2 import ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub
from penstock_server.simulator import Simulator, SimulatorSettings

from .process import BOUND_S, PENSTOCK, Process, penstock, started

UPSTREAM = "sk-of-the-upstream-1f3a"
SECRETS = {
    "the upstream's key": UPSTREAM,
    "another upstream's key": "sk-of-a-second-upstream-77c1",
    "a header": "t0ken-in-a-header-93aa",
    "a caller's key": "sk-of-a-caller-58bd",
    "a wrong key": "sk-that-nobody-has-0b2e",
    "a password": base64.b64encode(b"me:pa55-of-a-caller").decode(),
    "metadata": "t0ken-in-metadata-c4d7",
    "the token of the collector": "t0ken-of-the-collector-6e90",
    "a password in a URL": "pa55-in-a-url-2d8f",
}
CALLER = SECRETS["a caller's key"]
PASSWORD = SECRETS["a password in a URL"]
# The addresses of calls, of the admin services and of the metrics, in lines of both formats.
ADDRESSES = tuple(
    rf"{event}\W+.*?address\W+(127\.0\.0\.1:\d+)"
    for event in ("serving(?! admin| metrics)", "serving admin", "serving metrics")
)


@dataclass
class Shown:
    """Everything that was shown.

    Attributes:
        secrets: what must not be in it, by name.
        texts: what was shown, by its place.
    """

    secrets: Mapping[str, str]
    texts: dict[str, str] = field(default_factory=dict)

    def found(self) -> list[str]:
        """Returns each place with a secret, and its name."""
        return [
            f"{name} in {place}"
            for place, text in self.texts.items()
            for name, secret in self.secrets.items()
            if secret in text
        ]

    async def call(self, place: str, call: Any) -> grpc.StatusCode:
        """Makes a call and keeps all that its caller sees."""
        seen: list[Any] = []
        try:
            if isinstance(call, aio.UnaryStreamCall):
                seen += [message async for message in call]
            else:
                seen.append(await call)
        except aio.AioRpcError as error:
            seen += [error, error.details(), error.debug_error_string()]
        seen += [await call.initial_metadata(), await call.trailing_metadata()]
        self.texts[place] = repr(seen)
        code: grpc.StatusCode = await call.code()
        return code


class Files:
    """The files of a service with every kind of secret."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._folder = folder
        self.authority = authority
        certificate, private_key = authority.issue()
        self.certificate = write(folder / "tls.crt", certificate)
        self.private_key = write(folder / "tls.key", private_key)
        self.root = write(folder / "ca.crt", authority.root)
        self.key = write(folder / "key", UPSTREAM.encode())
        self.callers = write(
            folder / "callers.toml", f'[[caller]]\nname = "team"\nkeys = ["{CALLER}"]\n'.encode()
        )
        self.key_lines = private_key.decode().splitlines()[1:-1]

    def configuration(self, simulator: str, closed: str) -> str:
        """Writes a configuration file with two upstreams, one of which does not run."""
        return self.write(
            f"""
            [[upstream]]
            name = "simulator"
            url = "{simulator}"
            headers = {{ x-token = "{SECRETS["a header"]}" }}

            [[upstream]]
            name = "closed"
            url = "{closed.replace("http:", "https:")}"
            models = ["closed"]
            api_key = "{SECRETS["another upstream's key"]}"
            ca_file = "{self.root}"
            client_certificate_file = "{self.certificate}"
            client_key_file = "{self.private_key}"
            """
        )

    def replace_certificate(self) -> None:
        """Writes the private key in its place."""
        write(Path(self.certificate), Path(self.private_key).read_bytes())

    def write(self, text: str) -> str:
        return write(self._folder / "penstock.toml", text.encode())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, Authority())


@pytest.fixture
def shown(files: Files) -> Shown:
    lines = {f"line {number} of a key": line for number, line in enumerate(files.key_lines)}
    return Shown(secrets=SECRETS | lines)


@pytest.fixture
async def guarded() -> AsyncIterator[Simulator]:
    """An upstream that requires the key."""
    async with Simulator(SimulatorSettings(listen="127.0.0.1:0", api_key=UPSTREAM)) as running:
        yield running


@asynccontextmanager
async def calling(address: str, files: Files, key: str) -> AsyncIterator[Mapping[str, Any]]:
    """Opens a channel with TLS; yields its stubs, and the metadata of a call."""
    credentials = grpc.ssl_channel_credentials(files.authority.root)
    async with aio.secure_channel(address, credentials) as channel:
        metadata = (
            ("authorization", key),
            ("x-api-key", SECRETS["metadata"]),
            ("cookie", f"session={SECRETS['metadata']}"),
            ("proxy-authorization", f"Bearer {SECRETS['metadata']}"),
        )
        chats = ChatCompletionServiceStub(channel)
        yield {"chats": chats, "models": ModelServiceStub(channel), "metadata": metadata}


async def make_calls(shown: Shown, address: str, files: Files) -> None:
    """Makes calls of all outcomes, with the key of a caller and with others."""
    echo = f"not with {UPSTREAM} and Bearer {SECRETS['a header']}".replace(" ", "%20")
    requests = {
        "a success": chat(),
        "a refusal that repeats the secrets": chat(fault=f"status code=400 message={echo}"),
        "a rejected key": chat(fault=f"status code=401 message={echo}"),
        "a failure": chat(fault=f"status code=500 message={echo}"),
        "a cut stream": chat(fault="cut after=1"),
        "a malformed answer": chat(fault="garbage"),
        "an unknown model": chat(),
        "an upstream that is down": chat(),
    }
    requests["an unknown model"].model = "nobody"
    requests["an upstream that is down"].model = "closed"
    async with calling(address, files, f"Bearer {CALLER}") as one:
        for name, request in requests.items():
            for method in ("CreateChatCompletion", "StreamChatCompletion"):
                call = getattr(one["chats"], method)(request, metadata=one["metadata"])
                code = await shown.call(f"{name} ({method})", call)
                assert (code == grpc.StatusCode.OK) == (name == "a success"), (name, code)
        listing = one["models"].ListModels(ListModelsRequest(), metadata=one["metadata"])
        await shown.call("the list of models", listing)
    for name, key in {
        "a wrong key": f"Bearer {SECRETS['a wrong key']}",
        "a password": f"Basic {SECRETS['a password']}",
        "a key without a scheme": SECRETS["a wrong key"],
        "two keys": f"Bearer {CALLER}, Bearer {SECRETS['a wrong key']}",
    }.items():
        async with calling(address, files, key) as one:
            call = one["chats"].CreateChatCompletion(chat(), metadata=one["metadata"])
            assert await shown.call(name, call) == grpc.StatusCode.UNAUTHENTICATED


async def until_logged(shown: Shown, process: Process, *patterns: str) -> list[str]:
    """Keeps lines of the log up to the last that a pattern needs; returns what each one finds."""
    found: dict[str, str] = {}
    async with asyncio.timeout(BOUND_S):
        while len(found) < len(patterns):
            line = (await process.err.readline()).decode()
            assert line, shown.texts
            shown.texts["log"] = shown.texts.get("log", "") + line
            for pattern in patterns:
                if match := re.search(pattern, line):
                    found[pattern] = match[1]
    return [found[pattern] for pattern in patterns]


async def ask_the_service(shown: Shown, metrics: str, admin: str) -> None:
    """Keeps the metrics and the answers of the admin address."""
    shown.texts["metrics"] = (await scrape(metrics)).text
    async with aio.insecure_channel(admin) as channel:
        await shown.call("admin", AdminServiceStub(channel).ListUpstreams(ListUpstreamsRequest()))
    result = await penstock("upstreams", "--json", "--target", admin)
    shown.texts["penstock upstreams"] = result.out + result.err


async def break_the_files(shown: Shown, process: Process, files: Files) -> None:
    """Replaces each file by one that cannot be used, with its secret in the place of the error."""
    process.signal(signal.SIGHUP)
    for broken in (
        f'upstream_api_key = "{UPSTREAM}',
        f'[[upstream]]\nurl = "http://me:{SECRETS["a password in a URL"]}@localhost"',
        f'[[upstream]]\nurl = "http://a"\napi_key = "{UPSTREAM}\\n"',
        f'[[upstream]]\nurl = "http://a"\nheaders = {{ a = "{SECRETS["a header"]}\\n" }}',
    ):
        files.write(broken)
        process.signal(signal.SIGHUP)
        await until_logged(shown, process, "(reload refused)")
    files.replace_certificate()
    await until_logged(shown, process, "(certificate refused)")


GIVEN: dict[str, Callable[[Files], tuple[tuple[str, ...], dict[str, str]]]] = {
    "file": lambda files: (("--api-key-file", files.key), {}),
    "flag": lambda _: (("--api-key", UPSTREAM), {}),
    "environment": lambda _: ((), {"PENSTOCK_UPSTREAM_API_KEY": UPSTREAM}),
}
CASES = [
    ("debug", "json", "file", "1"),
    ("info", "json", "environment", "1"),
    ("debug", "text", "flag", "1"),
    ("debug", "json", "file", "2"),
]


@pytest.mark.parametrize(("level", "log_format", "given", "workers"), CASES)
async def test_a_service(
    level: str,
    log_format: str,
    given: str,
    workers: str,
    shown: Shown,
    files: Files,
    guarded: Simulator,
) -> None:
    arguments, environment = GIVEN[given](files)
    options = {
        "listen": "127.0.0.1:0",
        "admin-listen": "127.0.0.1:0",
        "metrics-listen": "127.0.0.1:0",
        "metrics-by-caller": "true",
        "tls-cert": files.certificate,
        "tls-key": files.private_key,
        "callers-file": files.callers,
        "reload-interval": "0.1",
        "debug-info": "true",
        "workers": workers,
        "log-level": level,
        "log-format": log_format,
    }
    async with collector() as spans:
        environment |= {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": spans.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={SECRETS['the token of the collector']}",
        }
        with closed_url() as closed:
            config = files.configuration(guarded.url, closed)
            flags = (f"--{name}={value}" for name, value in options.items())
            command = (PENSTOCK, "serve", "--config", config, *arguments, *flags)
            async with started(*command, env=environment) as process:
                found = await until_logged(shown, process, *ADDRESSES)
                address, admin, metrics = found
                await make_calls(shown, address, files)
                await ask_the_service(shown, metrics, admin)
                await break_the_files(shown, process, files)
                process.signal(signal.SIGTERM)
                rest = await process.end()
        shown.texts["log"] += rest.err
        shown.texts["standard output"] = rest.out
        shown.texts["traces"] = repr(spans.spans)
    assert rest.code == 0
    assert "a cut stream" in " ".join(shown.texts)
    assert re.search(r"configuration\W", shown.texts["log"])
    assert spans.spans
    assert all(shown.texts[place] for place in ("log", "metrics", "admin", "penstock upstreams"))
    assert shown.found() == []


REFUSED: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "a password in a URL": (("serve", "--upstream", f"http://me:{PASSWORD}@localhost"), {}),
    "one in the environment": (("serve",), {"PENSTOCK_UPSTREAM": f"http://me:{PASSWORD}@a"}),
    "a key with two lines": (("serve", "--api-key", f"{UPSTREAM}\n"), {}),
    "one in the environment with two lines": (
        ("serve",),
        {"PENSTOCK_UPSTREAM_API_KEY": f"{UPSTREAM}\n"},
    ),
    "a caller's key with two lines": (("chat", "Hi", "--api-key", f"{CALLER}\n"), {}),
    "a caller's key that is not ASCII": (("chat", "Hi"), {"PENSTOCK_API_KEY": f"{CALLER}ö"}),
    "a password in a target": (("health", "--target", f"http://me:{PASSWORD}@a:1"), {}),
    "no service": (("chat", "Hi", "--target", "127.0.0.1:1", "--api-key", CALLER), {}),
    "a token in metadata with two lines": (
        ("chat", "Hi", "--metadata", f"x-token={SECRETS['metadata']}\n"),
        {},
    ),
}


@pytest.mark.parametrize(("arguments", "environment"), REFUSED.values(), ids=REFUSED)
async def test_commands_that_fail(
    arguments: tuple[str, ...], environment: dict[str, str], shown: Shown
) -> None:
    result = await penstock(*arguments, env=environment)
    assert result.code != 0
    shown.texts = {"output": result.out, "errors": result.err}
    assert shown.found() == []


@pytest.mark.parametrize("option", ["--tls-cert", "--tls-key", "--callers-file", "--api-key-file"])
async def test_a_private_key_in_the_place_of_another_file(
    option: str, shown: Shown, files: Files
) -> None:
    named = {
        "--tls-cert": files.certificate,
        "--tls-key": files.private_key,
        "--callers-file": files.callers,
        "--api-key-file": files.key,
    }
    named[option] = files.root if option == "--tls-key" else files.private_key
    result = await penstock("serve", *(part for pair in named.items() for part in pair))
    assert result.code == 3
    shown.texts = {"output": result.out, "errors": result.err}
    assert shown.found() == []


@pytest.mark.parametrize("command", ["serve", "chat", "simulate"])
async def test_help(command: str, shown: Shown) -> None:
    environment = {"PENSTOCK_UPSTREAM_API_KEY": UPSTREAM, "PENSTOCK_API_KEY": CALLER}
    result = await penstock(command, "--help", env=environment)
    shown.texts = {"help": result.out + result.err}
    assert result.code == 0
    assert shown.found() == []


def test_a_secret_would_be_found(shown: Shown, files: Files) -> None:
    for name, secret in shown.secrets.items():
        shown.texts = {"log": f"x {secret} y", "metrics": "nothing"}
        assert shown.found() == [f"{name} in log"]
    shown.texts = {"file": Path(files.private_key).read_text()}
    assert len(shown.found()) == len(files.key_lines)
