"""Metrics of generative AI, by operation and model."""

from collections.abc import Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter

from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.distribution import Distribution, Histogram
from penstock_server.telemetry.metrics.families import counter


class Tokens(Protocol):
    """Records the token counts of one operation on one model."""

    def record(self, given: int, generated: int, cached: int | None, reasoning: int | None) -> None:
        """Records the counts of a call; None for counts that are not reported."""


class Generations:
    """The metrics of one operation on one model.

    Attributes:
        succeeded: durations of the calls that succeeded.
        first_token: times to the first message of streams.
        next_token: mean times per token after the first.
        tokens: records token counts.
    """

    __slots__ = ("_labels", "_seconds", "first_token", "next_token", "succeeded", "tokens")

    def __init__(self, parent: "GenAiMetrics", labels: tuple[str, ...]) -> None:
        """Looks up the series with these labels."""
        self.first_token = parent.first_token.of(*labels)
        self.next_token = parent.next_token.of(*labels)
        self.tokens = parent.tokens.of(labels)
        self._labels = labels
        self._seconds = parent.seconds
        self.succeeded = self.ended("")

    def ended(self, error_type: str) -> Distribution:
        """Returns the durations of the calls that ended with a status code; empty for success."""
        return self._seconds.of(*self._labels, error_type)


class GenAiMetrics:
    """The metrics of generative AI.

    Attributes:
        seconds: durations of calls.
        first_token: times to the first message.
        next_token: times per token after the first.
        tokens: token counts.
        histograms: all histograms among them.
    """

    def __init__(self, registry: CollectorRegistry, conventions: str) -> None:
        """Registers the metrics.

        Args:
            registry: exports them.
            conventions: the conventions whose names are used, one of `names.CONVENTIONS`.
        """
        self.seconds = Histogram(names.REQUEST_SECONDS, registry)
        self.first_token = Histogram(names.FIRST_TOKEN_SECONDS, registry)
        self.next_token = Histogram(names.NEXT_TOKEN_SECONDS, registry)
        new = conventions == names.NEW_CONVENTIONS
        self.tokens = (_NewNames if new else _DeployedNames)(registry)
        durations = (self.seconds, self.first_token, self.next_token)
        self.histograms: Sequence[Histogram] = (*durations, *self.tokens.histograms)

    def of(self, operation: str, model: str) -> Generations:
        """Returns the metrics of an operation on a model; callers keep it.

        Args:
            operation: a value of `names.OPERATIONS`.
            model: the public name of a listed model, or `names.OTHER`.
        """
        return Generations(self, (operation, names.PROVIDER, model, model))


class _DeployedNames:
    """Token counts in one histogram, by type."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._usage = Histogram(names.TOKEN_USAGE, registry)
        self.histograms = (self._usage,)

    def of(self, labels: tuple[str, ...]) -> Tokens:
        return _DeployedTokens(self._usage, labels)


class _DeployedTokens:
    __slots__ = ("_generated", "_given", "_labels", "_usage")

    def __init__(self, usage: Histogram, labels: tuple[str, ...]) -> None:
        self._usage = usage
        self._labels = labels
        self._given = usage.of(*labels, "input")
        self._generated = usage.of(*labels, "output")

    def record(self, given: int, generated: int, cached: int | None, reasoning: int | None) -> None:
        self._given.observe(given)
        self._generated.observe(generated)
        if cached is not None:
            self._usage.of(*self._labels, "cached_input").observe(cached)
        if reasoning is not None:
            self._usage.of(*self._labels, "reasoning").observe(reasoning)


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
        self._given = Histogram(names.OPERATION_INPUT_TOKENS, registry)
        self._generated = Histogram(names.OPERATION_OUTPUT_TOKENS, registry)
        self.histograms = (self._given, self._generated)

    def of(self, labels: tuple[str, ...]) -> Tokens:
        counters = [one.labels(*labels) for one in self._counters]
        return _NewTokens(counters, self._given.of(*labels), self._generated.of(*labels))


class _NewTokens:
    __slots__ = ("_counters", "_generated", "_given")

    def __init__(
        self, counters: Sequence[Counter], given: Distribution, generated: Distribution
    ) -> None:
        self._counters = counters
        self._given = given
        self._generated = generated

    def record(self, given: int, generated: int, cached: int | None, reasoning: int | None) -> None:
        for one, count in zip(self._counters, (given, generated, cached, reasoning), strict=True):
            if count:
                one.inc(count)
        self._given.observe(given)
        self._generated.observe(generated)
