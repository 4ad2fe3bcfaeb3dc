"""The tokens of a text, among all tokens that arrived with it."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from penstock.v1.common_pb2 import TokenLogprob


def tokens_of(text: str, before: str, entries: Sequence[TokenLogprob]) -> tuple[int, int]:
    """Returns the range of the entries of a text; all entries if they cannot be found.

    Args:
        text: the text.
        before: text before it whose tokens are among the entries.
        entries: log probabilities of all tokens, in order.
    """
    spoken = [entry.bytes or entry.token.encode() for entry in entries]
    earlier, wanted = before.encode(), text.encode()
    start = (_in_order(earlier, spoken, 0) or (0, 0))[1] if earlier else 0
    found = _in_order(wanted, spoken, start) or _overlapping(wanted, earlier, spoken)
    return found or (0, len(entries))


def _in_order(text: bytes, spoken: Sequence[bytes], start: int) -> tuple[int, int] | None:
    """Finds whole tokens that form the text, possibly with invisible ones between them."""
    first, position = -1, 0
    for place in range(start, len(spoken)):
        if spoken[place] and text.startswith(spoken[place], position):
            first = place if first < 0 else first
            position += len(spoken[place])
            if position == len(text):
                return first, place + 1
    return None


def _overlapping(text: bytes, before: bytes, spoken: Sequence[bytes]) -> tuple[int, int] | None:
    """Finds tokens that contain the text, which may begin and end inside a token."""
    whole = b"".join(spoken)
    start = whole.find(text, max(0, whole.find(before)) + len(before))
    if start < 0:
        return None
    ends = list(accumulate(map(len, spoken)))
    return bisect_right(ends, start), bisect_left(ends, start + len(text)) + 1
