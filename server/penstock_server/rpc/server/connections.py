"""What the connections of callers may cost, in the terms of gRPC's options.

These limits hold before any of our code runs, so nothing here can end in a status with details: a
connection that is one too many is closed, a stream that is one too many is refused in HTTP/2, and
gRPC libraries send it again by themselves once there is room. What a call may cost from then on is
the affair of `admission.py`.
"""

from dataclasses import dataclass

# Clients ping every 10 s or less often, give or take what the network does to their timing.
_SHORTEST_PING_INTERVAL_MS = 5_000
# Callers that vanished without closing are noticed.
_PING_MS, _PONG_MS = 60_000, 20_000
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of the connections of a server; the options of the same names describe them.

    Attributes:
        max_message_bytes: the largest message, both ways.
        max_metadata_bytes: the metadata of one call.
        max_incoming_connections: connections of callers on each address.
        max_calls_per_connection: calls in progress on one connection; 0 for no limit.
        max_pending_calls: calls that gRPC holds until our code takes them; 0 for no limit.
        handshake_timeout: seconds until a connection speaks HTTP/2.
        max_connection_idle: seconds that a connection without calls stays open; 0 for ever.
        max_connection_age: seconds after which a connection takes no more calls; 0 for ever.
        max_connection_age_grace: seconds that its calls may take from then on; 0 for ever.
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
        """Returns them as options of a gRPC server."""
        pending = self.max_pending_calls or _LARGEST
        return [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            # Between the two, gRPC refuses at random.
            ("grpc.max_metadata_size", self.max_metadata_bytes),
            ("grpc.absolute_max_metadata_size", self.max_metadata_bytes),
            ("grpc.max_allowed_incoming_connections", self.max_incoming_connections),
            ("grpc.max_concurrent_streams", self.max_calls_per_connection or _LARGEST),
            # Between the two, gRPC refuses at random; and what it refuses ends as CANCELLED.
            ("grpc.server.max_pending_requests", pending),
            ("grpc.server.max_pending_requests_hard_limit", pending),
            ("grpc.server_handshake_timeout_ms", _milliseconds(self.handshake_timeout)),
            # A peer that never acknowledges our limits is not bound by all of them.
            ("grpc.http2.settings_timeout", _milliseconds(self.handshake_timeout)),
            ("grpc.max_connection_idle_ms", _milliseconds(self.max_connection_idle)),
            ("grpc.max_connection_age_ms", _milliseconds(self.max_connection_age)),
            ("grpc.max_connection_age_grace_ms", _milliseconds(self.max_connection_age_grace)),
            # By default the third ping within 5 minutes costs a client its connection.
            ("grpc.http2.min_ping_interval_without_data_ms", _SHORTEST_PING_INTERVAL_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.keepalive_time_ms", _PING_MS),
            ("grpc.keepalive_timeout_ms", _PONG_MS),
        ]


def _milliseconds(seconds: float) -> int:
    """Returns a time as gRPC has it; none is the longest."""
    return min(max(1, round(seconds * 1000)), _LARGEST) if seconds else _LARGEST
