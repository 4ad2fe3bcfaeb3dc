"""Real vLLM servers on loopback ports, one process per tiny model.

In a test, for as long as the block lasts:

    with VllmServers(["chat", "embed"]) as servers:
        servers.url("chat")

From a shell, until Ctrl-C, on free ports or given ones:

    python tests/vllm/servers.py chat embed=8001

Needs what install.sh leaves in the cache folder, and nothing but the standard library.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal, Self

from server_process import ServerError, ServerProcess

Kind = Literal["chat", "embed", "rerank", "classify", "whisper"]

HERE = Path(__file__).parent
HOST = "127.0.0.1"
API_KEY = "sk-secret"
STOP_LIMIT = 30.0

COMMON_FLAGS = (
    "--host",
    HOST,
    "--enforce-eager",
    "--dtype",
    "float32",
    "--max-num-seqs",
    "16",
    # Otherwise the whole KV cache is touched at start: 1 GiB more per server.
    "--num-gpu-blocks-override",
    "256",
    "--disable-uvicorn-access-log",
)
CHAT_FLAGS = (
    "--max-model-len",
    "512",
    "--max-logprobs",
    "20",
    "--enable-auto-tool-choice",
    "--tool-call-parser",
    "hermes",
    "--enable-prompt-tokens-details",
    # For generation from token ids.
    "--enable-scale-out",
)
# For answers that take most of a minute, so that one keeps an engine busy.
LONG_FLAGS = (
    "--max-model-len",
    "16384",
    "--hf-overrides",
    '{"max_position_embeddings": 16384}',
)
REASONING_FLAGS = (
    "--reasoning-parser",
    "qwen3",
    "--default-chat-template-kwargs",
    '{"enable_thinking": true}',
)
POOLING_FLAGS = ("--runner", "pooling", "--max-model-len", "256")
# The models have no template; this one joins the messages.
TALKING_FLAGS = (
    *POOLING_FLAGS,
    "--chat-template",
    "{% for message in messages %}{{ message.content }}\n{% endfor %}",
)
TOKEN_FLAGS = (*POOLING_FLAGS, "--pooler-config.task", "token_embed")
WHISPER_FLAGS = ("--max-model-len", "448", "--limit-mm-per-prompt", '{"audio": 1}')
REALTIME_FLAGS = (
    "--max-model-len",
    "16384",
    "--limit-mm-per-prompt",
    '{"audio": 1}',
    # The model that only transcribes is the same one under another name.
    "--hf-overrides",
    '{"architectures": ["Qwen3ASRRealtimeGeneration"]}',
)

ENVIRONMENT = {
    # Otherwise the first request that asks for logprobs waits 20 s for a compilation.
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # Several servers share few cores: one thread each, not pinned to the same core.
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TOKENIZERS_PARALLELISM": "false",
    # The engine computes itself. With a worker process beside it the two spin while they wait for
    # each other, and on two cores the HTTP server may get no turn for tens of seconds.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # No requests or reports leave this machine.
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": HOST,
    "GLOO_SOCKET_IFNAME": "lo",
}

OLDER_ENVIRONMENT: Mapping[str, dict[str, str]] = {
    # This one does not know "nobind".
    "0.10.2": {"VLLM_CPU_OMP_THREADS_BIND": "all"},
}
"""Options that older versions need instead of the above."""
OLDER_FLAGS: Mapping[str, tuple[str, ...]] = {
    # This one adds a worker process to the engine, whatever the environment.
    "0.20.2": (
        "--distributed-executor-backend",
        "vllm.v1.executor.uniproc_executor.UniProcExecutor",
    ),
}
"""Options that older versions need besides the servers' own."""
OLDER_LACK: Mapping[str, frozenset[str]] = {
    "0.10.2": frozenset(
        {
            "--pooler-config.task",
            "--default-chat-template-kwargs",
            "--shutdown-timeout",
            "--max-num-queued-reqs",
        }
    ),
    "0.14.1": frozenset({"--pooler-config.task", "--shutdown-timeout", "--max-num-queued-reqs"}),
    "0.20.2": frozenset({"--max-num-queued-reqs"}),
}
"""Options that older versions do not have; each has a value."""
NEWER_SWITCHES = frozenset({"--enable-scale-out"})
"""Options without a value that none of the older versions has."""
TEMPLATE = HERE / "tiny_models" / "chat_template.jinja"


