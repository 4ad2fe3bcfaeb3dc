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
from penstock_server.rpc.calls.endings import Ending, ReplyTooLarge, encoded, ending
from penstock_server.rpc.calls.interceptor import (
    PACKAGE,
    CallInterceptor,
    Handler,
    require_end,
)
from penstock_server.rpc.calls.item_stream import (
    answers,
    item_error,
    record_item,
    require_fits,
    run_item,
)
from penstock_server.rpc.calls.metadata import upstream_call
from penstock_server.rpc.calls.outputs import Outputs
from penstock_server.rpc.calls.parsing import converted, copied
from penstock_server.rpc.calls.reports import Usage

__all__ = [
    "PACKAGE",
    "Arrivals",
    "CallInterceptor",
    "CallNext",
    "Context",
    "Ending",
    "GrpcContext",
    "Handler",
    "Middleware",
    "Outputs",
    "ReplyTooLarge",
    "Rpc",
    "Usage",
    "answers",
    "converted",
    "copied",
    "encoded",
    "ending",
    "fits_header",
    "item_error",
    "record_item",
    "require_end",
    "require_fits",
    "run_item",
    "upstream_call",
]
