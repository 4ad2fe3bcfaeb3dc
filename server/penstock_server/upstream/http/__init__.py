"""HTTP/1.1 by httpx, and the transport under it: all that imports either."""
