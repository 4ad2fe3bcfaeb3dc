"""The start of each router in front of two servers, and the options of Penstock for it."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server_process import ServerError, ServerProcess, free_port
from servers import ENVIRONMENT, FLEET, HOST, cache_folder

from bench.proxies import LITELLM_ENVIRONMENT, envoy_config, litellm_config


@dataclass(frozen=True, slots=True)
class Place:
    """The surroundings of one router.

    Attributes:
        servers: the base URLs of the servers behind it; if the router starts them itself, the one
            at which it is to report their metrics.
        models: the names of their model.
        api_key: the key that they require; empty for none.
        port: the port of the router.
        folder: the folder of its files.
    """

    servers: Sequence[str]
    models: Sequence[str]
    api_key: str
    port: int
    folder: Path

    @property
    def url(self) -> str:
        """The base URL of the router."""
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Router:
    """A router program.

    Attributes:
        command: returns the command line, and writes the files that it names.
        ready: the path that returns 200 once the router serves.
        environment: environment variables of the router.
        settings: options of Penstock that the router requires.
        starts: the version of the vLLMs that it starts itself, instead of calling those of a place;
            empty if it starts none.
        stop_s: seconds in which it may stop, along with processes outside its process group.
    """

    command: Callable[[Place], Sequence[str]]
    ready: str = "/v1/models"
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    starts: str = ""
    stop_s: float = 0.0


@contextmanager
def running(name: str, place: Place) -> Iterator[str]:
    """Runs a router; yields its base URL.

    Raises:
        ServerError: it is not installed, ended, or does not become ready.
    """
    router = ROUTERS[name]
    log = cache_folder() / "run" / f"{name}-{place.port}.log"
    try:
        env = os.environ | router.environment
        process = ServerProcess(name, router.command(place), log, env)
    except FileNotFoundError as error:
        raise ServerError(f"{name} is not installed; see tests/routers") from error
    try:
        process.wait_ready(f"{place.url}{router.ready}", place.api_key)
        yield place.url
    finally:
        if router.stop_s:
            process.interrupt()
        # No process of a router outlives the tests; some stop slowly.
        process.finish(time.monotonic() + router.stop_s)


def _program(environment: str, name: str) -> str:
    return str(cache_folder() / environment / "bin" / name)


def _vllm_router(place: Place) -> Sequence[str]:
    return (
        _program("routers", "vllm-router"),
        *("--host", HOST, "--port", str(place.port)),
        *("--worker-urls", *place.servers),
        *("--policy", "consistent_hash"),
        *("--health-check-interval-secs", "5"),
        *("--prometheus-port", str(free_port())),
        *(("--api-key", place.api_key) if place.api_key else ()),
    )


def _smg(place: Place) -> Sequence[str]:
    return (
        *(_program("routers", "smg"), "launch"),
        *("--host", HOST, "--port", str(place.port)),
        *("--worker-urls", *place.servers),
        *("--policy", "consistent_hashing", "--routing-key-headers", "x-session-id"),
        *("--prometheus-port", str(free_port())),
        *(("--api-key", place.api_key) if place.api_key else ()),
    )


def _litellm(place: Place) -> Sequence[str]:
    content = json.dumps(litellm_config(place.servers, place.models, place.api_key))
    return (
        _program("litellm", "litellm"),
        *("--host", HOST, "--port", str(place.port)),
        *("--config", _written(place, "litellm.json", content)),
    )


def _nginx(place: Place) -> Sequence[str]:
    servers = "".join(f"server {url.removeprefix('http://')};" for url in place.servers)
    temporary = "".join(
        f"{kind}_temp_path {place.folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = f"""
daemon off; worker_processes 1; pid {place.folder}/nginx.pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
  access_log off; {temporary}
  client_max_body_size 64m;
  upstream vllm {{ {servers} keepalive 64; }}
  server {{
    listen {HOST}:{place.port};
    location / {{
      proxy_pass http://vllm; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_buffering off; proxy_request_buffering off;
      proxy_read_timeout 600s; proxy_next_upstream off;
    }}
  }}
}}
"""
    return ("nginx", "-c", _written(place, "nginx.conf", config), "-p", str(place.folder))


def _envoy(place: Place) -> Sequence[str]:
    config = _written(
        place, "envoy.json", json.dumps(envoy_config((HOST, place.port), place.servers))
    )
    options = ("--disable-hot-restart", "--log-level", "warning", "--concurrency", "1")
    return (_program("routers", "envoy"), "--config-path", config, *options)


def _ray(place: Place) -> Sequence[str]:
    [metrics] = place.servers
    options = FLEET["chat"].arguments()
    # Ray's version of vLLM does not have it.
    options.remove("--enable-scale-out")
    return (
        *(_program("ray", "python"), str(Path(__file__).with_name("ray_serve.py"))),
        *(str(place.port), metrics.rpartition(":")[2], _RAYS_REPLICAS),
        *(str(cache_folder() / "models" / FLEET["chat"].model), *options),
    )


_RAYS_REPLICAS = "2"


def _written(place: Place, name: str, content: str) -> str:
    file = place.folder / name
    file.write_text(content)
    return str(file)


ROUTERS: Mapping[str, Router] = {
    "vllm-router": Router(_vllm_router, settings={"max_attempts": 1}),
    "smg": Router(_smg, settings={"max_attempts": 1, "health_path": "/readiness"}),
    "litellm": Router(
        _litellm,
        ready="/health/liveliness",
        environment=LITELLM_ENVIRONMENT,
        # Its /health sends a request to each model.
        settings={"health_path": "/health/liveliness"},
    ),
    "nginx": Router(_nginx),
    "envoy": Router(_envoy),
    "ray": Router(
        _ray,
        environment=ENVIRONMENT | {"RAY_USAGE_STATS_ENABLED": "0"},
        settings={"health_path": "/-/healthz"},
        starts="0.29.0",
        stop_s=60.0,
    ),
}
"""Every router that `--router` may name."""
