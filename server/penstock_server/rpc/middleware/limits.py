"""The limits of a caller: calls per minute, calls at once, tokens per minute."""

from penstock_server.configuration import Caller
from penstock_server.rpc import status
from penstock_server.rpc.calls import Rpc
from penstock_server.rpc.middleware import quota
from penstock_server.rpc.middleware.ledger import CALLS, RUNNING, TOKENS, Entry, Ledger

# Another of the caller's calls has to end first; nothing is known about when.
_PLACE_AFTER_S = 1.0


class Limits:
    """The limits of a caller, and the use that it makes of them."""

    __slots__ = ("_caller", "_entry", "_ledger")

    def __init__(self, caller: Caller, ledger: Ledger, entry: Entry) -> None:
        """Applies the limits of a caller.

        Args:
            caller: the caller.
            ledger: contains the entry.
            entry: the use that the caller makes of its limits.
        """
        self._caller = caller
        self._ledger = ledger
        self._entry = entry

    def begin(self, rpc: Rpc, now: float, places: int = 0) -> None:
        """Counts a call, or an item of one, that begins; `end` must follow.

        Args:
            rpc: the call or the item.
            now: the time.
            places: the number of counted places that it may use.

        Raises:
            status.Refusal: RATE_LIMITED: the call exceeds a limit, and does not count.
        """
        with self._ledger.alone:
            if not rpc.shares_place:
                self._require_place(places)
            self._require_paid(now)
            self._take_call(now)
            self._entry[self._ledger.own] += not rpc.shares_place

    def end(self, rpc: Rpc, now: float) -> None:
        """Counts the end of a call, and the tokens that it used."""
        with self._ledger.alone:
            self._entry[self._ledger.own] -= not rpc.shares_place
            if self._caller.tokens_per_minute and (used := _tokens(rpc)):
                self._entry[TOKENS] = quota.after(
                    self._entry[TOKENS], self._caller.tokens_per_minute, used, now
                )

    def _require_place(self, places: int) -> None:
        most = self._caller.concurrent_calls
        if most and sum(self._entry[RUNNING:]) - places >= most:
            self._refuse("concurrent_calls", f"{most} concurrent calls", 0, _PLACE_AFTER_S)

    def _require_paid(self, now: float) -> None:
        per_minute, full_at = self._caller.tokens_per_minute, self._entry[TOKENS]
        if per_minute and (wait := quota.overdrawn_s(full_at, per_minute, now)):
            left = quota.left(full_at, per_minute, now)
            self._refuse("tokens_per_minute", f"{per_minute} tokens per minute", left, wait)

    def _take_call(self, now: float) -> None:
        per_minute = self._caller.calls_per_minute
        if not per_minute:
            return
        full_at = quota.after(self._entry[CALLS], per_minute, 1, now)
        if wait := quota.overdrawn_s(full_at, per_minute, now):
            self._refuse("calls_per_minute", f"{per_minute} calls per minute", 0, wait)
        self._entry[CALLS] = full_at

    def _refuse(self, limit: str, described: str, left: int, retry_after_s: float) -> None:
        raise status.Refusal(
            status.of_limit(self._caller.name, limit, described, left, retry_after_s)
        )


def _tokens(rpc: Rpc) -> int:
    """Returns the number of tokens that a call used.

    A stream that ends early reports none; most of its messages are one token each. The tokens of
    items are counted when these end.
    """
    if rpc.usage:
        return rpc.usage.input + rpc.usage.output
    return 0 if rpc.items else rpc.messages_sent
