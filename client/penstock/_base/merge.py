"""Adding up the messages of a stream."""

from collections.abc import Collection, Iterable

from google.protobuf.message import Message


def merge(target: Message, source: Message, apart: Collection[str] = ()) -> None:
    """Takes over the fields that are set in `source` into the like-named ones of `target`.

    Lists are appended, `extra` is merged, everything else is replaced. What `source` does not
    set stays as it is.

    Args:
        target: what is added to.
        source: what is added.
        apart: fields that are left out.
    """
    for field, value in source.ListFields():
        if field.name in apart:
            continue
        if field.is_repeated or field.name == "extra":
            getattr(target, field.name).MergeFrom(value)
        elif field.message_type is not None:
            getattr(target, field.name).CopyFrom(value)
        else:
            setattr(target, field.name, value)


class Pieces:
    """A text that grows; its pieces are joined when it is read."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        """Appends a piece."""
        if piece:
            self._pieces.append(piece)

    def __str__(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return "".join(self._pieces)


def unfinished(finished: Iterable[int], choices: int, usage: bool) -> str:
    """Says what an answer lacks that should have so many finished choices and its usage last."""
    done = set(finished)
    if missing := [str(index) for index in range(choices) if index not in done]:
        return f"choice {', '.join(missing)} has no finish_reason"
    return "" if usage else "usage did not come last"
