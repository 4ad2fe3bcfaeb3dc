"""Two simulators, a Penstock in front of them, and a Prometheus that scrapes it.

The simulators export no metrics: `engine_metrics.py` does that for them.
"""

import json
import math
import os
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from server_process import ServerProcess, free_port

from observability.engine_metrics import exporting

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy/prometheus"
CERTIFICATES = ROOT / "tests/client/tls"
CACHE = Path(
    os.environ.get("PENSTOCK_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penstock"
)
BINARIES = CACHE / "prometheus/usr/bin"
PENSTOCK = str(Path(sys.executable).with_name("penstock"))
# Also the longest duration of a scrape: on a busy machine, one of two workers takes seconds.
SCRAPE_INTERVAL = "5s"
JOB = "penstock"
BOUND_S = 120

# Every metric that depends on an option is exported. Few failures eject a replica, and it soon
# returns; few slow calls fill the service.
_CONFIGURATION = """
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin_port}"
metrics_listen = "127.0.0.1:{metrics_port}"
metrics_by_caller = true
callers_file = "callers.toml"
tls_cert = "{certificates}/cert.pem"
tls_key = "{certificates}/key.pem"
workers = 2
max_concurrent_calls = 12
hedge_after = 0.2
ejection_failures = 3
ejection_time = 0.5
retry_budget = 1.0
slow_start = 0.0

[[upstream]]
name = "chat-a"
url = "http://127.0.0.1:{first}"

[[upstream]]
name = "chat-b"
url = "http://127.0.0.1:{second}"

[[upstream]]
name = "gone"
url = "http://127.0.0.1:9"
"""
_KEYS = """
[[caller]]
name = "team"
keys = ["sk-team"]

[[caller]]
name = "batch"
keys = ["sk-batch"]
calls_per_minute = 1
"""


class Prometheus:
    """A running Prometheus.

    Attributes:
        url: its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """Returns the data of an answer of its API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=BOUND_S) as answer:
            return json.load(answer)["data"]

    def scrape_errors(self) -> Sequence[str]:
        """Returns why the last scrapes of the service failed."""
        found = self.get("targets")["activeTargets"]
        return [each["lastError"] for each in found if each["labels"]["job"] == JOB]

    def values(self, query: str) -> Sequence[float]:
        """Returns the values of a query now, without those that are not numbers."""
        result = self.get("query", query=query)
        found = [float(each["value"][1]) for each in result["result"]]
        return [value for value in found if not math.isnan(value)]


@dataclass(frozen=True, slots=True)
class Stack:
    """All that runs.

    Attributes:
        target: the address of the service.
        admin_target: its address for operators.
        metrics_url: the URL of its metrics.
        prometheus: scrapes it.
    """

    target: str
    admin_target: str
    metrics_url: str
    prometheus: Prometheus


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """Starts everything, and waits until Prometheus has scraped the service."""
    ports = [free_port() for _ in range(6)]
    first, second, port, admin_port, metrics_port, prometheus_port = ports
    (folder / "callers.toml").write_text(_KEYS)
    configuration = folder / "penstock.toml"
    configuration.write_text(
        _CONFIGURATION.format(
            port=port,
            admin_port=admin_port,
            metrics_port=metrics_port,
            certificates=CERTIFICATES,
            first=first,
            second=second,
        )
    )
    prometheus = Prometheus(f"http://127.0.0.1:{prometheus_port}")
    metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
    with ExitStack() as processes, exporting() as engine_port:

        def start(name: str, *command: str, ready: str) -> None:
            processes.enter_context(_process(name, command, folder, ready))

        for number in (first, second):
            simulate = (PENSTOCK, "simulate", "--kind", "all", "--inter-token-latency", "0.002")
            address = f"127.0.0.1:{number}"
            start(
                f"simulator-{number}",
                *simulate,
                *("--listen", address),
                ready=f"http://{address}/health",
            )
        start("penstock", PENSTOCK, "serve", "--config", str(configuration), ready=metrics_url)
        start(
            "prometheus",
            str(BINARIES / "prometheus"),
            f"--config.file={_scrape_configuration(folder, metrics_port, engine_port)}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{prometheus_port}",
            ready=f"{prometheus.url}/-/ready",
        )
        yield Stack(f"127.0.0.1:{port}", f"127.0.0.1:{admin_port}", metrics_url, prometheus)


def _scrape_configuration(folder: Path, metrics_port: int, engine_port: int) -> Path:
    """Writes the shipped configuration with the addresses and short intervals of a test."""
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text("utf-8"))
    config["global"] = {
        "scrape_interval": SCRAPE_INTERVAL,
        "scrape_timeout": SCRAPE_INTERVAL,
        "evaluation_interval": SCRAPE_INTERVAL,
    }
    config["rule_files"] = [str(SHIPPED / pattern) for pattern in config["rule_files"]]
    targets = {
        "penstock": [f"127.0.0.1:{metrics_port}"],
        "vllm": [f"127.0.0.1:{engine_port}"],
    }
    for scraped in config["scrape_configs"]:
        scraped["static_configs"] = [{"targets": targets[scraped["job_name"]]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


@contextmanager
def _process(name: str, command: Sequence[str], folder: Path, ready: str) -> Iterator[None]:
    """Runs a process from the moment at which a URL answers."""
    process = ServerProcess(name, command, folder / f"{name}.log", env=_environment())
    try:
        process.wait_ready(ready)
        yield
    finally:
        process.interrupt()
        process.finish(time.monotonic() + 5)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
