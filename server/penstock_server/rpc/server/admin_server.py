"""The server for operators: AdminService, on a separate address."""

from functools import partial

from penstock.v1 import admin_pb2_grpc
from penstock_server.rpc import middleware
from penstock_server.rpc.calls import Arrivals, Middleware
from penstock_server.rpc.server.build import build_server
from penstock_server.rpc.server.certificates import ServerCertificate
from penstock_server.rpc.server.connections import ConnectionLimits
from penstock_server.rpc.server.health import HealthServicer
from penstock_server.rpc.server.listening import (
    CannotListen,
    bind_all,
    do_without,
    is_local,
)
from penstock_server.rpc.server.watches import Watches
from penstock_server.telemetry import events

SERVICE = "penstock.v1.AdminService"


class AdminServer:
    """Serves AdminService with health and reflection, or nothing if it has no address.

    Its health is always SERVING; that of the main server follows the upstreams.

    Attributes:
        address: the address, with the bound port once there is one; empty for none.
        port: the port, once it is bound; 0 for none.
        calls: the metric of its calls.
    """

    def __init__(
        self,
        address: str,
        servicer: admin_pb2_grpc.AdminServiceServicer,
        *,
        max_message_bytes: int,
        max_request_entries: int,
        reflection: bool,
        certificate: ServerCertificate | None = None,
        credentials: Middleware | None = None,
    ) -> None:
        """Builds the server.

        Args:
            address: the address to bind; empty for none.
            servicer: answers the calls.
            max_message_bytes: the size of the largest message.
            max_request_entries: the largest number of entries in one request message.
            reflection: whether to serve reflection.
            certificate: the certificate, for an address that other machines can connect to.
            credentials: authenticates callers; None to accept every caller.
        """
        self.address = address
        self._certificate = certificate
        self.port = 0
        self._health = HealthServicer((SERVICE,))
        self._health.update({"": True, SERVICE: True})
        recorder = middleware.AdminRecorder(SERVICE)
        self.calls = recorder.calls
        self._server = build_server(
            {SERVICE: partial(admin_pb2_grpc.add_AdminServiceServicer_to_server, servicer)},
            self._health,
            middleware.stack(recorder=recorder.record_call, credentials=credentials),
            Arrivals(0, 0),
            Watches(0, 0),
            limits=ConnectionLimits(max_message_bytes),
            max_request_entries=max_request_entries,
            reflection=reflection,
        )

    def bind(self) -> None:
        """Binds its address; goes without it if it is taken and only the default.

        Raises:
            CannotListen: the address is taken, or not one of this machine.
        """
        if not self.address:
            return
        certificate = None if is_local(self.address) else self._certificate
        try:
            [self.address], self.port = bind_all(
                self._server, (self.address,), certificate=certificate
            )
        except CannotListen as error:
            do_without("admin_listen", self.address, error)
            self.address = ""

    async def start(self) -> None:
        """Serves, if it has an address."""
        if self.address:
            await self._server.start()
            events.SERVING_ADMIN.log(address=self.address)

    async def stop(self) -> None:
        """Stops at once; safe at any time."""
        self._health.close()
        await self._server.stop(0)
