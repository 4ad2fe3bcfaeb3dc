"""Forms with a file, encoded piece by piece: the file is forwarded as it arrives."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import uuid4

from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure

# As browsers escape the characters that would end a quoted name.
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


@dataclass(slots=True)
class File:
    """The file of a form.

    Attributes:
        blocks: the content; blocks can be read only once, and their owner closes them.
        filename: the name it is sent under.
        media_type: its content type.
        announced: size of the content that the caller announces; 0 if it announces none.
        touched: whether a block after the first, which is kept, has been read.
    """

    blocks: bytes | AsyncGenerator[bytes, None]
    filename: str
    media_type: str
    announced: int = 0
    touched: bool = False
    _first: bytes | None = field(default=None, init=False, repr=False)

    async def begin(self) -> None:
        """Waits until the content has begun, so that no upstream has to wait for it.

        Raises:
            Exception: whatever the content raises.
        """
        if self._first is None and not isinstance(self.blocks, bytes):
            self._first = await anext(self.blocks, b"")

    async def content(self) -> AsyncGenerator[bytes, None]:
        """Yields the content in blocks."""
        if isinstance(self.blocks, bytes):
            yield self.blocks
            return
        await self.begin()
        yield self._first or b""
        self.touched = True
        async for block in self.blocks:
            yield block


@dataclass(frozen=True, slots=True)
class Form:
    """A form whose last part is a file; it can be sent once only if the file comes in blocks.

    Attributes:
        fields: names and values, in the order in which they are sent; names may repeat.
        file: sent as the field `file`.
    """

    fields: Sequence[tuple[str, str]]
    file: File
    _boundary: str = field(default_factory=lambda: uuid4().hex)

    @property
    def only_once(self) -> bool:
        """Whether it can be sent only once, because its file arrives in blocks."""
        return not isinstance(self.file.blocks, bytes)

    @property
    def resendable(self) -> bool:
        """Whether it can be sent: as long as everything read from the file has been kept."""
        return not (self.only_once and self.file.touched)

    @property
    def content_type(self) -> str:
        """The content type of the encoded form."""
        return f"multipart/form-data; boundary={self._boundary}"

    async def encoded(self, file_limit: int) -> AsyncGenerator[bytes, None]:
        """Yields the form, the first time together with the beginning of the file.

        Args:
            file_limit: the largest file, in bytes.

        Raises:
            UpstreamFailure: TOO_LARGE, as soon as the file is over the limit, or announced to be.
        """
        if self.file.announced > file_limit:
            raise _too_large(file_limit)
        ahead = self._head()
        size = 0
        async with aclosing(self.file.content()) as blocks:
            async for block in blocks:
                size += len(block)
                if size > file_limit:
                    raise _too_large(file_limit)
                yield ahead + block if ahead else block
                ahead = b""
        yield ahead + f"\r\n--{self._boundary}--\r\n".encode()

    def _head(self) -> bytes:
        parts = [f"{self._disposition(name)}\r\n\r\n{value}\r\n" for name, value in self.fields]
        filename = self.file.filename.translate(_ESCAPES)
        file = f'{self._disposition("file")}; filename="{filename}"'
        parts.append(f"{file}\r\nContent-Type: {self.file.media_type}\r\n\r\n")
        return "".join(parts).encode()

    def _disposition(self, name: str) -> str:
        escaped = name.translate(_ESCAPES)
        return f'--{self._boundary}\r\nContent-Disposition: form-data; name="{escaped}"'


Body: TypeAlias = Mapping[str, Any] | Form
"""The body of a request: a JSON object, or a form."""


def _too_large(limit: int) -> UpstreamFailure:
    message = f"the upload is larger than {limit} bytes"
    return UpstreamFailure(Kind.TOO_LARGE, message, Stage.REQUEST, limit_bytes=limit)
