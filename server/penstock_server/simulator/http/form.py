"""Forms in a request's body: fields and files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock_server.simulator.http.requests import Request

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_NAME = re.compile(rb'; ?name="([^"]*)"')
_FILENAME = re.compile(rb'; ?filename="([^"]*)"')


class FormError(ValueError):
    """The body is not a valid form; the text is Starlette's."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, whose names may repeat, and its files by field name."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Returns the last value of a field; empty if it is absent."""
        return dict(self.fields).get(name, "")


def read_form(request: Request) -> Form:
    """Returns the form of a request, empty if the body has another type; raises FormError."""
    form = Form()
    if request.content_type != "multipart/form-data":
        return form
    boundary = _BOUNDARY.search(request.headers["content-type"])
    if boundary is None:
        raise FormError("Missing boundary in multipart.")
    for head, content in _parts(request.body, boundary[1].encode()):
        name = _NAME.search(head)
        if name is None:
            raise FormError('The Content-Disposition header field "name" must be provided.')
        if _FILENAME.search(head):
            form.files[name[1].decode()] = content
        else:
            form.fields.append((name[1].decode(), content.decode()))
    return form


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    delimiter = b"\r\n--" + boundary
    first, *parts = (b"\r\n" + body).split(delimiter)
    if first or not parts or not parts[-1].startswith(b"--"):
        raise FormError("Invalid multipart data.")
    for part in parts[:-1]:
        head, empty_line, content = part.partition(b"\r\n\r\n")
        if not empty_line:
            raise FormError("Invalid multipart data.")
        yield head, content
