"""Who calls: by a key of ours, or with credentials that are the upstream's to check."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import translate
from hashlib import sha256
from re import compile as compile_pattern
from time import monotonic
from typing import Any

from penstock_server.configuration.keys import Key
from penstock_server.rpc import status
from penstock_server.rpc.calls import Context, Proceed, Rpc, fits_header
from penstock_server.rpc.middleware.quota import Quota
from penstock_server.upstream import any_model

_FORM = "send the metadata authorization: Bearer <key>"


@dataclass(frozen=True, slots=True)
class _Caller:
    name: str
    may_use: Callable[[str], bool]
    quota: Quota | None


class Authentication:
    """Lets callers in by their keys, each for its models and within its quota.

    Attributes:
        keys: those there are.
    """

    def __init__(self, keys: Iterable[Key], clock: Callable[[], float] = monotonic) -> None:
        """Takes the keys, and the clock of the quotas, in seconds."""
        self._clock = clock
        self._callers: dict[bytes, _Caller] = {}
        self.replace(keys)

    def replace(self, keys: Iterable[Key]) -> None:
        """Puts other keys in place of those there are; for calls that come from now on.

        What is left of a quota stays as it is for a key of the same name and quota.
        """
        self.keys = tuple(keys)
        quotas = {caller.name: caller.quota for caller in self._callers.values()}
        self._callers = {
            key.sha256: _Caller(key.name, _may_use(key), self._quota(key, quotas.get(key.name)))
            for key in self.keys
        }

    async def checked(self, proceed: Proceed, rpc: Rpc, context: Context) -> Any:
        """Lets an RPC in, or not.

        Raises:
            status.Refusal: INVALID_CREDENTIALS or RATE_LIMITED.
        """
        # Secrets are found by their digests, so the time it takes tells nothing of them.
        digest = sha256(_secret(_authorization(context)).encode()).digest()
        caller = self._callers.get(digest)
        if caller is None:
            raise status.Refusal(status.of_credentials("the key is not known"))
        rpc.caller, rpc.may_use = caller.name, caller.may_use
        if caller.quota and (wait_s := caller.quota.take(self._clock())):
            per_minute = caller.quota.per_minute
            raise status.Refusal(status.of_quota(caller.name, per_minute, wait_s))
        return await proceed(rpc, context)

    def _quota(self, key: Key, before: Quota | None) -> Quota | None:
        if before and before.per_minute == key.requests_per_minute:
            return before
        return Quota(key.requests_per_minute, self._clock()) if key.requests_per_minute else None


async def forwarded(proceed: Proceed, rpc: Rpc, context: Context) -> Any:
    """Hands on the caller's credentials, of whatever scheme; those who have none send none.

    Raises:
        status.Refusal: INVALID_CREDENTIALS, they cannot be sent in an HTTP header.
    """
    given = _authorization(context)
    if not fits_header(given):
        raise status.Refusal(status.of_credentials("authorization must be printable ASCII"))
    rpc.authorization = given
    return await proceed(rpc, context)


def _authorization(context: Context) -> str:
    """Returns what the caller sent, empty for nothing.

    Raises:
        status.Refusal: there are several.
    """
    metadata = context.invocation_metadata() or ()
    given = [value for key, value in metadata if key == "authorization"]
    if len(given) > 1:
        raise status.Refusal(status.of_credentials("there is more than one authorization"))
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
