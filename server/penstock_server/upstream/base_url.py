"""The server that an upstream's base URL names."""

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def port(scheme: str, given: int | None) -> int:
    """Returns the port of a URL: the given one, or the default of its scheme."""
    return given or _DEFAULT_PORTS[scheme]


def address_of(url: str, ip: str = "") -> str:
    """Returns the address of a base URL as it is shown: host and port, or the path of a socket.

    Args:
        url: the base URL.
        ip: an IP address of the host, to show instead of the host, with the port.
    """
    parts = urlsplit(url)
    if not ip:
        return parts.netloc or parts.path
    host = f"[{ip}]" if ":" in ip else ip
    return f"{host}:{port(parts.scheme, parts.port)}"
