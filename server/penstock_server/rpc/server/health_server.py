"""The server for probes: health alone, in plaintext, on an address of its own."""

from penstock_server.rpc.server.build import options
from penstock_server.rpc.server.connections import ConnectionLimits
from penstock_server.rpc.server.health import HealthServicer
from penstock_server.rpc.server.health_list import add_health
from penstock_server.rpc.server.lasting import server as lasting_server
from penstock_server.rpc.server.listening import CannotListen, bind_all
from penstock_server.rpc.server.registration import unregistered
from penstock_server.rpc.server.watches import Watches
from penstock_server.telemetry import events


class HealthServer:
    """Serves the service's health, or nothing if it has no address.

    Attributes:
        address: the address, with the bound port once there is one; empty for none.
    """

    def __init__(
        self,
        address: str,
        health: HealthServicer,
        watches: Watches,
        limits: ConnectionLimits,
        *,
        share_ports: bool,
    ) -> None:
        """Builds the server.

        Args:
            address: the address to bind; empty for none.
            health: answers the calls.
            watches: limits the calls.
            limits: the limits of connections.
            share_ports: whether other processes may listen on the same port.
        """
        self.address = address
        self._share_ports = share_ports
        self._server = lasting_server(
            interceptors=(watches,), options=options(limits, share_ports=share_ports)
        )
        add_health(unregistered(self._server), health)

    def bind(self) -> None:
        """Binds its address.

        Raises:
            CannotListen: the address is taken, or not one of this machine.
        """
        if not self.address:
            return
        try:
            [self.address], _ = bind_all(
                self._server, (self.address,), share_ports=self._share_ports
            )
        except CannotListen as error:
            raise CannotListen(self.address, error, "health_listen") from error

    async def start(self) -> None:
        """Serves, if it has an address."""
        if self.address:
            await self._server.start()
            events.SERVING_HEALTH.log(address=self.address)

    async def stop(self) -> None:
        """Stops at once; safe at any time."""
        await self._server.stop(0)
