"""The part of docs/performance.md for readers who plan a deployment."""

from collections.abc import Sequence

from bench import stats, targets
from bench.scenarios import Scenario
from bench.servers import Row
from bench.stats import Metric, Results
from bench.tables import NOTHING, number, table

_TOKENS = 500
_FAST, _SLOW = 100, 25
_GPU = 2_500
_PENSTOCK = (targets.ONE, targets.SAME)


def cost(results: Results, scenario: str) -> float | None:
    """Returns the CPU time of Penstock per call or chunk, in microseconds."""
    return _mean(results, scenario, stats.cpu_us)


def summary(results: Results) -> str:
    """Returns what one core serves, in one sentence."""
    chat, chunk = cost(results, "unary"), cost(results, "paced")
    if not chat or not chunk:
        return "Chats or streams were not measured."
    fast, slow = (1e6 / chunk / rate for rate in (_FAST, _SLOW))
    return (
        f"**One core serves about {served(chat)} chats a second, or carries about {fast:,.0f} "
        f"streams of {_FAST} tokens a second each ({slow:,.0f} streams of {_SLOW}).** Penstock "
        f"adds {_milliseconds(_added(results, 'first', 'first'))} to the time of the first token."
    )


def costs(results: Results, scenarios: Sequence[Scenario]) -> str:
    """Returns what each kind of call costs, and how many of them one core serves."""
    lines = []
    for scenario in scenarios:
        if value := cost(results, scenario.name):
            kind = "first" if scenario.chunks else "latency"
            added = _milliseconds(_added(results, scenario.name, kind))
            lines.append(
                (scenario.title, number(value), f"{served(value)} {scenario.unit}s", added)
            )
    heads = ("load", "CPU of a call or chunk, µs", "a core serves, a second", "added, p50")
    return (
        "A chunk is one event of vLLM's stream, usually one token. The added time is that of the "
        "whole call, or of the first chunk of a stream, compared with the upstream alone. With "
        "many calls in flight, it is mostly waiting: client, upstream and Penstock share the "
        "cores.\n\n" + table(heads, lines)
    )


def served(cost_us: float) -> str:
    """Returns how many calls or chunks of a cost one core serves in a second."""
    return f"{float(f'{1e6 / cost_us:.3g}'):,.0f}"


def relevance(results: Results) -> str:
    """Returns for which loads the cost matters."""
    chunk, vectors = cost(results, "paced"), cost(results, "embed-64x4096")
    lines = []
    if chunk:
        lines += [
            f"A streamed answer of {_TOKENS} tokens takes about {_TOKENS * chunk / 1000:,.0f} ms "
            "of a core in all, while the model generates for seconds. A GPU that generates "
            f"{_GPU:,} tokens a second for all its callers keeps about {_GPU * chunk / 1e6:.1f} of "
            "a core busy. There the cost hardly matters.",
        ]
    if vectors:
        lines += [
            "It matters where calls are many and the model is small: embeddings, classification, "
            f"ranking. A batch of 64 vectors of 4,096 numbers takes {vectors / 1000:.1f} ms of a "
            "core. [Sizing](sizing.md) turns a load into a number of cores.",
        ]
    return "\n\n".join(lines) or "Neither streams nor embeddings were measured."


def comparison(results: Results, rows: Sequence[Row]) -> str:
    """Returns what a chat and a chunk cost on each server."""
    lines = []
    for row in rows:
        if row.start and row.name != targets.SAME:
            cells = [_times(results, row, name) for name in ("unary", "paced")]
            rows_of = _PENSTOCK if row.name == targets.ONE else (row.name,)
            added = _added(results, "first", "first", rows_of)
            lines.append((row.title, *cells, _milliseconds(added)))
    heads = ("server", "chat, µs of CPU", "paced chunk, µs of CPU", "added to the first chunk")
    return (
        "In brackets, the multiple of Penstock's cost. The no-op is a gRPC server in Python that "
        "does nothing. Envoy and the routers forward HTTP; LiteLLM counts "
        "tokens and costs, and runs callbacks.\n\n" + table(heads, lines)
    )


def _times(results: Results, row: Row, scenario: str) -> str:
    value, own = results.middle(scenario, row.name, stats.cpu_us), cost(results, scenario)
    if value is None or not own:
        return NOTHING
    if row.name == targets.ONE:
        return number(own)
    return f"{number(value)} ({value / own:.2f}x)"


def _added(
    results: Results, scenario: str, kind: str, rows: Sequence[str] = _PENSTOCK
) -> float | None:
    """Returns the time that a server adds at p50, in milliseconds."""
    metric = stats.time_ms(kind, "p50")
    own, direct = _mean(results, scenario, metric, rows), results.middle(scenario, "direct", metric)
    return None if own is None or direct is None else own - direct


def _mean(
    results: Results, scenario: str, metric: Metric, rows: Sequence[str] = _PENSTOCK
) -> float | None:
    values = [results.middle(scenario, row, metric) for row in rows]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _milliseconds(value: float | None) -> str:
    return NOTHING if value is None else f"{number(value)} ms"
