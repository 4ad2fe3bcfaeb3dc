"""Limits of the connections of callers, as options of gRPC.

They apply before any of our code runs, so none ends in a status with details: gRPC closes a
connection beyond the limit, and refuses a stream beyond the limit in HTTP/2, which gRPC libraries
retry once there is room. From then on, `admission.py` limits calls.
"""

from dataclasses import dataclass

# Clients ping at most every 10 s; the network may bring two pings closer together.
_SHORTEST_PING_INTERVAL_MS = 5_000
# Our pings detect callers that vanished without closing.
_PING_MS, _PONG_MS = 60_000, 20_000
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of the connections of a server, described by the options of the same names.

    Attributes:
        max_message_bytes: the size of the largest message, both ways.
        max_metadata_bytes: the size of the largest metadata of a call.
        max_incoming_connections: the most connections to each address.
        max_calls_per_connection: the most concurrent calls on a connection; 0 for no limit.
        max_pending_calls: the most calls that gRPC queues for our code; 0 for no limit.
        handshake_timeout: the most seconds until a connection speaks HTTP/2.
        max_connection_idle: the most seconds that a connection stays open without calls; 0 for no
            limit.
        max_connection_age: the seconds after which a connection accepts no new calls; 0 for no
            limit.
        max_connection_age_grace: the most seconds that its calls may take after that; 0 for no
            limit.
    """

    max_message_bytes: int
    max_metadata_bytes: int = 16 * 1024
    max_incoming_connections: int = _LARGEST - 1  # gRPC aborts at one more
    max_calls_per_connection: int = 0
    max_pending_calls: int = 0
    handshake_timeout: float = 10.0
    max_connection_idle: float = 0.0
    max_connection_age: float = 0.0
    max_connection_age_grace: float = 0.0

    def options(self) -> list[tuple[str, int]]:
        """Returns the limits as options of a gRPC server."""
        pending = self.max_pending_calls or _LARGEST
        return [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            # Equal, since between the two gRPC refuses at random.
            ("grpc.max_metadata_size", self.max_metadata_bytes),
            ("grpc.absolute_max_metadata_size", self.max_metadata_bytes),
            ("grpc.max_allowed_incoming_connections", self.max_incoming_connections),
            ("grpc.max_concurrent_streams", self.max_calls_per_connection or _LARGEST),
            # Equal for the same reason. The calls that gRPC refuses end as CANCELLED.
            ("grpc.server.max_pending_requests", pending),
            ("grpc.server.max_pending_requests_hard_limit", pending),
            ("grpc.server_handshake_timeout_ms", _milliseconds(self.handshake_timeout)),
            # A peer that never acknowledges our limits is not bound by all of them.
            ("grpc.http2.settings_timeout", _milliseconds(self.handshake_timeout)),
            ("grpc.max_connection_idle_ms", _milliseconds(self.max_connection_idle)),
            ("grpc.max_connection_age_ms", _milliseconds(self.max_connection_age)),
            ("grpc.max_connection_age_grace_ms", _milliseconds(self.max_connection_age_grace)),
            # By default, gRPC closes a connection at the third ping within 5 minutes.
            ("grpc.http2.min_ping_interval_without_data_ms", _SHORTEST_PING_INTERVAL_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.keepalive_time_ms", _PING_MS),
            ("grpc.keepalive_timeout_ms", _PONG_MS),
        ]


def _milliseconds(seconds: float) -> int:
    """Returns a time in gRPC's unit; 0 becomes the longest."""
    return min(max(1, round(seconds * 1000)), _LARGEST) if seconds else _LARGEST
