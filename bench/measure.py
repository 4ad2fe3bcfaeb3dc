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
        scenario: name of the scenario.
        row: name of the server.
        cpu_s: user and system time of all processes of the server.
        peak_bytes: their largest resident sizes.
        window: the client's observations.
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
        """Number of failed calls, including the warm-up."""
        return sum(self.window.errors.values())

    def document(self) -> dict[str, Any]:
        """Returns the measurement in the form of a results file."""
        return asdict(self)


def of_document(document: dict[str, Any]) -> Measurement:
    """Returns the measurement from a results file."""
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
        place: folder for files.
        scenario: the load.
        row: description of the server.
        server: the server.
        golden: answer to compare with, if not the one that is checked first.

    Raises:
        WrongContent: the first answer is wrong.
        LoadFailed: the client failed.
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
    """Writes the messages that the load client and the no-op server send."""
    for scenario in scenarios:
        (folder / f"{scenario.name}.grpc").write_bytes(payloads.framed(scenario.request()))
        (folder / f"{scenario.name}.http").write_bytes(scenario.http_request())
        if scenario.expected:
            answer = scenario.expected().SerializeToString()
            (folder / f"{scenario.model}.message").write_bytes(answer)


def _until_enough(
    client: Client, scenario: Scenario, pid: int, before: float, *, wants_cpu: bool
) -> None:
    """Continues the window until it has enough calls and CPU time, or until its time limit."""
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
        # The kernel distributes connections among workers: with many, each worker gets its share.
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
    """Writes a file and returns its path; empty without content."""
    if not content:
        return ""
    path.write_bytes(content)
    return path
