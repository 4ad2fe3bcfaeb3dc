"""Decides about a call's span before it is created; imports OpenTelemetry's SDK.

With a sampler that keeps one trace in a hundred, most of the cost of tracing is otherwise that of
spans that the sampler drops at once.
"""

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)

from penstock_server.telemetry.trace_context import TraceContext

_ROOT = Context()
_ABOVE_ALL = "g"


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

    def drops(self, method: str, parent: TraceContext | None, trace_id: str) -> bool:
        """Returns whether a call is not sampled; the next span is that of a call that may be.

        Args:
            method: the name of the span.
            parent: its parent, if there is one.
            trace_id: the id of its trace.
        """
        if parent:
            return self._follows_parents and not parent.sampled
        bound = self._bound
        if trace_id[16:] >= bound if bound is not None else self._asked(method, trace_id):
            return True
        self._ids.next_trace_id = int(trace_id, 16)
        return False

    def _asked(self, method: str, trace_id: str) -> bool:
        """Returns whether the sampler drops the first span of a trace."""
        found = self._sampler.should_sample(_ROOT, int(trace_id, 16), method)
        return found.decision is Decision.DROP


def _bound(root: Sampler) -> str | None:
    """Returns the bound of the last 16 digits of sampled traces; None if there is another rule.

    A sampler itself takes several times as long to compare a trace id with its bound.
    """
    if root is ALWAYS_OFF:
        return ""
    if root is ALWAYS_ON:
        return _ABOVE_ALL
    if type(root) is not TraceIdRatioBased:
        return None
    return f"{root.bound:016x}" if root.bound <= root.TRACE_ID_LIMIT else _ABOVE_ALL


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
