"""Middleware that authenticates callers by keys, or forwards their credentials."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import translate
from hashlib import sha256
from re import compile as compile_pattern
from time import monotonic
from typing import Any

from penstock_server.configuration import Key
from penstock_server.rpc import status
from penstock_server.rpc.calls import CallNext, Rpc, fits_header
from penstock_server.rpc.middleware.quota import Quota
from penstock_server.upstream import any_model

_FORM = "send the metadata authorization: Bearer <key>"


@dataclass(frozen=True, slots=True)
class _Caller:
    name: str
    may_use: Callable[[str], bool]
    quota: Quota | None


class Authentication:
    """Authenticates callers by their keys, and enforces the quota of each key.

    Attributes:
        keys: the keys in force.
    """

    def __init__(self, keys: Iterable[Key], clock: Callable[[], float] = monotonic) -> None:
        """Puts keys into force; the clock is that of the quotas, in seconds."""
        self._clock = clock
        self._callers: dict[bytes, _Caller] = {}
        self.replace(keys)

    def replace(self, keys: Iterable[Key]) -> None:
        """Replaces the keys for calls from now on.

        A key with the name and quota of an old one keeps the rest of that quota.
        """
        self.keys = tuple(keys)
        quotas = {caller.name: caller.quota for caller in self._callers.values()}
        self._callers = {
            key.sha256: _Caller(key.name, _may_use(key), self._quota(key, quotas.get(key.name)))
            for key in self.keys
        }

    async def authenticate(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Authenticates the caller.

        Raises:
            status.Refusal: INVALID_CREDENTIALS or RATE_LIMITED.
        """
        # The lookup is by digest, so its duration reveals nothing about the secrets.
        digest = sha256(_secret(_authorization(rpc)).encode()).digest()
        caller = self._callers.get(digest)
        if caller is None:
            raise status.Refusal(status.of_credentials("the key is unknown"))
        rpc.caller, rpc.may_use = caller.name, caller.may_use
        if caller.quota and (wait_s := caller.quota.take(self._clock())):
            per_minute = caller.quota.per_minute
            raise status.Refusal(status.of_quota(caller.name, per_minute, wait_s))
        return await call_next(rpc)

    def _quota(self, key: Key, before: Quota | None) -> Quota | None:
        if before and before.per_minute == key.requests_per_minute:
            return before
        return Quota(key.requests_per_minute, self._clock()) if key.requests_per_minute else None


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


def _secret(authorization: str) -> str:
    if not authorization:
        raise status.Refusal(status.of_credentials(f"there are no credentials; {_FORM}"))
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise status.Refusal(status.of_credentials(f"the credentials are malformed; {_FORM}"))
    return secret.strip()


def _may_use(key: Key) -> Callable[[str], bool]:
    if not key.models:
        return any_model
    exact = frozenset(key.models)
    matches = compile_pattern("|".join(map(translate, key.models))).match
    return lambda model: model in exact or matches(model) is not None
