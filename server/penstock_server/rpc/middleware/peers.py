"""The identities of callers in certificates: their own, or those that trusted proxies report."""

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote

from penstock_server.configuration import UNIX_PEERS
from penstock_server.rpc import status
from penstock_server.rpc.calls import GrpcContext, Rpc
from penstock_server.rpc.middleware import forwarded_certificates
from penstock_server.rpc.middleware.forwarded_certificates import Identities


@lru_cache(maxsize=1024)
def address(peer: str) -> IPv4Address | IPv6Address | None:
    """Returns the address of a peer as gRPC names it; None for that of a Unix socket."""
    kind, _, place = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return ip_address(place.rpartition(":")[0].strip("[]").partition("%")[0])


class Peers:
    """Identifies callers by certificates.

    A certificate that a proxy reports counts only if the proxy is trusted. The certificate of a
    trusted proxy itself never identifies a caller.
    """

    def __init__(self, trusted: Collection[str]) -> None:
        """Trusts proxies.

        Args:
            trusted: their SPIFFE ids, DNS names or networks, or `unix`; see `trusted_proxies`.
        """
        networks = {one for one in trusted if "/" in one and "://" not in one}
        self._networks = [ip_network(one) for one in networks]
        self._unix = UNIX_PEERS in trusted
        # Names in certificates can also look like the other forms.
        self._names = frozenset(trusted) - networks - {UNIX_PEERS}

    def identities(self, rpc: Rpc) -> Identities:
        """Returns the identities of a call's caller; empty if it has none.

        Raises:
            status.Refusal: INVALID_CREDENTIALS: a trusted proxy reports something malformed.
        """
        own = _own(rpc.context)
        if not self._is_trusted(own, rpc.context):
            return own
        for reported in reversed(_reported(rpc.context)):
            if not self._names.intersection(reported):
                return reported
        return ()

    def is_proxy(self, context: GrpcContext) -> bool:
        """Returns whether the peer of a call is a trusted proxy."""
        return self._is_trusted(_own(context), context)

    def _is_trusted(self, own: Identities, context: GrpcContext) -> bool:
        if self._names.intersection(own):
            return True
        if not (self._networks or self._unix):
            return False
        found = address(context.peer())
        return any(found in network for network in self._networks) if found else self._unix


def _own(context: GrpcContext) -> Identities:
    """Returns the identities in the certificate of a connection."""
    known = context.auth_context()
    # gRPC reports a SPIFFE id only if it is the only URI, as the standard requires.
    spiffe_ids = [one.decode("ascii", "replace") for one in known.get("peer_spiffe_id", ())]
    dns_names = [one.decode("ascii", "replace") for one in known.get("peer_dns", ())]
    return forwarded_certificates.identities(spiffe_ids, dns_names)


def _reported(context: GrpcContext) -> tuple[Identities, ...]:
    metadata = context.invocation_metadata() or ()
    given = [value for key, value in metadata if key == forwarded_certificates.KEY]
    if not given:
        return ()
    try:
        return forwarded_certificates.read(",".join(map(str, given)))
    except ValueError as error:
        message = f"the metadata {forwarded_certificates.KEY} is {error}"
        raise status.Refusal(status.of_credentials(message)) from error
