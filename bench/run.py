"""The run: every scenario on every server, in shuffled order, several times."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc

from bench import measure, payloads, process, scenarios, servers
from bench.check import WrongContent
from bench.load import LoadFailed
from bench.measure import Measurement
from bench.scenarios import Scenario
from bench.servers import Place, Row, Running
from bench.show import say

Joins = Callable[[Row, Scenario], bool]
"""Function that returns whether a server is measured in a scenario."""


@contextlib.contextmanager
def place() -> Iterator[tuple[Place, Running]]:
    """Prepares the files and starts the upstream."""
    if not (process.BUILD / "client").exists():
        raise LoadFailed("the load client is not built; run make bench")
    with TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        payloads.write_upstream(folder, scenarios.models())
        measure.write_requests(folder, scenarios.ALL)
        prepared = Place(folder)
        with servers.upstream(prepared) as running:
            yield prepared, running


def run(
    rows: Sequence[Row],
    chosen: Sequence[Scenario],
    repeats: int,
    budget_s: float,
    seed: int,
    joins: Joins | None = None,
    failed: dict[str, str] | None = None,
) -> Iterator[list[Measurement]]:
    """Yields the measurements; in each repeat, every scenario runs on all servers in random order.

    When the time budget is used up, no further scenario begins; a scenario that has begun runs on
    all its servers, so that each has the same number of windows. The failures of peers are put into
    `failed`, by server and scenario.

    Raises:
        LoadFailed: a server other than a peer, or the client failed.
        WrongContent: an answer is wrong.
    """
    failures = {} if failed is None else failed
    order = random.Random(seed)
    end = time.monotonic() + budget_s
    with place() as (where, upstream):
        for repeat in range(repeats):
            say(f"repeat {repeat + 1} of {repeats}")
            for group in _repeat(
                where, upstream, rows, chosen, order, joins or takes_part, failures
            ):
                if repeat and time.monotonic() > end:
                    say("the time is used up; the rest of this repeat is skipped")
                    return
                yield group


def _repeat(
    where: Place,
    upstream: Running,
    rows: Sequence[Row],
    chosen: Sequence[Scenario],
    order: random.Random,
    joins: Joins,
    failed: dict[str, str],
) -> Iterator[list[Measurement]]:
    """Yields the measurements of all servers, scenario by scenario."""
    with contextlib.ExitStack() as stack:
        running = {}
        for row in rows:
            with recorded(row, row.title, failed):
                if not row.one_model:
                    running[row.name] = stack.enter_context(_started(row, where, upstream))
        for scenario in order.sample(chosen, len(chosen)):
            group = []
            for row in order.sample(rows, len(rows)):
                if joins(row, scenario) and (row.one_model or row.name in running):
                    with recorded(row, f"{row.title}, {scenario.title}", failed):
                        known = running.get(row.name)
                        group.append(_window(where, scenario, row, known, upstream))
            yield group


@contextlib.contextmanager
def recorded(row: Row, what: str, failed: dict[str, str]) -> Iterator[None]:
    """Records a failure if it is that of a peer.

    Args:
        row: the server.
        what: the key in `failed`.
        failed: receives the last line of the error.
    """
    try:
        yield
    except (LoadFailed, OSError) as error:
        if not row.peer:
            raise
        failed[what] = str(error).rpartition("\n")[2]
        say(f"  {what} FAILED: {error}")


def takes_part(row: Row, scenario: Scenario) -> bool:
    """Returns whether a server is measured in a scenario."""
    if row.scenarios:
        return scenario.name in row.scenarios
    return scenario.peers or not row.peer


def _window(
    where: Place, scenario: Scenario, row: Row, running: Running | None, upstream: Running
) -> Measurement:
    with contextlib.ExitStack() as stack:
        if scenario.fresh or running is None:
            where.model = scenario.model
            running = stack.enter_context(_started(row, where, upstream))
        try:
            taken = measure.measure(where, scenario, row, running)
        except (LoadFailed, WrongContent, grpc.RpcError, OSError) as error:
            raise LoadFailed(f"{scenario.name} on {row.title}: {error}") from error
    if taken.units:
        cost = f"{taken.cpu_s / taken.units * 1e6:9.1f} µs CPU per {scenario.unit}"
    else:
        cost = "no answers"
    faults = f"  ERRORS {dict(taken.window.errors)}" if taken.errors else ""
    say(f"  {scenario.name:14} {row.name:10} {cost}{faults}")
    return taken


@contextlib.contextmanager
def _started(row: Row, where: Place, upstream: Running) -> Iterator[Running]:
    if row.start is None:
        yield upstream
        return
    with row.start(where) as running:
        yield running
