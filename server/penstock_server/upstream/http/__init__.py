"""A transport of httpx for HTTP/1.1, on asyncio and httptools. Knows nothing of models or calls."""

from penstock_server.upstream.http.address import require_host, resolve

__all__ = ["require_host", "resolve"]
