"""What surrounds every call: log, errors, credentials, quota, admission, deadline."""

from penstock_server.rpc.middleware.admission import Admission
from penstock_server.rpc.middleware.authentication import Authentication, forwarded
from penstock_server.rpc.middleware.deadline import Deadlines
from penstock_server.rpc.middleware.errors import abort
from penstock_server.rpc.middleware.order import in_order

__all__ = ["Admission", "Authentication", "Deadlines", "abort", "forwarded", "in_order"]