@dataclass(frozen=True)
class Server:
    """The model and the options of one server."""

    name: str
    kind: Kind
    model: str
    """Folder of the model below models/ in the cache folder."""
    served_names: tuple[str, ...]
    flags: tuple[str, ...]
    api_key: str | None = None
    """Bearer token that it requires."""
    environment: tuple[tuple[str, str], ...] = ()
    """Its own environment variables."""
    script: str = ""
    """Script that builds the model at the first start; empty if install.sh builds it."""

    def arguments(self) -> list[str]:
        """Returns the options of `vllm serve`, except the model's path and the port."""
        key = ["--api-key", self.api_key] if self.api_key else []
        return [*COMMON_FLAGS, "--served-model-name", *self.served_names, *self.flags, *key]


FLEET: dict[str, Server] = {
    server.name: server
    for server in (
        Server("chat", "chat", "chat", ("tiny-chat", "tiny-chat-alias"), CHAT_FLAGS),
        Server("reason", "chat", "chat", ("tiny-reason",), CHAT_FLAGS + REASONING_FLAGS),
        Server(
            "keyed",
            "chat",
            "chat",
            ("tiny-chat",),
            (*CHAT_FLAGS, *LONG_FLAGS, "--enable-request-id-headers"),
            api_key=API_KEY,
        ),
        Server("embed", "embed", "embed", ("tiny-embed",), TALKING_FLAGS),
        Server("embed-mrl", "embed", "embed-mrl", ("tiny-embed-mrl",), POOLING_FLAGS),
        Server("token-embed", "embed", "embed", ("tiny-token-embed",), TOKEN_FLAGS),
        Server("rerank", "rerank", "rerank", ("tiny-rerank",), POOLING_FLAGS),
        Server("classify", "classify", "classify", ("tiny-classify",), TALKING_FLAGS),
        Server("whisper", "whisper", "whisper", ("tiny-whisper",), WHISPER_FLAGS),
        Server(
            "realtime",
            "whisper",
            "realtime",
            ("tiny-realtime",),
            REALTIME_FLAGS,
            environment=(("PYTHONPATH", str(HERE / "stubs")),),
            script="realtime_model.py",
        ),
    )
}


def _described(server: str | Server) -> Server:
    return FLEET[server] if isinstance(server, str) else server


