"""The items of a native stream: their places, and their contents once they were done."""

from collections.abc import Mapping
from typing import Any

from penstock_server.json_numbers import integer

Json = Mapping[str, Any]

_ADDED = "response.output_item.added"
_DONE = "response.output_item.done"
_NOTHING: tuple[Any, ...] = (None, "", [], {})


class DoneItems:
    """The items of one stream, by their place in the output."""

    def __init__(self) -> None:
        """Creates a stream before its first item."""
        self._places: dict[str, int] = {}
        self._last = -1
        self._done: dict[int, Json] = {}

    def note(self, event: Json) -> int:
        """Records an event of an item; returns the place of the item.

        Raises:
            ValueError: the event has an index that is not an integer.
        """
        item = event.get("item") or {}
        name = str(event.get("item_id") or item.get("id") or "")
        place = self._place(event, name)
        if name:
            self._places[name] = place
        self._last = max(self._last, place)
        if event["type"] == _DONE:
            self._done[place] = item
        return place

    def _place(self, event: Json, name: str) -> int:
        index = event.get("output_index")
        if index is not None:
            return integer(index)
        following = self._last + 1 if event["type"] == _ADDED else max(self._last, 0)
        return self._places.get(name, following)

    def output(self, listed: Any) -> list[Any]:
        """Returns the items of a response, completed by the events that reported them done.

        Args:
            listed: items in the response itself, which may be fewer or less complete.
        """
        items = list(filter(None, listed or ()))
        free = set(range(len(items)))
        names = {done.get("id") for done in self._done.values()} - {None}
        missing: list[tuple[int, Json]] = []
        for place, done in sorted(self._done.items()):
            found = _find(items, free, done, names)
            if found is None:
                missing.append((place, done))
            else:
                free.remove(found)
                items[found] = _filled(items[found], done)
        for place, done in missing:
            items.insert(place, done)
        return items


def _find(items: list[Any], free: set[int], done: Json, names: set[Any]) -> int | None:
    """Finds the item that was done among the free ones; some servers change its id."""
    same = [place for place in sorted(free) if items[place].get("id") == done.get("id")]
    other = [
        place
        for place in sorted(free)
        if items[place].get("type") == done.get("type") and items[place].get("id") not in names
    ]
    return next(iter(same + other), None)


def _filled(value: Any, done: Any) -> Any:
    """Returns a value, with empty parts replaced by what was reported before."""
    if value in _NOTHING:
        return value if done in _NOTHING else done
    if isinstance(value, Mapping) and isinstance(done, Mapping):
        return {**done, **{key: _filled(one, done.get(key)) for key, one in value.items()}}
    if isinstance(value, list) and isinstance(done, list) and len(value) == len(done):
        return [_filled(*both) for both in zip(value, done, strict=True)]
    return value
