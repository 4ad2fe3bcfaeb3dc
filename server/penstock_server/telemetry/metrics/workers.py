"""The metrics of several worker processes as one.

prometheus-client has a mode for several processes, which writes values to files: it keeps no
exemplars, exports no process metrics and doubles the cost of a value. Instead, each worker serves
its metrics on a socket of its own, and the supervisor returns their sum.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from penstock_server.telemetry.metrics.endpoint import PATH
from penstock_server.telemetry.metrics.families import gauge_family
from penstock_server.telemetry.metrics.names import BY_NAME, PROCESS, START_TIME, WORKERS, Combine

_ANSWER_LIMIT_S = 2.0

_UNIX = "unix:"
_CUMULATIVE = frozenset({"counter", "histogram"})
_COMBINE: Mapping[Combine, Callable[[float, float], float]] = {
    Combine.SUM: lambda one, other: one + other,
    Combine.LEAST: min,
    Combine.MOST: max,
}

Series: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a sample, and its labels."""


class WorkerMetrics:
    """The metrics of all workers, also of those that have died."""

    def __init__(self, own: Collector | None = None) -> None:
        """Starts without workers.

        Args:
            own: metrics of the supervisor itself; None for none.
        """
        self._own = own
        self._addresses: dict[int, str] = {}
        # By address, which is another one for each process.
        self._latest: dict[str, Sequence[Family]] = {}
        self._dead = _Sum()
        self._one_at_a_time = asyncio.Lock()

    def replace(self, number: int, address: str) -> None:
        """Records where a worker, which may be the successor of a dead one, serves its metrics.

        Args:
            number: the number of the worker.
            address: unix:/PATH, which no other worker has had.
        """
        self._addresses[number] = address

    async def current(self) -> CollectorRegistry:
        """Returns the metrics of all workers together."""
        async with self._one_at_a_time:
            addresses = list(self._addresses.values())
            answers = await asyncio.gather(
                *(asyncio.to_thread(_answer, address) for address in addresses)
            )
            texts = dict(zip(addresses, answers, strict=True))
            return await asyncio.to_thread(self._combined, texts)

    def _combined(self, texts: Mapping[str, str]) -> CollectorRegistry:
        """Combines the answers of the workers by address; empty for those that gave none."""
        for address in self._latest.keys() - texts.keys():
            self._dead.add(_cumulative(self._latest.pop(address)))
        total = _Sum()
        total.add(self._dead.families())
        for address, text in texts.items():
            if text:
                self._latest[address] = _parsed(text)
                total.add(self._latest[address])
            else:
                # It may be busy, or dead and not replaced yet.
                total.add(_lasting(self._latest.get(address, ())))
        workers = gauge_family(WORKERS)
        workers.add_metric((), sum(map(bool, texts.values())))
        registry = CollectorRegistry(auto_describe=True)
        registry.register(_Fixed([*total.families(), workers]))
        if self._own:
            registry.register(self._own)
        return registry


class _Sum:
    """The sum of families from several processes."""

    def __init__(self) -> None:
        self._kinds: dict[str, Family] = {}
        self._samples: dict[str, dict[Series, Sample]] = {}

    def add(self, families: Iterable[Family]) -> None:
        """Adds the families of one process."""
        for family in families:
            self._kinds.setdefault(family.name, family)
            known = self._samples.setdefault(family.name, {})
            combine = _COMBINE[_way(family)]
            for sample in family.samples:
                series = sample.name, tuple(sorted(sample.labels.items()))
                before = known.get(series)
                known[series] = _both(before, sample, combine) if before else sample

    def families(self) -> list[Family]:
        """Returns the sums."""
        return [self._family(kind) for kind in self._kinds.values()]

    def _family(self, kind: Family) -> Family:
        family = Family(kind.name, kind.documentation, kind.type)
        family.samples = list(self._samples[kind.name].values())
        return family


class _Fixed(Collector):
    """Exports families as they are."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        yield from self._families


class _Connection(HTTPConnection):
    """A connection to the metrics of a worker."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_ANSWER_LIMIT_S)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket of the path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _answer(address: str) -> str:
    """Returns the metrics of a worker as text; empty if it does not answer."""
    connection = _Connection(address.removeprefix(_UNIX))
    try:
        connection.request("GET", PATH, headers={"Accept": CONTENT_TYPE_LATEST})
        return connection.getresponse().read().decode()
    except (OSError, HTTPException):
        return ""
    finally:
        connection.close()


def _parsed(text: str) -> Sequence[Family]:
    parse: Any = text_string_to_metric_families
    return list(parse(text))


def _cumulative(families: Iterable[Family]) -> Iterator[Family]:
    return (family for family in families if family.type in _CUMULATIVE)


def _lasting(families: Iterable[Family]) -> Iterator[Family]:
    """Returns the families that hold while a worker does not answer: counts, and its start."""
    return (f for f in families if f.type in _CUMULATIVE or f.name == START_TIME)


def _way(family: Family) -> Combine:
    """Returns how the values of a family combine."""
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return PROCESS[name] if name in PROCESS else BY_NAME[name].combine


def _both(one: Sample, other: Sample, combine: Callable[[float, float], float]) -> Sample:
    exemplars = [found for found in (one.exemplar, other.exemplar) if found]
    latest = max(exemplars, key=lambda found: found.timestamp or 0.0, default=None)
    return one._replace(value=combine(one.value, other.value), exemplar=latest)
