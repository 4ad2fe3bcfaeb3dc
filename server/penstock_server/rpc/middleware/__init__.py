"""Middleware around every call: metrics, spans, log, errors, credentials, admission, deadline."""

from penstock_server.rpc.middleware.admission import Admission
from penstock_server.rpc.middleware.authentication import Authentication, forward_credentials
from penstock_server.rpc.middleware.deadline import Deadlines
from penstock_server.rpc.middleware.errors import abort
from penstock_server.rpc.middleware.failed_logins import FailedLogins
from penstock_server.rpc.middleware.ledger import Ledger
from penstock_server.rpc.middleware.metrics import AdminRecorder, CallRecorder, methods
from penstock_server.rpc.middleware.quota import Quota
from penstock_server.rpc.middleware.request_log import RequestLog
from penstock_server.rpc.middleware.shared_ledger import SharedLedger
from penstock_server.rpc.middleware.stack import stack
from penstock_server.rpc.middleware.tracing import CallTracer

__all__ = [
    "AdminRecorder",
    "Admission",
    "Authentication",
    "CallRecorder",
    "CallTracer",
    "Deadlines",
    "FailedLogins",
    "Ledger",
    "Quota",
    "RequestLog",
    "SharedLedger",
    "abort",
    "forward_credentials",
    "methods",
    "stack",
]
