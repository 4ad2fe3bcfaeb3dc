"""One call: its context, the reading of its request, the writing of its replies."""

from penstock_server.rpc.calls.arrival import Arrivals
from penstock_server.rpc.calls.context import (
    CallNext,
    Context,
    GrpcContext,
    Middleware,
    Rpc,
    fits_header,
)
from penstock_server.rpc.calls.interceptor import (
    PACKAGE,
    CallInterceptor,
    Handler,
    ReplyTooLarge,
    require_end,
)
from penstock_server.rpc.calls.metadata import upstream_call
from penstock_server.rpc.calls.parsing import converted
from penstock_server.rpc.calls.reports import Usage

__all__ = [
    "PACKAGE",
    "Arrivals",
    "CallInterceptor",
    "CallNext",
    "Context",
    "GrpcContext",
    "Handler",
    "Middleware",
    "ReplyTooLarge",
    "Rpc",
    "Usage",
    "converted",
    "fits_header",
    "require_end",
    "upstream_call",
]
