"""Middleware that authenticates callers, or forwards their credentials."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import partial
from hashlib import sha256
from re import compile as compile_pattern
from time import monotonic
from typing import Any, NoReturn

from penstock_server.configuration import Caller
from penstock_server.rpc import status
from penstock_server.rpc.calls import CallNext, GrpcContext, Rpc, fits_header
from penstock_server.rpc.middleware.failed_logins import FailedLogins
from penstock_server.rpc.middleware.ledger import Ledger
from penstock_server.rpc.middleware.limits import Limits
from penstock_server.rpc.middleware.peers import Peers, address
from penstock_server.upstream import any_model

_FORM = "send the metadata authorization: Bearer <key>"


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A caller whose calls are accepted."""

    name: str
    may_use: Callable[[str], bool]
    may_call: Callable[[str], bool] | None
    limits: Limits | None
    admin: bool


class Authentication:
    """Authenticates callers, and enforces their permissions and limits.

    Attributes:
        callers: the callers in force.
    """

    def __init__(
        self,
        callers: Iterable[Caller],
        trusted_proxies: Iterable[str] = (),
        *,
        ledger: Ledger,
        failed_logins: FailedLogins,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Accepts the calls of callers.

        Args:
            callers: the callers.
            trusted_proxies: the proxies that report the certificates of callers; see `Peers`.
            ledger: records the use of their limits.
            failed_logins: limits the calls with unknown keys.
            clock: the clock of the limits, in seconds.
        """
        self._clock = clock
        self._ledger = ledger
        self._failed_logins = failed_logins
        self.replace(callers, trusted_proxies)

    def replace(self, callers: Iterable[Caller], trusted_proxies: Iterable[str] = ()) -> None:
        """Replaces the callers and the trusted proxies for calls from now on.

        The use of limits is kept by name: a caller that had that name before continues with it.
        """
        self.callers = tuple(callers)
        self._peers = Peers(tuple(trusted_proxies))
        limits = self._limits()
        self._known = {
            identity: known
            for caller in self.callers
            for known in [_known(caller, limits.get(caller.name))]
            for identity in caller.identities
        }

    async def authenticate(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Authenticates the caller of a call.

        Raises:
            status.Refusal: INVALID_CREDENTIALS, METHOD_FORBIDDEN or RATE_LIMITED.
        """
        caller = self._identified(rpc)
        rpc.caller, rpc.may_use = caller.name, caller.may_use
        rpc.around_item = partial(self._around_item, rpc)
        return await self._within_limits(caller, 0, call_next, rpc)

    async def _around_item(self, rpc: Rpc, call_next: CallNext, item: Rpc) -> Any:
        """Applies the permissions and limits that the caller of a call has now to an item of it.

        Raises:
            status.Refusal: INVALID_CREDENTIALS: the caller was removed while the call runs.
        """
        caller = self._still_known(rpc)
        item.may_use = caller.may_use
        return await self._within_limits(caller, 1, call_next, item)

    async def _within_limits(
        self, caller: _Known, places: int, call_next: CallNext, rpc: Rpc
    ) -> Any:
        """Applies the permissions and limits of a caller to a call, or to an item of one.

        Args:
            caller: the caller.
            places: the number of places that the call of an item occupies, which an item may use.
            call_next: continues.
            rpc: the call or the item.
        """
        if caller.may_call and not caller.may_call(rpc.method[1:]):
            raise status.Refusal(status.of_forbidden_method(rpc.method[1:]))
        if not caller.limits:
            return await call_next(rpc)
        caller.limits.begin(rpc, self._clock(), places)
        try:
            return await call_next(rpc)
        finally:
            caller.limits.end(rpc, self._clock())

    async def authenticate_admin(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Authenticates the caller of a call to AdminService.

        Only its right `admin` counts, not the methods that it may call, nor its limits.

        Raises:
            status.Refusal: INVALID_CREDENTIALS, RATE_LIMITED (failed logins), METHOD_FORBIDDEN.
        """
        caller = self._identified(rpc)
        rpc.caller = caller.name
        if not caller.admin:
            raise status.Refusal(status.of_forbidden_method(rpc.method[1:]))
        return await call_next(rpc)

    def _identified(self, rpc: Rpc) -> _Known:
        if not (authorization := _authorization(rpc)):
            return self._certified(rpc)
        digest = _digest(authorization)
        caller = self._known.get(digest)
        if caller is None:
            self._refuse(rpc.context)
        if self._failed_logins.any:
            self._failed_logins.succeed(address(rpc.context.peer()), digest, self._clock())
        return caller

    def _still_known(self, rpc: Rpc) -> _Known:
        """Returns the caller of a call that was accepted earlier."""
        if not (authorization := _authorization(rpc)):
            return self._certified(rpc)
        caller = self._known.get(_digest(authorization))
        if caller is None:
            raise _unknown_key()
        return caller

    def _refuse(self, context: GrpcContext) -> NoReturn:
        """Refuses a key that is unknown; its proxy's address would stand for many callers."""
        if not self._peers.is_proxy(context):
            self._failed_logins.fail(address(context.peer()), self._clock())
        raise _unknown_key()

    def _certified(self, rpc: Rpc) -> _Known:
        """Returns the caller that a certificate identifies."""
        identities = self._peers.identities(rpc)
        if not identities:
            raise status.Refusal(status.of_credentials(f"there are no credentials; {_FORM}"))
        callers = {self._known[one] for one in identities if one in self._known}
        if len(callers) != 1:
            known = "identifies several callers" if callers else "is unknown"
            message = f"the certificate of {', '.join(identities)} {known}"
            raise status.Refusal(status.of_credentials(message))
        return callers.pop()

    def _limits(self) -> Mapping[str, Limits]:
        limited = [
            caller
            for caller in self.callers
            if caller.calls_per_minute or caller.concurrent_calls or caller.tokens_per_minute
        ]
        entries = self._ledger.entries([caller.name for caller in limited])
        return {
            caller.name: Limits(caller, self._ledger, entry)
            for caller, entry in zip(limited, entries, strict=True)
        }


async def forward_credentials(call_next: CallNext, rpc: Rpc) -> Any:
    """Forwards the caller's credentials, of any scheme; without any, the upstream gets none.

    Raises:
        status.Refusal: INVALID_CREDENTIALS: an HTTP header cannot carry them.
    """
    given = _authorization(rpc)
    if not fits_header(given):
        raise status.Refusal(status.of_credentials("authorization must be printable ASCII"))
    rpc.authorization = given
    return await call_next(rpc)


def _authorization(rpc: Rpc) -> str:
    """Returns the value of the caller's `authorization`, or an empty text.

    Raises:
        status.Refusal: the key occurs more than once.
    """
    metadata = rpc.context.invocation_metadata() or ()
    given = [value for key, value in metadata if key == "authorization"]
    if len(given) > 1:
        raise status.Refusal(status.of_credentials("the metadata has more than one authorization"))
    return given[0] if given and isinstance(given[0], str) else ""


def _unknown_key() -> status.Refusal:
    return status.Refusal(status.of_credentials("the key is unknown"))


def _digest(authorization: str) -> bytes:
    """Returns the digest of a key: looking it up reveals nothing about the keys by its duration."""
    return sha256(_key(authorization).encode()).digest()


def _key(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise status.Refusal(status.of_credentials(f"the credentials are malformed; {_FORM}"))
    return key.strip()


def _known(caller: Caller, limits: Limits | None) -> _Known:
    return _Known(
        caller.name,
        _matching(caller.models) if caller.models else any_model,
        _matching(caller.methods) if caller.methods else None,
        limits,
        caller.admin,
    )


def _matching(patterns: Sequence[str]) -> Callable[[str], bool]:
    exact = frozenset(patterns)
    matches = compile_pattern("|".join(map(translate, patterns))).match
    return lambda name: name in exact or matches(name) is not None
