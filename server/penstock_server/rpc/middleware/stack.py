"""The middleware of a server, in order."""

from collections.abc import Sequence

from penstock_server.rpc.calls import Middleware
from penstock_server.rpc.middleware.admission import Admission
from penstock_server.rpc.middleware.deadline import Deadlines
from penstock_server.rpc.middleware.errors import debug_info, errors_page, failure_to_status
from penstock_server.rpc.middleware.request_log import RequestLog


def stack(
    *,
    recorder: Middleware | None = None,
    tracer: Middleware | None = None,
    request_log: RequestLog | None = None,
    debug: bool = False,
    errors_url: str = "",
    credentials: Middleware | None = None,
    admission: Admission | None = None,
    deadlines: Deadlines | None = None,
) -> Sequence[Middleware]:
    """Returns the middleware of a server, outermost first.

    Args:
        recorder: records the metrics of calls.
        tracer: records the spans of calls.
        request_log: logs calls; None for one that logs all of them.
        debug: whether callers may see the details of a bug.
        errors_url: the page that errors link to; empty for none.
        credentials: authenticates callers, or forwards their credentials.
        admission: limits the number of concurrent calls.
        deadlines: limits the duration of calls.
    """
    every = (
        recorder,
        tracer,
        (request_log or RequestLog()).log_call,
        failure_to_status,
        debug_info if debug else None,
        errors_page(errors_url) if errors_url else None,
        credentials,
        admission and admission.admit,
        deadlines and deadlines.enforce,
    )
    return [middleware for middleware in every if middleware]
