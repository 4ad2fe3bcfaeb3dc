"""HTTP/1.1 to an upstream: parsed by httptools, with the URLs, errors and decoders of httpx."""
