"""Metrics of calls, by method.

Counts are kept in plain integers and become metrics at a scrape: an update of a counter of
prometheus-client costs ten times as much as an addition, and a call changes six counts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.distribution import Histogram
from penstock_server.telemetry.metrics.families import counter_family, gauge_family
from penstock_server.telemetry.metrics.generation import GenAiMetrics, Generations
from penstock_server.telemetry.metrics.names import Metric

L = TypeVar("L", bound=tuple[str, ...])

_STAGES = ("request", "headers", "body", "stream")


class Method(NamedTuple):
    """A method, as its labels name it."""

    type: str
    service: str
    name: str


OTHER = Method("bidi_stream", names.OTHER, names.OTHER)
"""Stands for all methods that the API does not have."""


class MethodMetrics:
    """The metrics of one method.

    Attributes:
        operation: the operation of generative AI; empty for none.
        streams: whether it answers with a stream.
        started: the number of calls.
        handled: the number of calls that have ended, by status code.
        messages_received: the number of request messages.
        messages_sent: the number of response messages.
        bytes_received: the size of the request messages.
        bytes_sent: the size of the response messages.
        seconds: durations of the calls.
        overhead: times that the service added to them.
        generations: the metrics of generative AI, by model.
    """

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "generations",
        "handled",
        "messages_received",
        "messages_sent",
        "operation",
        "overhead",
        "seconds",
        "started",
        "streams",
    )

    def __init__(
        self, method: Method, codes: Iterable[str], seconds: Histogram, overhead: Histogram
    ) -> None:
        """Creates the metrics of a method without calls."""
        self.operation = names.OPERATIONS.get(f"{method.service.rpartition('.')[2]}/{method.name}")
        self.streams = method.type in ("server_stream", "bidi_stream")
        self.started = self.messages_received = self.messages_sent = 0
        self.bytes_received = self.bytes_sent = 0
        self.handled = dict.fromkeys(codes, 0)
        self.seconds = seconds.of(*method)
        self.overhead = overhead.of(*method)
        self.generations: dict[str, Generations] = {}


class CallMetrics(Collector):
    """The metrics of all calls.

    Attributes:
        refused: the number of calls that failed with nothing sent upstream, by reason and limit.
        failed: the number of other calls that failed, by upstream and reason.
        cancelled: the number of calls that their callers cancelled, by stage.
        late: the number of calls whose deadline passed, by stage.
        items: the number of items that have ended, by the method of their call and status code.
        by_caller: whether to count by caller.
        caller_calls: the number of calls by caller and status code.
        caller_tokens: the number of tokens by caller and type.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        methods: Mapping[str, Method],
        *,
        codes: Sequence[str],
        refusals: Iterable[tuple[str, str]] = (),
        conventions: str = names.CONVENTIONS[0],
        by_caller: bool = False,
    ) -> None:
        """Registers the metrics.

        Args:
            registry: exports them.
            methods: the methods of the API by their full names.
            codes: the status codes.
            refusals: reasons and limits of refusals that are exported before there is one.
            conventions: the conventions whose names are used, one of `names.CONVENTIONS`.
            by_caller: whether to count by caller.
        """
        self._named = {**methods, "": OTHER}
        self._gen_ai = GenAiMetrics(registry, conventions)
        seconds = Histogram(names.HANDLING_SECONDS, registry)
        overhead = Histogram(names.OVERHEAD_SECONDS, registry)
        self._histograms = (seconds, overhead, *self._gen_ai.histograms)
        self._methods = {
            full_name: MethodMetrics(method, codes, seconds, overhead)
            for full_name, method in self._named.items()
        }
        self._other = self._methods[""]
        self.refused = Counter(dict.fromkeys(refusals, 0))
        self.failed = Counter[tuple[str, str]]()
        self.cancelled = Counter(dict.fromkeys(_STAGES, 0))
        self.late = Counter(dict.fromkeys(_STAGES, 0))
        self.items = Counter[tuple[str, str]]()
        self.by_caller = by_caller
        self.caller_calls = Counter[tuple[str, str]]()
        self.caller_tokens = Counter[tuple[str, str]]()
        registry.register(self)

    def of(self, method: str) -> MethodMetrics:
        """Returns the metrics of a method by its full name, or those of all others."""
        return self._methods.get(method, self._other)

    def generations(self, method: MethodMetrics, model: str) -> Generations:
        """Returns the metrics of generative AI for a method and a model.

        Args:
            method: a method with an operation.
            model: the public name of a listed model, or `names.OTHER`.
        """
        found = method.generations.get(model)
        if found is None:
            assert method.operation
            found = method.generations[model] = self._gen_ai.of(method.operation, model)
        return found

    def count_values(self) -> None:
        """Counts the new values of histograms, which otherwise wait for a scrape."""
        for histogram in self._histograms:
            histogram.count()

    def _running(self) -> int:
        """Returns the number of calls in flight."""
        # In this order: a call that begins and ends meanwhile must not make it negative.
        handled = sum(sum(known.handled.values()) for known in self._methods.values())
        return sum(known.started for known in self._methods.values()) - handled

    def collect(self) -> Iterator[Family]:
        """Yields the counts; histograms are exported on their own."""
        yield from self._by_method()
        running = gauge_family(names.IN_FLIGHT)
        running.add_metric((), self._running())
        yield running
        yield _counted(names.REFUSED, self.refused)
        yield _counted(names.FAILED, self.failed)
        yield _counted(names.CANCELLED, {(stage,): n for stage, n in self.cancelled.items()})
        yield _counted(names.DEADLINE_MISSED, {(stage,): n for stage, n in self.late.items()})
        yield _counted(names.ITEMS, self._items())
        if self.by_caller:
            yield _counted(names.CALLER_CALLS, self.caller_calls)
            yield _counted(names.CALLER_TOKENS, self.caller_tokens)

    def _items(self) -> dict[tuple[str, ...], int]:
        items = list(self.items.items())
        return {(*self._named[method], code): number for (method, code), number in items}

    def _by_method(self) -> Iterator[Family]:
        pairs = [(self._named[name], known) for name, known in self._methods.items()]
        yield _counted(names.STARTED, {method: known.started for method, known in pairs})
        handled = {
            (*method, code): count
            for method, known in pairs
            for code, count in known.handled.items()
        }
        yield _counted(names.HANDLED, handled)
        for metric, attribute in (
            (names.MESSAGES_RECEIVED, "messages_received"),
            (names.MESSAGES_SENT, "messages_sent"),
            (names.RECEIVED_BYTES, "bytes_received"),
            (names.SENT_BYTES, "bytes_sent"),
        ):
            yield _counted(metric, {method: getattr(known, attribute) for method, known in pairs})


def _counted(metric: Metric, counts: Mapping[L, float]) -> Family:
    family = counter_family(metric)
    # A copy: scrapes run on a thread of their own.
    for labels, count in list(counts.items()):
        family.add_metric(labels, count)
    return family
