"""Artificial measurements for tests."""

from bench.load import Window
from bench.measure import Measurement


def measurement(
    scenario: str,
    row: str,
    cpu_us: float,
    *,
    calls: int = 1000,
    chunks: int = 0,
    first_ms: float | None = None,
    peak_mb: float = 50,
    errors: dict[str, int] | None = None,
) -> Measurement:
    """Returns a window of one second whose server used a given time per call or chunk."""
    first = {} if first_ms is None else {"p50": first_ms * 1000, "p99": first_ms * 3000}
    latency = {"p50": 1500.0, "p90": 2000.0, "p99": 3000.0, "max": 4000.0}
    window = Window(1.0, calls, chunks, chunks, latency, first, {}, errors or {})
    cpu_s = cpu_us * (chunks or calls) / 1e6
    return Measurement(scenario, row, cpu_s, round(peak_mb * 1e6), window)