def cache_folder() -> Path:
    """Returns the folder that holds the vLLM environment, the models and the servers' logs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penstock"
    if chosen := os.environ.get("PENSTOCK_CACHE"):
        folder = Path(chosen)
    return folder / other_version()


def other_version() -> str:
    """Returns the version of the vLLM to run, or an empty text for that of requirements.lock."""
    return os.environ.get("PENSTOCK_VLLM", "")


class VllmServers:
    """A set of running servers, all stopped at the end of the with block.

    Give names, or objects such as `dataclasses.replace(FLEET["chat"], name="busy", flags=…)`.
    Those without an entry in ports get a free one. Within the block, SIGTERM and SIGHUP act like
    Ctrl-C, so that the servers are stopped then as well.
    """

    def __init__(
        self,
        servers: Iterable[str | Server] = (),
        *,
        ports: Mapping[str, int] | None = None,
        cache: Path | None = None,
    ) -> None:
        self._wanted = list(servers)
        self._ports = dict(ports or {})
        self._cache = (cache or cache_folder()).absolute()
        self._running: dict[str, _Running] = {}
        self._starting: set[str] = set()
        self._failed: dict[Server, ServerError] = {}
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            exits.enter_context(_termination_as_interrupt())
            exits.callback(self.stop)
            self.start(self._wanted)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def start(self, servers: Iterable[str | Server]) -> None:
        """Starts more servers and waits until all answer; if one does not, stops them again."""
        chosen = list(map(_described, servers))
        try:
            self._begin(chosen)
            for server in chosen:
                self._await(server)
        except BaseException:
            self.stop(server.name for server in chosen)
            raise

    def run_only(self, server: str | Server, *, following: str | Server | None = None) -> None:
        """Starts a server unless it is running, and stops all others.

        A start that failed is not repeated.

        Args:
            server: the server.
            following: the server of the next call; it starts meanwhile, and nothing waits for it.

        Raises:
            ServerError: the server cannot be started.
        """
        wanted = _described(server)
        kept = [wanted] if following is None else [wanted, _described(following)]
        self.stop([name for name, running in self._running.items() if running.server not in kept])
        for one in kept:
            if one.name not in self._running and one not in self._failed:
                self._try(one)
        if error := self._failed.get(wanted):
            raise error
        try:
            self._await(wanted)
        except ServerError as error:
            self.stop([wanted.name])
            self._failed[wanted] = error
            raise

    def _try(self, server: Server) -> None:
        """Starts a server without waiting for it; records a failure."""
        try:
            self._begin([server])
        except ServerError as error:
            self._failed[server] = error

    def _begin(self, servers: list[Server]) -> None:
        """Starts servers without waiting for them."""
        for server, port in zip(servers, self._choose_ports(servers), strict=True):
            self._running[server.name] = _launch(server, port, self._cache)
            self._starting.add(server.name)

    def _await(self, server: Server) -> None:
        """Waits until a server that was started answers."""
        if server.name in self._starting:
            running = self._running[server.name]
            running.process.wait_ready(f"{running.url}/health")
            self._starting.remove(server.name)

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stops the named servers, or all, with SIGINT and, if necessary, SIGKILL."""
        chosen = list(self._running if names is None else names)
        going = [self._running.pop(name) for name in chosen if name in self._running]
        self._starting.difference_update(chosen)
        for server in going:
            server.process.interrupt()
        deadline = time.monotonic() + STOP_LIMIT
        for server in going:
            server.process.finish(deadline)

    def restart(self, name: str) -> None:
        """Restarts a server on its old port, whether it is running or has died."""
        old = self._running[name]
        self.stop([name])
        self._ports[name] = old.port
        self.start([old.server])

    def url(self, name: str) -> str:
        """Returns the base URL of a running server."""
        return self._running[name].url

    def urls(self) -> dict[str, str]:
        """Returns the base URL of every running server by its name."""
        return {name: server.url for name, server in self._running.items()}

    def server(self, name: str) -> Server:
        """Returns the description of a running server."""
        return self._running[name].server

    def log(self, name: str) -> Path:
        """Returns the file that a running server logs to."""
        return self._running[name].process.log

    def pid(self, name: str) -> int:
        """Returns the process id of a running server, for tests that kill one."""
        return self._running[name].process.pid

    def _choose_ports(self, servers: list[Server]) -> list[int]:
        with contextlib.ExitStack() as held:
            # All ports stay bound until all are chosen, so that none is chosen twice.
            return [
                self._ports.get(server.name) or held.enter_context(_bound_socket()).getsockname()[1]
                for server in servers
            ]


@dataclass(frozen=True)
class _Running:
    """One started server."""

    server: Server
    port: int
    process: ServerProcess

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def _launch(server: Server, port: int, cache: Path) -> _Running:
    command, model = cache / "vllm" / "bin" / "vllm", cache / "models" / server.model
    if server.script and command.is_file():
        _build(HERE / server.script, model, cache)
    if not (command.is_file() and model.is_dir()):
        raise ServerError(f"no vLLM or no models in {cache}; run tests/vllm/install.sh")
    log = cache / "run" / f"{server.name}-{port}.log"
    line = [str(command), "serve", str(model), "--port", str(port), *_known(server.arguments())]
    environment = _environment(cache) | dict(server.environment)
    process = ServerProcess(f"vLLM server {server.name}", line, log, environment)
    return _Running(server, port, process)


