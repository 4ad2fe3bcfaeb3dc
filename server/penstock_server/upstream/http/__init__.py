"""HTTP/1.1 to an upstream: parsed by httptools, with the URLs, errors and decoders of httpx."""

from penstock_server.upstream.http.address import require_host, resolve

__all__ = ["require_host", "resolve"]
