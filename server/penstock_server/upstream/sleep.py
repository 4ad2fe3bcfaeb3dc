"""Sleep of vLLM engines, from their metrics."""

import enum

_METRIC = "vllm:engine_sleep_state"
_AWAKE = "awake"
_DISCARDED = "discard_all"


class Sleep(enum.Enum):
    """The sleep of an engine."""

    AWAKE = enum.auto()
    """Not asleep; its scheduler may be paused."""
    ASLEEP = enum.auto()
    """Asleep with its weights: level 0 or 1."""
    DISCARDED = enum.auto()
    """Asleep without weights: level 2. Once awake, it answers nonsense until they are reloaded."""


def sleep_in(metrics: str) -> Sleep | None:
    """Returns the sleep that the metrics of a vLLM report; None if they do not report it.

    The server has several engines with data parallelism; the deepest sleep counts.
    """
    # Commands without upstreams do not need it.
    from prometheus_client.parser import text_string_to_metric_families

    lines = (line for line in metrics.splitlines() if line.startswith(_METRIC))
    found: dict[str, list[float]] = {}
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                if sample.name == _METRIC:
                    found.setdefault(sample.labels.get("sleep_state", ""), []).append(sample.value)
    except ValueError:
        return None
    if any(found.get(_DISCARDED, ())):
        return Sleep.DISCARDED
    if _AWAKE not in found:
        return None
    return Sleep.AWAKE if all(found[_AWAKE]) else Sleep.ASLEEP
