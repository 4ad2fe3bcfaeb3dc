"""What happens around every RPC, in one written order."""

from collections.abc import Sequence

from penstock_server.rpc.calls import Around
from penstock_server.rpc.middleware.admission import Admission
from penstock_server.rpc.middleware.deadline import Deadlines
from penstock_server.rpc.middleware.errors import debug_info, failure_to_status
from penstock_server.rpc.middleware.request_log import RequestLog


def in_order(
    *,
    debug: bool = False,
    credentials: Around | None = None,
    admission: Admission | None = None,
    deadlines: Deadlines | None = None,
) -> Sequence[Around]:
    """Returns the concerns that a server has, outermost first.

    Args:
        debug: whether callers may learn of a bug what developers see.
        credentials: checks who calls, or hands on what they sent.
        admission: how many may come in.
        deadlines: how long they may stay.
    """
    every = (
        RequestLog().kept,
        failure_to_status,
        debug_info if debug else None,
        credentials,
        admission and admission.admitted,
        deadlines and deadlines.kept,
    )
    return [concern for concern in every if concern]