def _build(script: Path, model: Path, cache: Path) -> None:
    """Builds a model with a script, unless it exists.

    Raises:
        ServerError: the script failed, as it does in versions without the architecture.
    """
    stamp, wanted = model / "stamp", hashlib.sha256(script.read_bytes()).hexdigest()
    # The same lock as in install.sh, which replaces the folder of all models.
    with (cache / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text("utf-8") == wanted:
            return
        with tempfile.TemporaryDirectory(prefix="model-", dir=cache) as scratch:
            new = Path(scratch, "new")
            command = [cache / "vllm" / "bin" / "python", script, new]
            built = subprocess.run(command, env=_environment(cache), capture_output=True, text=True)
            if built.returncode:
                raise ServerError(f"{script.name} failed:\n{built.stderr[-2000:]}")
            (new / "stamp").write_text(wanted, "utf-8")
            shutil.rmtree(model, ignore_errors=True)
            new.rename(model)


def _known(arguments: list[str]) -> list[str]:
    """Returns the arguments as an older version wants them."""
    lacking = OLDER_LACK.get(other_version(), frozenset())
    switches = NEWER_SWITCHES if other_version() in OLDER_LACK else frozenset()
    given = [argument for argument in arguments if argument not in switches]
    known = [
        argument
        for before, argument in zip(["", *given], given, strict=False)
        if argument not in lacking and before not in lacking
    ]
    if "--default-chat-template-kwargs" in lacking.intersection(arguments):
        known += ["--chat-template", _reasoning_template()]
    return [*known, *OLDER_FLAGS.get(other_version(), ())]


def _reasoning_template() -> str:
    """Returns the template of the chat model, which then reasons by default."""
    default = "enable_thinking is defined else {}"
    return TEMPLATE.read_text("utf-8").replace(default.format("false"), default.format("true"))


def _environment(cache: Path) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        # Three processes import thousands of modules: those are compiled once.
        if not name.startswith("VLLM_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    preload = cache / "vllm" / "preload.so"
    added = {"LD_PRELOAD": str(preload)} if preload.exists() else {}
    return inherited | ENVIRONMENT | OLDER_ENVIRONMENT.get(other_version(), {}) | added


def _bound_socket() -> socket.socket:
    return socket.create_server((HOST, 0))


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Raises KeyboardInterrupt on SIGTERM and SIGHUP, as Ctrl-C does.

    On SIGINT as well, because a shell starts its background jobs with that one ignored.
    """
    # Python allows signal handlers in the main thread only.
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if threading.current_thread() is not threading.main_thread():
        signals = []
    previous = {number: signal.signal(number, _interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Serves until Ctrl-C; returns the exit status."""
    wanted = dict(_parse_arguments())
    ports = {name: port for name, port in wanted.items() if port}
    start = time.monotonic()
    try:
        with VllmServers(wanted, ports=ports) as servers:
            print(f"up after {time.monotonic() - start:.0f} s; Ctrl-C stops", flush=True)
            for name, url in servers.urls().items():
                print(f"{name}={url}", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parse_arguments() -> Iterator[tuple[str, int]]:
    parser = argparse.ArgumentParser(description="Start vLLM servers and serve until Ctrl-C.")
    parser.add_argument("servers", nargs="+", metavar="NAME[=PORT]", help=", ".join(FLEET))
    for argument in parser.parse_args().servers:
        name, _, port = argument.partition("=")
        if name not in FLEET or not (port or "0").isdecimal():
            parser.error(f"not a server: {argument}; choose from {', '.join(FLEET)}")
        yield name, int(port or 0)


if __name__ == "__main__":
    sys.exit(main())
