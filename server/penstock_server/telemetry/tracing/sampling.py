"""Decides about a call's span before it is created; imports OpenTelemetry's SDK.

With a sampler that keeps one trace in a hundred, most of the cost of tracing is otherwise that of
spans that the sampler drops at once.
"""

from random import getrandbits

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import TraceFlags

from penstock_server.telemetry.trace_context import TraceContext

_ROOT = Context()
# Older versions do not have it.
_RANDOM = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_SPAN_BITS = 4 * _SPAN_DIGITS
_ALL_BITS = 4 * _TRACE_DIGITS + _SPAN_BITS


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
        self._bound = _bound(getattr(sampler, "_root", sampler))

    def unsampled(self, method: str, parent: TraceContext | None) -> TraceContext | None:
        """Returns the context of a call that is not sampled; None if its span is to be created.

        Nothing records such a call: a parent that is not sampled remains the context.

        Args:
            method: the name of the span.
            parent: its parent, if there is one.
        """
        if parent:
            return None if parent.sampled or not self._follows_parents else parent
        ids = getrandbits(_ALL_BITS)
        trace_id = ids >> _SPAN_BITS
        if self._samples(trace_id, method):
            self._ids.next_trace_id = trace_id
            return None
        # Both at once: formatting costs more than everything else here.
        digits = f"{ids:048x}"
        return TraceContext(digits[:_TRACE_DIGITS], digits[_TRACE_DIGITS:], _RANDOM)

    def _samples(self, trace_id: int, method: str) -> bool:
        """Returns whether a trace that begins is sampled."""
        if self._bound is not None:
            # As the sampler does itself, which takes five times as long to return it.
            return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound
        found = self._sampler.should_sample(_ROOT, trace_id, method)
        return found.decision is not Decision.DROP


def _bound(root: Sampler) -> int | None:
    """Returns the bound of the trace ids that a sampler samples; None if it has another rule."""
    if root is ALWAYS_OFF:
        return 0
    return root.bound if type(root) is TraceIdRatioBased else None


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
