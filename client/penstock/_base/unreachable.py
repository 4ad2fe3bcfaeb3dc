"""Explanations of gRPC's descriptions of failed connections, in the terms of this service."""

import re
from urllib.parse import unquote

_FAILED = re.compile(
    r"(?:connections to all backends failing|failed to connect to all addresses); "
    r"last error: [A-Z_]+: (?:ipv[46]:)?(?P<address>\S+): (?P<cause>.*)",
    re.DOTALL,
)
_UNRESOLVED = re.compile(r"errors resolving (?P<address>.*?): \[")

_CAUSES = (
    ("Connection refused", "nothing listens there; is penstock serve running?"),
    ("No such file or directory", "there is no such socket; is penstock serve running?"),
    (
        "Expected SETTINGS frame",
        "that is an HTTP server, not penstock serve; vLLM itself? "
        "Start penstock serve with its URL as --upstream, and call the address of penstock serve",
    ),
    ("WRONG_VERSION_NUMBER", "the server there does not use TLS"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted; name the certificates to trust with TLS(ca=...), --tls-ca "
        "or PENSTOCK_TLS_CA",
    ),
    ("Connection reset by peer", "the server there closes connections; does it require TLS?"),
    ("Socket closed", "the server there closes connections; does it require TLS?"),
)
"""Parts of gRPC's descriptions, and what they mean."""


def explained(details: str) -> str:
    """Returns why a service cannot be reached; empty if the details are not about a connection."""
    if found := _UNRESOLVED.match(details):
        return f"cannot reach {found['address']}: the name cannot be resolved"
    if not (found := _FAILED.match(details)):
        return ""
    cause = next((text for part, text in _CAUSES if part in found["cause"]), found["cause"])
    return f"cannot reach {unquote(found['address'])}: {cause}"
