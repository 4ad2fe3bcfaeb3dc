"""Decisions not to sample, made before anything is built for a span; imports OpenTelemetry's SDK.

With a sampler that keeps one trace in a hundred, most of the cost of tracing is otherwise that of
spans that the sampler drops at once.
"""

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import TraceFlags

from penstock_server.telemetry.trace_context import TraceContext

_ROOT = Context()
# Older versions do not have it.
_RANDOM = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)


class Sampling:
    """The decision of a sampler about the next span.

    The sampler is asked again when that span is created, and must decide alike: all samplers that
    the environment can name depend on the trace id and the parent only.
    """

    def __init__(self, ids: "NextIds", sampler: Sampler) -> None:
        """Prepares to decide.

        Args:
            ids: generates the ids of spans.
            sampler: decides about spans.
        """
        self._ids = ids
        self._sampler = sampler
        self._follows_parents = isinstance(sampler, ParentBased)
        # A `ParentBased` sampler does not expose the one that decides about roots.
        root = getattr(sampler, "_root", sampler)
        self._ratio = root if isinstance(root, TraceIdRatioBased) else None

    def unsampled(
        self, method: str, parent: TraceContext | None, tracestate: str
    ) -> TraceContext | None:
        """Returns the context of a span that is not sampled; None if the span is to be created.

        Args:
            method: the name of the span.
            parent: its parent, if there is one.
            tracestate: what belongs to the parent.
        """
        if parent is None:
            trace_id = self._ids.generate_trace_id()
            if self._samples(trace_id, method):
                self._ids.next_trace_id = trace_id
                return None
            return self._context(f"{trace_id:032x}", _RANDOM)
        if parent.sampled or tracestate or not self._follows_parents:
            return None
        return self._context(parent.trace_id, parent.flags & _RANDOM)

    def _samples(self, trace_id: int, method: str) -> bool:
        """Returns whether a trace that begins is sampled."""
        if self._ratio:
            # As the sampler does itself, which takes five times as long to return it.
            return trace_id & self._ratio.TRACE_ID_LIMIT < self._ratio.bound
        found = self._sampler.should_sample(_ROOT, trace_id, method)
        return found.decision is not Decision.DROP

    def _context(self, trace_id: str, flags: int) -> TraceContext:
        return TraceContext(trace_id, f"{self._ids.generate_span_id():016x}", flags)


class NextIds(RandomIdGenerator):
    """Random ids, except for a trace whose id is already known.

    Attributes:
        next_trace_id: the id of the next trace; 0 for a random one.
    """

    next_trace_id = 0

    def generate_trace_id(self) -> int:
        """Returns the id of a trace that begins."""
        decided, self.next_trace_id = self.next_trace_id, 0
        return decided or super().generate_trace_id()
