"""The W3C trace context that callers send: https://www.w3.org/TR/trace-context/."""

import re
from typing import NamedTuple

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 1


class TraceContext(NamedTuple):
    """A span, of which others are a part.

    Attributes:
        trace_id: the trace, in hexadecimal digits.
        span_id: the span, in hexadecimal digits.
        flags: the flags.
    """

    trace_id: str
    span_id: str
    flags: int

    @property
    def traceparent(self) -> str:
        """The header that refers to the span."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def sampled(self) -> bool:
        """Whether the span is recorded."""
        return bool(self.flags & _SAMPLED)


def parsed(traceparent: str | bytes) -> TraceContext | None:
    """Returns the contents of a `traceparent`; None if it is not valid."""
    found = isinstance(traceparent, str) and _TRACEPARENT.fullmatch(traceparent)
    if not found:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    # Later versions may add to it; this one may not.
    if version == "00" and more:
        return None
    return TraceContext(trace_id, span_id, int(flags, 16))
