"""How evenly workers share connections and calls; counts, so the load of the machine is irrelevant.

The kernel assigns each new connection to one of the processes that listen on the port
(SO_REUSEPORT), by a hash of its addresses. Each worker counts its own calls; with the same number
of calls on each connection, they show its share of the connections, too.
"""

import asyncio
import contextlib
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import httpx
from grpc import aio
from prometheus_client.parser import text_string_to_metric_families

from bench import process, run, servers
from bench.load import wait_until
from bench.show import say
from bench.tables import percent, table
from penstock.v1.model_pb2 import ListModelsRequest

_METHOD = "/penstock.v1.ModelService/ListModels"
_HANDLED = "grpc_server_handled"
_METRICS = "PENSTOCK_WORKER_METRICS=unix:"
_CALLS = 5
_PAUSE_S = 0.05
_STARTED_WITHIN_S = 60.0


def compare(
    workers: Sequence[int], connections: Sequence[int], repeats: int, age_s: float, long_s: float
) -> str:
    """Returns tables of the share of the busiest worker.

    Args:
        workers: numbers of workers.
        connections: numbers of connections, each of its own channel.
        repeats: how often the connections are opened anew.
        age_s: maximum age of connections in the second table.
        long_s: duration of each of its repeats.
    """
    lines = []
    with run.place() as (where, _):
        for count in workers:
            with servers.penstock(workers=count)(where) as running:
                _wait_for(running, count)
                for number in connections:
                    shares = [_share(running, number, 0.0) for _ in range(repeats)]
                    lines.append(_line(count, number, "none", shares))
                    say(" | ".join(lines[-1]))
            with servers.penstock("--max-connection-age", f"{age_s:g}", workers=count)(
                where
            ) as running:
                _wait_for(running, count)
                for number in connections[:3]:
                    shares = [_share(running, number, long_s) for _ in range(3)]
                    lines.append(_line(count, number, f"{age_s:g} s of {long_s:g} s", shares))
                    say(" | ".join(lines[-1]))
    heads = ("workers", "connections", "maximum age", "repeats", "even share")
    return table((*heads, "busiest: median", "busiest: most", "repeats with an idle worker"), lines)


def _wait_for(running: servers.Running, workers: int) -> None:
    wait_until(lambda: len(_handled(running)) == workers, _STARTED_WITHIN_S, "the workers")


def _line(
    workers: int, connections: int, age: str, shares: Sequence[Sequence[float]]
) -> Sequence[str]:
    busiest = [max(one) for one in shares]
    idle = sum(min(one) == 0.0 for one in shares)
    shown = (percent(1 / workers), percent(statistics.median(busiest)), percent(max(busiest)))
    return (str(workers), str(connections), age, str(len(shares)), *shown, str(idle))


def _share(running: servers.Running, connections: int, seconds: float) -> Sequence[float]:
    """Returns each worker's share of the calls on new connections."""
    before = _handled(running)
    asyncio.run(_call(running.port, connections, seconds))
    after = _handled(running)
    calls = [after[worker] - before.get(worker, 0.0) for worker in after]
    return [one / sum(calls) for one in calls]


async def _call(port: int, connections: int, seconds: float) -> None:
    """Makes calls on connections of their own: a few on each, or for some seconds."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                aio.insecure_channel(f"{servers.HOST}:{port}", options=options)
            )
            for _ in range(connections)
        ]
        await asyncio.gather(*(_calls(channel, seconds) for channel in channels))


async def _calls(channel: aio.Channel, seconds: float) -> None:
    serialize: Any = ListModelsRequest.SerializeToString
    call: Any = channel.unary_unary(_METHOD, request_serializer=serialize)
    for _ in range(round(seconds / _PAUSE_S) or _CALLS):
        await call(ListModelsRequest(), wait_for_ready=True)
        await asyncio.sleep(_PAUSE_S if seconds else 0)


def _handled(running: servers.Running) -> Mapping[int, float]:
    """Returns how many calls each worker has handled, by its process."""
    found = {}
    for pid in process.descendants(running.child.pid):
        # A worker has no socket yet while it starts.
        with contextlib.suppress(httpx.ConnectError):
            if path := _metrics_socket(pid):
                found[pid] = _calls_in(path)
    return found


def _metrics_socket(pid: int) -> str:
    """Returns the socket of a worker's metrics; empty for another process."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next((v.removeprefix(_METRICS) for v in variables if v.startswith(_METRICS)), "")


def _calls_in(path: str) -> float:
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        text = client.get("http://worker/metrics").text
    parse: Any = text_string_to_metric_families
    families = [family for family in parse(text) if family.name == _HANDLED]
    return sum(
        float(sample.value)
        for family in families
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["grpc_code"] == grpc.StatusCode.OK.name
    )
