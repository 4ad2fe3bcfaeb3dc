"""The gRPC servers: addresses, connections, health, reflection, methods that nobody has."""

from penstock_server.rpc.server.admin_server import AdminServer
from penstock_server.rpc.server.build import build_server
from penstock_server.rpc.server.connections import ConnectionLimits
from penstock_server.rpc.server.health import HealthServicer
from penstock_server.rpc.server.listening import (
    CannotListen,
    bind_all,
    do_without,
    places,
    release,
)
from penstock_server.rpc.server.watches import Watches

__all__ = [
    "AdminServer",
    "CannotListen",
    "ConnectionLimits",
    "HealthServicer",
    "Watches",
    "bind_all",
    "build_server",
    "do_without",
    "places",
    "release",
]
