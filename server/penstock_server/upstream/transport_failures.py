"""Maps the exceptions of a transport to failures."""

from time import monotonic

import httpx

from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.limits import FIRST_BYTE, Limit

# In order: the first matching class decides. Without a stage, that of the exchange applies.
_KINDS: tuple[tuple[type[Exception], Kind, Stage | None, str], ...] = (
    (httpx.PoolTimeout, Kind.OVERLOADED, Stage.CONNECT, "all upstream connections are in use"),
    (httpx.ConnectError, Kind.CONNECT, Stage.CONNECT, "could not connect to the upstream"),
    (httpx.ConnectTimeout, Kind.CONNECT, Stage.CONNECT, "could not connect in time"),
    (httpx.WriteError, Kind.CONNECT, Stage.REQUEST, "the connection broke while sending"),
    (httpx.WriteTimeout, Kind.TIMEOUT, None, "the upstream stopped reading"),
    (httpx.ReadTimeout, Kind.TIMEOUT, None, "no answer in time"),
    (httpx.ReadError, Kind.CLOSED, None, "the connection to the upstream broke"),
    (httpx.RemoteProtocolError, Kind.CLOSED, None, "the upstream closed the connection early"),
    (httpx.DecodingError, Kind.MALFORMED, None, "malformed upstream answer"),
    (httpx.LocalProtocolError, Kind.MISCONFIGURED, Stage.REQUEST, "the request cannot be sent"),
    (httpx.InvalidURL, Kind.MISCONFIGURED, Stage.CONNECT, "the upstream URL is unusable"),
    (httpx.HTTPError, Kind.CLOSED, None, "the exchange with the upstream broke off"),
)
_EXPLAINED = (httpx.ConnectError, httpx.DecodingError)
_CONNECTING = (httpx.ConnectTimeout, httpx.PoolTimeout)
ERRORS = (httpx.HTTPError, httpx.InvalidURL)


def failure_of(error: Exception, stage: Stage, limit: Limit) -> UpstreamFailure:
    """Returns the failure for an exception.

    Args:
        error: the exception.
        stage: how far the exchange had come.
        limit: the limit of the wait that was interrupted, if it was a timeout.
    """
    kind, known_stage, message = next(row[1:] for row in _KINDS if isinstance(error, row[0]))
    if isinstance(error, _EXPLAINED):
        message = f"{message}: {error}"
    option = ""
    if isinstance(error, httpx.WriteTimeout):
        option = FIRST_BYTE
    elif isinstance(error, _CONNECTING) and monotonic() < limit.until:
        option = "connect_timeout"
    elif isinstance(error, httpx.TimeoutException):
        kind, message, option = Kind.TIMEOUT, limit.missed, limit.option
    return UpstreamFailure(kind, message, known_stage or stage, limit=option)
