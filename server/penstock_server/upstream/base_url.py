"""The server that an upstream's base URL names."""

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def port(scheme: str, given: int | None) -> int:
    """Returns the port of a URL: the given one, or the default of its scheme."""
    return given or _DEFAULT_PORTS[scheme]


def place(url: str, address: str = "") -> str:
    """Returns the server of a base URL for reports: host and port, or the path of a socket.

    Args:
        url: the base URL.
        address: an IP address of the host, to show instead of the host, with the port.
    """
    parts = urlsplit(url)
    if not address:
        return parts.netloc or parts.path
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{port(parts.scheme, parts.port)}"
