"""The gRPC servers: addresses, certificates, connections, health, reflection."""

from penstock_server.rpc.server.admin_server import AdminServer
from penstock_server.rpc.server.build import build_server
from penstock_server.rpc.server.certificates import (
    CertificateFiles,
    ServerCertificate,
    UnusableCertificate,
)
from penstock_server.rpc.server.connections import ConnectionLimits
from penstock_server.rpc.server.health import HealthServicer
from penstock_server.rpc.server.health_server import HealthServer
from penstock_server.rpc.server.listening import (
    CannotListen,
    bind_all,
    is_local,
    release,
    socket_addresses,
    start_if_free,
)
from penstock_server.rpc.server.watches import Watches

__all__ = [
    "AdminServer",
    "CannotListen",
    "CertificateFiles",
    "ConnectionLimits",
    "HealthServer",
    "HealthServicer",
    "ServerCertificate",
    "UnusableCertificate",
    "Watches",
    "bind_all",
    "build_server",
    "is_local",
    "release",
    "socket_addresses",
    "start_if_free",
]
