"""The context of one call: what middleware and servicers know about it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from os import urandom
from time import monotonic
from typing import Any, TypeAlias

import grpc
from grpc import aio

from penstock_server.rpc import status
from penstock_server.rpc.calls.outputs import Outputs
from penstock_server.rpc.calls.reports import Usage
from penstock_server.telemetry import trace_context
from penstock_server.upstream import Attempts, CallObserver, any_model

_REQUEST_ID_LIMIT = 128

# Generic for type checkers only.
GrpcContext: TypeAlias = "aio.ServicerContext[Any, Any]"
Context: TypeAlias = "GrpcContext | Rpc"
"""The type that generated code declares for servicers; here the object is always an `Rpc`."""


def _ignore() -> None:
    """Does nothing about an arrival: the default without admission control."""


def _unrecorded(rpc: Rpc, item: Rpc) -> None:
    """Does nothing about an item: the default without metrics."""


async def _unlimited(call_next: CallNext, item: Rpc) -> Any:
    """Runs an item: the default without limits."""
    return await call_next(item)


class Rpc:
    """The context of one call, built when it comes in.

    A call may consist of items, each of which is answered as a call of its own would be. Such an
    item has a context of its own; see `item`.

    Attributes:
        method: the full method name, such as "/penstock.v1.ModelService/ListModels".
        context: gRPC's own context.
        metadata: the caller's metadata; of equal keys, the last counts.
        request: iterator over the request messages.
        request_id: the caller's `x-request-id`, or a new one.
        started: the time of arrival on the monotonic clock.
        requested: the time when the first request message had arrived; 0 before.
        model: the model that the request names, once the servicer has read it.
        deadline: the deadline on the monotonic clock.
        messages_received: the number of request messages that have arrived.
        bytes_received: their size.
        messages_sent: the number of stream messages handed to gRPC.
        bytes_sent: the size of these, or of the single answer.
        first_message: the time on the monotonic clock when the first stream message was handed to
            gRPC; 0 before.
        response_model: the model that the answer names, once there is an answer.
        usage: the token counts that the answer reports, once it does.
        finish_reasons: why each choice of the answer ended, once it has: such as "stop"; the
            status of a response of the Responses API, such as "completed". Those of choices are
            known to observed calls only.
        code: the status code so far.
        reason: `ErrorInfo.reason` of a status that this service decided on.
        limit: the option whose limit ended the call; empty for none.
        attempts: the record of the requests sent upstream.
        caller: the name of the caller in the file of callers.
        may_use: reports whether the caller may use the model of a name.
        authorization: the caller's own credentials, if they go upstream: see `Call`.
        on_arrival: called when a request message has arrived; may raise a refusal.
        admitted: whether a request message has arrived and was admitted.
        debug: whether the caller may see the details of a bug.
        errors_url: the page that an error links to; empty for none.
        observer: follows the requests upstream; None if the call is not recorded.
        outputs: accumulates the generated contents; None if they are not recorded.
        propagated: `traceparent` and `tracestate` for upstreams, instead of the caller's; None to
            pass on the caller's.
        parent: the caller's span; None if the caller does not trace the call.
        trace_id: the trace that the call is a part of; empty if neither the caller nor this service
            traces it.
        sampled: whether that trace is recorded.
        large: whether work on its messages would block other calls.
        max_reply_bytes: the size of the largest reply; 0 for no limit.
        items: the number of items that have ended.
        failed_items: the number of these that failed.
        running_items: the number of items that have been read and have not ended.
        around_item: middleware around each item, which applies the limits of the server, and the
            permissions and limits of the caller.
        record_item: records an item of the call that has ended.
        shares_place: whether it is an item that occupies no place of its own among the concurrent
            calls of the server and of its caller.
    """

    __slots__ = (
        "admitted",
        "around_item",
        "attempts",
        "authorization",
        "bytes_received",
        "bytes_sent",
        "caller",
        "code",
        "context",
        "deadline",
        "debug",
        "errors_url",
        "failed_items",
        "finish_reasons",
        "first_message",
        "items",
        "large",
        "limit",
        "max_reply_bytes",
        "may_use",
        "messages_received",
        "messages_sent",
        "metadata",
        "method",
        "model",
        "observer",
        "on_arrival",
        "outputs",
        "parent",
        "propagated",
        "reason",
        "record_item",
        "request",
        "request_id",
        "requested",
        "response_model",
        "running_items",
        "sampled",
        "shares_place",
        "started",
        "trace_id",
        "usage",
    )

    def __init__(self, method: str, context: GrpcContext, request: Any) -> None:
        """Reads the metadata of a call that has come in."""
        self.method = method
        self.context = context
        self.request = request
        self.metadata: dict[str, str | bytes] = dict(context.invocation_metadata() or ())
        given = self.metadata.get("x-request-id")
        self.request_id = (given and _usable_id(given)) or urandom(16).hex()
        self.started = monotonic()
        self.requested = 0.0
        self.model = ""
        self.deadline = math.inf
        self.messages_received = self.bytes_received = 0
        self.messages_sent = self.bytes_sent = 0
        self.first_message = 0.0
        self.response_model = ""
        self.usage: Usage | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self.code = grpc.StatusCode.OK
        self.reason = self.limit = ""
        self.attempts = Attempts()
        self.caller = ""
        self.may_use: Callable[[str], bool] = any_model
        self.authorization: str | None = None
        self.on_arrival: Callable[[], None] = _ignore
        self.admitted = False
        self.debug = False
        self.errors_url = ""
        self.large = False
        self.observer: CallObserver | None = None
        self.outputs: Outputs | None = None
        self.propagated: tuple[str, str] | None = None
        parent = self.metadata.get("traceparent")
        self.parent = trace_context.parsed(parent) if parent else None
        self.trace_id = self.parent.trace_id if self.parent else ""
        self.sampled = self.parent.sampled if self.parent else False
        self.max_reply_bytes = 0
        self.items = self.failed_items = self.running_items = 0
        self.around_item: Middleware = _unlimited
        self.record_item: Callable[[Rpc, Rpc], None] = _unrecorded
        self.shares_place = False

    @classmethod
    def of(cls, context: Context) -> Rpc:
        """Returns the call of the context that a servicer received."""
        assert isinstance(context, cls)
        return context

    def item(self, method: str, number: int, *, shares_place: bool = False) -> Rpc:
        """Returns the context of an item of this call, with a record of its own.

        Args:
            method: the full name of the method that answers such an item in a call of its own.
            number: the position of the item in the call, which becomes a part of its request id.
            shares_place: whether it occupies no place of its own among concurrent calls.
        """
        made = Rpc(method, self.context, None)
        made.request_id = f"{self.request_id}-{number}"
        made.requested, made.admitted = made.started, True
        made.deadline, made.caller, made.may_use = self.deadline, self.caller, self.may_use
        made.authorization, made.propagated = self.authorization, self.propagated
        made.debug, made.errors_url, made.large = self.debug, self.errors_url, self.large
        made.trace_id, made.sampled = self.trace_id, self.sampled
        made.max_reply_bytes = self.max_reply_bytes
        made.shares_place = shares_place
        return made

    def end_with(self, ended: status.Status) -> None:
        """Records the status that ends the call or the item."""
        self.code, self.reason = ended.row.code, ended.row.reason
        self.limit = ended.metadata.get("limit", "")

    def text(self, key: str) -> str:
        """Returns the text of a metadata key; empty if there is none."""
        value = self.metadata.get(key, "")
        return value if isinstance(value, str) else ""

    @property
    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that ends every call: its ids, and the upstream that was requested last."""
        metadata: tuple[tuple[str, str], ...] = (("x-request-id", self.request_id),)
        if self.trace_id:
            metadata += (("x-penstock-trace-id", self.trace_id),)
        if not self.attempts.count:
            return metadata
        return (
            *metadata,
            ("x-penstock-upstream", self.attempts.upstream),
            ("x-penstock-attempts", str(self.attempts.count)),
        )


CallNext: TypeAlias = Callable[[Rpc], Awaitable[Any]]
Middleware: TypeAlias = Callable[[CallNext, Rpc], Awaitable[Any]]
"""Surrounds a call: awaits the next middleware; the last one awaits the servicer."""


def _usable_id(given: str | bytes) -> str:
    """Returns a caller's request id if it can be used, else an empty text."""
    usable = isinstance(given, str) and len(given) <= _REQUEST_ID_LIMIT and fits_header(given)
    return str(given) if usable else ""


def fits_header(text: str) -> bool:
    """Returns whether HTTP can carry a text as the value of a header."""
    return text.isascii() and text.isprintable() and text == text.strip()
