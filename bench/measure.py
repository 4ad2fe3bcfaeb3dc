"""One window: a load on one server, the client's observations and the server's cost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import check, payloads, process
from bench.load import Client, Window, arguments
from bench.process import BUILD, Child
from bench.scenarios import Scenario
from bench.servers import Place, Row, Running

LEAST_CPU_S = 1.0
_LEAST_S = 1.0


@dataclass(frozen=True)
class Measurement:
    """The result of one window.

    Attributes:
        scenario: the name of the scenario.
        row: the name of the server.
        cpu_s: user and system time of all processes of the server.
        peak_bytes: their largest resident sizes.
        window: what the client saw.
    """

    scenario: str
    row: str
    cpu_s: float
    peak_bytes: int
    window: Window

    @property
    def units(self) -> int:
        """Chunks if there are any, calls otherwise."""
        return self.window.chunks or self.window.calls

    @property
    def errors(self) -> int:
        """How many calls went wrong, warm-up included."""
        return sum(self.window.errors.values())

    def document(self) -> dict[str, Any]:
        """Returns it for a results file."""
        return asdict(self)


def of_document(document: dict[str, Any]) -> Measurement:
    """Returns a measurement of a results file."""
    return Measurement(**(document | {"window": Window(**document["window"])}))


def measure(
    place: Place,
    scenario: Scenario,
    row: Row,
    server: Running,
    golden: check.Golden | None = None,
) -> Measurement:
    """Checks one answer, warms up, measures one window.

    Args:
        place: where files are written.
        scenario: the load.
        row: what the server is.
        server: the server.
        golden: what answers are compared with, if not with the one that is checked first.

    Raises:
        WrongContent: the first answer is wrong.
        LoadFailed: the client could not do its work.
    """
    golden = golden or check.golden(scenario, row, server.port)
    command = _command(place.folder, scenario, row, server.port, golden)
    pid = server.child.pid
    with Child(command, place.log("client"), talks=True) as child:
        client = Client(child)
        process.reset_peak_memory(pid)
        client.wait_ready()
        before = process.cpu_seconds(pid)
        _until_enough(client, scenario, pid, before, wants_cpu=row.start is not None)
        spent = process.cpu_seconds(pid) - before
        peak = process.peak_memory(pid)
        return Measurement(scenario.name, row.name, spent, peak, client.finish())


def write_requests(folder: Path, scenarios: Sequence[Scenario]) -> None:
    """Writes what the load client and the no-op server send."""
    for scenario in scenarios:
        (folder / f"{scenario.name}.grpc").write_bytes(payloads.framed(scenario.request()))
        (folder / f"{scenario.name}.http").write_bytes(scenario.http_request())
        if scenario.expected:
            answer = scenario.expected().SerializeToString()
            (folder / f"{scenario.model}.message").write_bytes(answer)


def _until_enough(
    client: Client, scenario: Scenario, pid: int, before: float, *, wants_cpu: bool
) -> None:
    """Continues the window until it has enough calls and CPU time, or its time is over."""
    for tenth in range(1, round(scenario.longest_s * 10) + 1):
        calls, chunks = client.progress()
        enough = (chunks or calls) >= scenario.least and tenth >= _LEAST_S * 10
        if enough and (not wants_cpu or process.cpu_seconds(pid) - before >= LEAST_CPU_S):
            return


def _command(
    folder: Path, scenario: Scenario, row: Row, port: int, golden: check.Golden
) -> list[str]:
    protocol = "grpc" if row.grpc else "http"
    options: dict[str, object] = {
        "port": port,
        "path": scenario.method if row.grpc else scenario.path,
        "body": folder / f"{scenario.name}.{protocol}",
        "content-type": "" if row.grpc else scenario.http_type,
        "in-flight": scenario.in_flight,
        # The kernel deals connections to workers: many, so that each gets its share.
        "connections": scenario.in_flight if row.workers else scenario.connections,
        "markers": scenario.chunks,
        "warm-up": scenario.warm_up_s,
        "stagger": scenario.stagger_s,
        "expect": _file(folder / f"{row.name}-{scenario.name}.expected", golden.whole),
        "last": _file(folder / f"{row.name}-{scenario.name}.last", golden.last),
    }
    command = arguments(BUILD / "client", options, (protocol,))
    for number, part in enumerate(golden.contained):
        command.append(f"--contains={_file(folder / f'{scenario.name}.part{number}', part)}")
    return command


def _file(path: Path, content: bytes) -> Path | str:
    """Returns the path of a file with that content, empty if there is none."""
    if not content:
        return ""
    path.write_bytes(content)
    return path
