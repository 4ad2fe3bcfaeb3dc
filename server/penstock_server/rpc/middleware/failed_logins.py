"""Limits failed logins: calls with keys that are unknown."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network

from penstock_server.rpc import status
from penstock_server.rpc.middleware import quota
from penstock_server.rpc.middleware.quota import Quota
from penstock_server.telemetry import events

_MOST_ADDRESSES = 4096
_LINES_PER_MINUTE = 6
# What a provider assigns to one customer.
_IPV6_PREFIX = 64


@dataclass(slots=True)
class _Failures:
    """The failed logins from an address.

    Attributes:
        full_at: see `quota`.
        keys: the digests of keys that this address has used successfully since its first failure.
        reported: whether the log contains that the address is limited.
    """

    full_at: float = 0.0
    keys: set[bytes] = field(default_factory=set)
    reported: bool = False


class FailedLogins:
    """Limits the failed logins from each address.

    A key from an address that has reached the limit is refused whether it is known or not, so that
    further guesses reveal nothing. Keys that this address has used successfully since its first
    failure are still accepted, because callers may share the address.
    """

    def __init__(self, per_minute: int) -> None:
        """Sets the number of failed logins per minute; 0 for no limit."""
        self._per_minute = per_minute
        # The address that failed last is the last one.
        self._addresses: dict[str, _Failures] = {}
        self._lines = Quota(_LINES_PER_MINUTE)

    @property
    def any(self) -> bool:
        """Whether there were failed logins recently."""
        return bool(self._addresses)

    def succeed(self, address: IPv4Address | IPv6Address | None, digest: bytes, now: float) -> None:
        """Records a key that is known.

        Raises:
            status.Refusal: RATE_LIMITED.
        """
        place = _place(address)
        failures = self._addresses.get(place)
        if failures and digest not in failures.keys:
            self._require_allowed(place, failures, now)
            failures.keys.add(digest)

    def fail(self, address: IPv4Address | IPv6Address | None, now: float) -> None:
        """Records a key that is unknown.

        Raises:
            status.Refusal: RATE_LIMITED.
        """
        if not self._per_minute or address is None:
            return
        self._forget(now)
        place = _place(address)
        failures = self._addresses.pop(place, None) or _Failures()
        self._addresses[place] = failures
        self._require_allowed(place, failures, now)
        failures.full_at = self._after_another(failures, now)

    def _require_allowed(self, place: str, failures: _Failures, now: float) -> None:
        later = self._after_another(failures, now)
        if wait := quota.overdrawn_s(later, self._per_minute, now):
            self._report(place, failures, now)
            raise status.Refusal(status.of_failed_logins(place, self._per_minute, wait))

    def _after_another(self, failures: _Failures, now: float) -> float:
        return quota.after(failures.full_at, self._per_minute, 1, now)

    def _report(self, place: str, failures: _Failures, now: float) -> None:
        if not failures.reported and not self._lines.take(now):
            events.LOGINS_LIMITED.log(address=place)
        failures.reported = True

    def _forget(self, now: float) -> None:
        """Forgets addresses whose failures no longer count, and the oldest if there are many."""
        while self._addresses:
            place, oldest = next(iter(self._addresses.items()))
            if oldest.full_at > now and len(self._addresses) < _MOST_ADDRESSES:
                return
            del self._addresses[place]


def _place(address: IPv4Address | IPv6Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
