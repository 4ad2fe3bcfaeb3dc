"""Requests and responses of httpx whose headers are built only on access.

Building the headers of one request and its response takes a tenth of all instructions that the
service needs for a short call, and its own transport does not need them. To any other transport,
and to a test's handler, there is no difference.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import httpx

RawHeaders = list[tuple[bytes, bytes]]


class _Lazy:
    """Completes a message of httpx when an attribute is read that it does not have yet."""

    fields: Any

    def complete(self) -> None:
        """Has httpx set all attributes that the message does not have yet."""
        given = dict(vars(self))
        self._complete(given["fields"])
        vars(self).update(given, fields=None)

    def _complete(self, fields: Any) -> None:
        """Has httpx set all attributes, with these headers."""
        raise NotImplementedError


class _Missing:
    """An attribute that a message has once it is complete, and which then hides this one.

    `__getattr__` of the message would do the same, but make each access to the others slower.
    """

    def __init__(self, name: str) -> None:
        """Stands for the attribute of this name."""
        self._name = name

    def __get__(self, message: _Lazy | None, kind: type) -> Any:
        """Completes the message and returns the attribute."""
        if message is None or message.fields is None:
            raise AttributeError(self._name)
        message.complete()
        return getattr(message, self._name)


def _add_missing(lazy: _Lazy, complete: object) -> None:
    """Adds the attributes that a message of httpx has in addition to the class of a lazy one."""
    for name in vars(complete).keys() - vars(lazy).keys():
        setattr(type(lazy), name, _Missing(name))


class Pieces(httpx.ByteStream):
    """The body of a request in pieces, which are sent one after the other."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Creates the body from its pieces."""
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


class LazyRequest(_Lazy, httpx.Request):
    """A request whose headers are built when they are read.

    Attributes:
        fields: the headers as they were given; None once they have been built.
    """

    fields: Mapping[str, str] | None

    def __init__(
        self,
        method: str,
        url: httpx.URL,
        fields: Mapping[str, str],
        stream: httpx.AsyncByteStream,
        extensions: dict[str, Any],
    ) -> None:
        """Creates the request.

        Args:
            method: the method.
            url: the URL.
            fields: all headers, including Host and the one that frames the body.
            stream: the body.
            extensions: the extensions.
        """
        self.method = method
        self.url = url
        self.fields = fields
        self.stream = stream
        self.extensions = extensions

    def _complete(self, fields: Mapping[str, str]) -> None:
        super().__init__(self.method, self.url, headers=fields, stream=self.stream)


class LazyResponse(_Lazy, httpx.Response):
    """A response whose headers are built when they are read.

    Attributes:
        fields: the headers as they arrived, their names in lower case; None once they have been
            built.
    """

    fields: RawHeaders | None

    def __init__(
        self,
        status: int,
        fields: RawHeaders,
        stream: httpx.AsyncByteStream,
        extensions: dict[str, Any] | None = None,
    ) -> None:
        """Creates the response.

        Args:
            status: the status.
            fields: the headers, their names in lower case.
            stream: the body.
            extensions: the extensions; None for none.
        """
        self.status_code = status
        self.fields = fields
        self.stream = stream
        self.extensions = extensions or {}

    def _complete(self, fields: RawHeaders) -> None:
        super().__init__(self.status_code, headers=fields, stream=self.stream)


_URL, _EMPTY = httpx.URL("http://localhost"), Pieces(())
_add_missing(LazyRequest("GET", _URL, {}, _EMPTY, {}), httpx.Request("GET", _URL, stream=_EMPTY))
_add_missing(LazyResponse(200, [], _EMPTY), httpx.Response(200, stream=_EMPTY))


def raw_headers(response: httpx.Response) -> RawHeaders:
    """Returns the headers of a response, their names in lower case."""
    if isinstance(response, LazyResponse) and (fields := response.fields) is not None:
        return fields
    return [(name.lower(), value) for name, value in response.headers.raw]
