"""An upstream in the configuration: a URL, or a table with more options."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from penstock_server.options import (
    Unusable,
    UnusableFile,
    http_path,
    interval,
    key,
    member_of,
    natural,
    option,
    positive,
    read_table,
    seconds,
    socket_path,
    switch,
    text,
    unless_off,
)
from penstock_server.upstream import (
    LONGEST_WINDOW_S,
    OWN_HEADERS,
    NativeResponses,
    address_of,
    is_token,
)

_LONGEST_NAME = 512
_NO_URL = "must be an http, https or unix URL, such as http://localhost:8000"

NATIVE_RESPONSES = member_of(NativeResponses)


@dataclass(frozen=True, slots=True)
class File:
    """A file that the configuration names.

    Attributes:
        path: its path.
        content: its content when it was read.
    """

    path: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.path


def file(value: Any) -> File:
    """Reads the path of a file, and the file."""
    path = text(value)
    try:
        return File(path, Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise UnusableFile(f"cannot be read: {getattr(error, 'strerror', error)}") from error


def key_file(value: Any) -> File:
    """Reads the path of a file that contains only a key."""
    found = file(value)
    try:
        secret = key(found.content.decode().strip())
    except ValueError as error:
        raise UnusableFile("must contain a key: printable ASCII on one line") from error
    if not secret:
        raise UnusableFile("contains no key")
    return File(found.path, secret.encode())


def url(value: Any) -> str:
    """Reads the base URL of an upstream; a trailing `/v1` is dropped."""
    # This imports httpx, which commands without upstreams do not need.
    from penstock_server.upstream.http import require_host

    given = text(value).rstrip("/")
    # First, since the errors below quote the value, which may contain a secret here.
    if "@" in given and not given.startswith("unix:"):
        raise Unusable("must not contain credentials; set an API key instead")
    if "?" in given or "#" in given:
        raise Unusable("must not have a query or a fragment")
    parts = urlsplit(given)
    if not (given.isascii() and given.isprintable()) or " " in given:
        raise ValueError("must be written in printable ASCII, without spaces")
    if parts.scheme == "unix" and not parts.netloc:
        return f"unix://{socket_path(parts.path)}"
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(_NO_URL)
    try:
        require_host(given)
    except ValueError as error:
        raise ValueError(_NO_URL) from error
    return given.removesuffix("/v1")


def name(value: Any) -> str:
    """Reads the name of an upstream."""
    given = text(value)
    if not (given.isascii() and given.isprintable()) or " " in given or not given:
        raise ValueError("must be printable ASCII, without spaces")
    if len(given) > _LONGEST_NAME:
        raise ValueError(f"must not be longer than {_LONGEST_NAME} characters")
    return given


def models(value: Any) -> Mapping[str, str]:
    """Reads a list of models, or a table of public names and the upstream's own."""
    pairs = value if isinstance(value, Mapping) else {given: given for given in _texts(value)}
    if not pairs:
        raise Unusable("must name a model; omit it to use all models of the upstream")
    for public, served in pairs.items():
        if not isinstance(served, str) or not served or not public:
            raise Unusable("must be the name of a model", (public,))
    return dict(pairs)


