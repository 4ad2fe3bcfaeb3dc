"""Building of gRPC servers: their options, their services, their handlers."""

from collections.abc import Callable, Mapping, Sequence

from grpc import aio

from penstock_server.rpc.calls import Arrivals, CallInterceptor, Middleware
from penstock_server.rpc.server.connections import ConnectionLimits
from penstock_server.rpc.server.health import HealthServicer
from penstock_server.rpc.server.health_list import HEALTH, add_health
from penstock_server.rpc.server.lasting import server as lasting_server
from penstock_server.rpc.server.reflection import add_reflection
from penstock_server.rpc.server.registration import unregistered
from penstock_server.rpc.server.unsupported import UnsupportedMethods
from penstock_server.rpc.server.watches import Watches


def options(limits: ConnectionLimits, *, share_ports: bool = False) -> list[tuple[str, int]]:
    """Returns the channel options of a server."""
    # Otherwise a second server would silently share a taken port.
    return [("grpc.so_reuseport", int(share_ports)), *limits.options()]


def build_server(
    services: Mapping[str, Callable[[aio.Server], None]],
    health: HealthServicer,
    middleware: Sequence[Middleware],
    arrivals: Arrivals,
    watches: Watches,
    *,
    limits: ConnectionLimits,
    max_request_entries: int,
    reflection: bool,
    share_ports: bool = False,
) -> aio.Server:
    """Returns a server of services, with health, not yet bound to an address.

    Args:
        services: by the full name of each service, a function that adds it to a server.
        health: the health service.
        middleware: surrounds every call of the services, the first outermost.
        arrivals: waits for request messages.
        watches: surrounds every call of health and reflection.
        limits: the limits of connections.
        max_request_entries: the largest number of entries in one request message.
        reflection: whether to serve reflection.
        share_ports: whether other processes may listen on the same ports.
    """
    server = lasting_server(
        interceptors=(
            CallInterceptor(
                middleware,
                arrivals,
                max_message_bytes=limits.max_message_bytes,
                max_metadata_bytes=limits.max_metadata_bytes,
                max_request_entries=max_request_entries,
            ),
            watches,
        ),
        options=options(limits, share_ports=share_ports),
    )
    handlers = unregistered(server)
    for add in services.values():
        add(handlers)
    add_health(handlers, health)
    if reflection:
        add_reflection(server, (*services, HEALTH))
    server.add_generic_rpc_handlers((UnsupportedMethods(tuple(services)),))
    return server
