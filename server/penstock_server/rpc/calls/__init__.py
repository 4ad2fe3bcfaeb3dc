"""One call: its context, how its request is read and its replies are written."""

from penstock_server.rpc.calls.arrival import Arrivals
from penstock_server.rpc.calls.context import Rpc, current, fits_header
from penstock_server.rpc.calls.interceptor import (
    PACKAGE,
    Around,
    Context,
    Handler,
    Interceptors,
    Proceed,
    ReplyTooLarge,
    require_end,
)
from penstock_server.rpc.calls.metadata import upstream_call
from penstock_server.rpc.calls.parsing import converted

__all__ = [
    "PACKAGE",
    "Around",
    "Arrivals",
    "Context",
    "Handler",
    "Interceptors",
    "Proceed",
    "ReplyTooLarge",
    "Rpc",
    "converted",
    "current",
    "fits_header",
    "require_end",
    "upstream_call",
]