def _texts(value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unusable("must be a list of models, or a table of them")
    return value


def headers(value: Any) -> Mapping[str, str]:
    """Reads a table of HTTP headers; returns their names in lower case."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a table")
    read: dict[str, str] = {}
    for given, content in value.items():
        lower = given.lower()
        if not is_token(given):
            raise Unusable("is not a valid header name", (given,))
        if lower in OWN_HEADERS:
            raise Unusable("is set by the service itself", (given,))
        if lower in read:
            raise Unusable("is given twice", (given,))
        try:
            read[lower] = key(content)
        except ValueError as error:
            raise Unusable(str(error), (given,)) from error
    return read


def weight(value: Any) -> float:
    """Reads a weight."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-6 <= value <= 1e6:
        raise ValueError("must be a number from a millionth to a million")
    return float(value)


def window(value: Any) -> int:
    """Reads the time in milliseconds within which deltas are merged, or items are joined."""
    if (given := natural(value)) > 1000 * LONGEST_WINDOW_S:
        raise ValueError(f"must not be above {1000 * LONGEST_WINDOW_S}")
    return given


@dataclass(frozen=True, slots=True)
class UpstreamTable:
    """An `[[upstream]]` table; for a key that it omits, the option of that name applies."""

    url: str = option(
        ..., "Base URL, without /v1: http, https, or unix:///PATH for a socket.", url, "URL"
    )
    name: str | None = option(
        None,
        "Name in logs and metadata; the default is the host and port, or the path of the socket.",
        name,
        "NAME",
    )
    api_key: str | None = option(
        None, "Bearer key, instead of upstream_api_key.", key, "KEY", secret=True
    )
    api_key_file: File | None = option(None, "File that contains the bearer key.", key_file, "FILE")
    models: Mapping[str, str] | None = option(
        None,
        "Only models to use: a list, or a table of public names and the upstream's own.",
        models,
        "MODELS",
    )
    weight: float = option(
        1.0, "Share of the calls, relative to other upstreams of the same model.", weight, "NUMBER"
    )
    native_responses: NativeResponses | None = option(
        None, "As the option.", NATIVE_RESPONSES, "never|always|auto"
    )
    wake_sleeping: bool | None = option(None, "As the option.", switch, "true|false")
    health_path: str | None = option(None, "As the option.", unless_off(http_path), "/PATH|off")
    max_attempts: int | None = option(
        None,
        "Most requests of one call to this upstream, instead of the option.",
        positive,
        "NUMBER",
    )
    connect_timeout: float | None = option(None, "As the option.", interval, "SECONDS")
    first_byte_timeout: float | None = option(None, "As the option.", interval, "SECONDS")
    idle_timeout: float | None = option(None, "As the option.", interval, "SECONDS")
    total_timeout: float | None = option(None, "As the option.", seconds, "SECONDS")
    merge_deltas_within: int | None = option(None, "As the option.", window, "MS")
    headers: Mapping[str, str] | None = option(
        None, "Table of headers to send with every request.", headers, "HEADERS", secret=True
    )
    ca_file: File | None = option(
        None, "Certificates to trust instead of the system's, in PEM.", file, "FILE"
    )
    client_certificate_file: File | None = option(
        None, "Client certificate for the upstream, in PEM.", file, "FILE"
    )
    client_key_file: File | None = option(
        None, "Its private key, if it is not in the same file.", file, "FILE"
    )
    max_connections: int | None = option(None, "As the option.", positive, "NUMBER")

    @property
    def files(self) -> tuple[File, ...]:
        """The files that the table names."""
        named = (
            self.api_key_file,
            self.ca_file,
            self.client_certificate_file,
            self.client_key_file,
        )
        return tuple(given for given in named if given)


Entry: TypeAlias = str | UpstreamTable


def upstreams(value: Any) -> tuple[Entry, ...]:
    """Reads a list of URLs and tables.

    Raises:
        Unusable: one of them cannot be used, or has the name of another.
    """
    if not isinstance(value, list) or not value:
        raise Unusable("must be a URL, a list of them, or [[upstream]] tables")
    entries: list[Entry] = []
    names: set[str] = set()
    for position, item in enumerate(value):
        try:
            entries.append(_entry(item))
            _require_new(called(entries[-1]), names)
        except Unusable as error:
            raise error.below(position) from error
    return tuple(entries)


def called(entry: Entry) -> str:
    """Returns the name of an upstream."""
    if isinstance(entry, UpstreamTable) and entry.name:
        return entry.name
    return address_of(entry if isinstance(entry, str) else entry.url)


def _require_new(given: str, names: set[str]) -> None:
    if given in names:
        raise Unusable(f"another upstream is named {given}; each upstream needs its own name")
    names.add(given)


def _entry(value: Any) -> Entry:
    if isinstance(value, Mapping):
        table = read_table(UpstreamTable, value)
        _check(table)
        return table
    try:
        return url(value)
    except Unusable:
        raise
    except ValueError as error:
        raise Unusable(f"{value!r} {error}") from error


def _check(table: UpstreamTable) -> None:
    if table.api_key is not None and table.api_key_file:
        raise Unusable("cannot be given together with api_key", ("api_key_file",))
    for given in ("ca_file", "client_certificate_file", "client_key_file"):
        if getattr(table, given) and not table.url.startswith("https:"):
            raise Unusable("requires an https URL", (given,))
    if table.client_key_file and not table.client_certificate_file:
        raise Unusable("needs client_certificate_file", ("client_key_file",))
    _check_tls(table)


def _check_tls(table: UpstreamTable) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if table.ca_file:
            context.load_verify_locations(table.ca_file.path)
    except OSError as error:
        raise Unusable(f"contains no certificates: {_reason(error)}", ("ca_file",)) from error
    try:
        if table.client_certificate_file:
            key_path = table.client_key_file.path if table.client_key_file else None
            context.load_cert_chain(table.client_certificate_file.path, key_path, password="")
    except (OSError, ValueError) as error:
        where = ("client_certificate_file",)
        raise Unusable(f"and its key cannot be used: {_reason(error)}", where) from error


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)
