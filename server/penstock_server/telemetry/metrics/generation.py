"""Metrics of generative AI, by operation and model."""

from collections.abc import Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.families import counter, histogram


class Generations:
    """The metrics of one operation on one model.

    Attributes:
        tokens: records token counts.
    """

    def __init__(self, parent: "GenAiMetrics", labels: tuple[str, ...], tokens: "Tokens") -> None:
        """Looks up what records the values of these labels."""
        self.tokens = tokens
        self._parent = parent
        self._labels = labels
        # By type of error; a lookup among the children of the metric takes longer.
        self._ended = {"": parent.seconds.labels(*labels, "")}
        self._first_token = parent.first_token.labels(*labels)
        self._next_token = parent.next_token.labels(*labels)

    def end(self, seconds: float, error_type: str, exemplar: dict[str, str] | None) -> None:
        """Records that a call has ended.

        Args:
            seconds: its duration.
            error_type: the status code of a call that failed, else empty.
            exemplar: refers to the call's trace, if there is one.
        """
        child = self._ended.get(error_type)
        if child is None:
            child = self._parent.seconds.labels(*self._labels, error_type)
            self._ended[error_type] = child
        child.observe(seconds, exemplar)

    def first_token(self, seconds: float, exemplar: dict[str, str] | None) -> None:
        """Records the time to the first message of a stream."""
        self._first_token.observe(seconds, exemplar)

    def next_token(self, seconds: float) -> None:
        """Records the mean time per token after the first."""
        self._next_token.observe(seconds)


class Tokens(Protocol):
    """Records the token counts of calls."""

    def record(self, given: int, generated: int, cached: int | None, reasoning: int | None) -> None:
        """Records the counts of one call; None for counts that are not reported."""


class GenAiMetrics:
    """The metrics of generative AI.

    Attributes:
        seconds: durations of calls.
        first_token: times to the first message.
        next_token: times per token after the first.
    """

    def __init__(self, registry: CollectorRegistry, conventions: str) -> None:
        """Registers the metrics.

        Args:
            registry: exports them.
            conventions: the conventions whose names are used, one of `names.CONVENTIONS`.
        """
        self.seconds = histogram(names.REQUEST_SECONDS, registry)
        self.first_token = histogram(names.FIRST_TOKEN_SECONDS, registry)
        self.next_token = histogram(names.NEXT_TOKEN_SECONDS, registry)
        new = conventions == names.NEW_CONVENTIONS
        self._tokens = (_NewNames if new else _DeployedNames)(registry)

    def of(self, operation: str, model: str) -> Generations:
        """Returns the metrics of an operation on a model; callers keep it.

        Args:
            operation: a value of `names.OPERATIONS`.
            model: the public name of a listed model, or `names.OTHER`.
        """
        labels = (operation, names.PROVIDER, model, model)
        return Generations(self, labels, self._tokens.of(labels))


class _DeployedNames:
    """Token counts in one histogram, by type."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._usage = histogram(names.TOKEN_USAGE, registry)

    def of(self, labels: tuple[str, ...]) -> Tokens:
        return _DeployedTokens(self._usage, labels)


class _DeployedTokens:
    def __init__(self, usage: Histogram, labels: tuple[str, ...]) -> None:
        self._usage = usage
        self._labels = labels
        self._given = usage.labels(*labels, "input")
        self._generated = usage.labels(*labels, "output")

    def record(self, given: int, generated: int, cached: int | None, reasoning: int | None) -> None:
        self._given.observe(given)
        self._generated.observe(generated)
        if cached is not None:
            self._usage.labels(*self._labels, "cached_input").observe(cached)
        if reasoning is not None:
            self._usage.labels(*self._labels, "reasoning").observe(reasoning)


class _NewNames:
    """Token counts in counters, and in histograms of calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counters = [
            counter(metric, registry)
            for metric in (
                names.INPUT_TOKENS,
                names.OUTPUT_TOKENS,
                names.CACHED_INPUT_TOKENS,
                names.REASONING_TOKENS,
            )
        ]
        self._given = histogram(names.OPERATION_INPUT_TOKENS, registry)
        self._generated = histogram(names.OPERATION_OUTPUT_TOKENS, registry)

    def of(self, labels: tuple[str, ...]) -> Tokens:
        return _NewTokens(
            [one.labels(*labels) for one in self._counters],
            self._given.labels(*labels),
            self._generated.labels(*labels),
        )


class _NewTokens:
    def __init__(self, counters: Sequence[Counter], given: Histogram, generated: Histogram) -> None:
        self._counters = counters
        self._given = given
        self._generated = generated

    def record(self, given: int, generated: int, cached: int | None, reasoning: int | None) -> None:
        for one, count in zip(self._counters, (given, generated, cached, reasoning), strict=True):
            if count:
                one.inc(count)
        self._given.observe(given)
        self._generated.observe(generated)
