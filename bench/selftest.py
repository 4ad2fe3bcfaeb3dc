"""Tests the load client: with wrong expectations, it must report errors."""

from collections.abc import Callable
from dataclasses import replace

from bench import check, measure, run, scenarios
from bench.check import Golden
from bench.measure import Measurement
from bench.scenarios import Scenario
from bench.servers import DIRECT, NOOP, Place, Row, Running, noop

_BY_NAME = {scenario.name: scenario for scenario in scenarios.ALL}
_LENGTH_S = 0.3


def unnoticed() -> list[str]:
    """Returns a line for each fault that the client did not detect.

    Raises:
        LoadFailed: a part did not start.
    """
    with run.place() as (place, upstream), noop()(place) as server:
        lines = []
        for row, running in ((DIRECT, upstream), (NOOP, server)):
            for name, try_it in _TRIALS.items():
                taken = try_it(place, row, running)
                if taken.window.calls or not taken.errors:
                    lines.append(f"the load client does not detect {name} from the {row.title}")
        return lines


def _wrong_byte(place: Place, row: Row, running: Running) -> Measurement:
    scenario = _BY_NAME["unary"]
    golden = check.golden(scenario, row, running.port)
    return _run(place, scenario, row, running, Golden(whole=_changed(golden.whole)))


def _wrong_end(place: Place, row: Row, running: Running) -> Measurement:
    scenario = _BY_NAME["first"]
    golden = check.golden(scenario, row, running.port)
    return _run(place, scenario, row, running, Golden(last=_changed(golden.last)))


def _too_many_chunks(place: Place, row: Row, running: Running) -> Measurement:
    scenario = _BY_NAME["first"]
    golden = check.golden(scenario, row, running.port)
    return _run(place, replace(scenario, chunks=scenario.chunks - 1), row, running, golden)


def _refusal(place: Place, row: Row, running: Running) -> Measurement:
    scenario = _BY_NAME["unary"]
    golden = check.golden(scenario, row, running.port)
    elsewhere = replace(scenario, method="/penstock.v1.No/No", http_request=lambda: b"{}")
    measure.write_requests(place.folder, [elsewhere])
    try:
        return _run(place, elsewhere, row, running, golden)
    finally:
        measure.write_requests(place.folder, [scenario])


_TRIALS: dict[str, Callable[[Place, Row, Running], Measurement]] = {
    "a wrong byte": _wrong_byte,
    "a wrong end of a stream": _wrong_end,
    "one chunk too many": _too_many_chunks,
    "a refusal": _refusal,
}


def _run(
    place: Place, scenario: Scenario, row: Row, running: Running, golden: Golden
) -> Measurement:
    short = replace(scenario, longest_s=_LENGTH_S, warm_up_s=0.1)
    return measure.measure(place, short, row, running, golden)


def _changed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
