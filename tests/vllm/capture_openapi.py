"""Captures vLLM's schema of its requests, for the test that no field is lost.

    python tests/vllm/capture_openapi.py             # starts a server of each kind, in turn
    python tests/vllm/capture_openapi.py chat=http://127.0.0.1:8000

Writes openapi/<kind>.json next to this file. Run it when the vLLM in requirements.lock changes;
the difference shows the changes that the protos need.
"""

import sys

from openapi_schema import CAPTURES, dump, fetch
from servers import FLEET, VllmServers


def main() -> int:
    """Captures from the servers given as KIND=URL, or from all kinds; returns the exit status."""
    given = [argument.partition("=") for argument in sys.argv[1:]]
    for kind, _, url in given:
        _capture(kind, url)
    if not given:
        _capture_fleet()
    return 0


def _capture_fleet() -> None:
    for kind in dict.fromkeys(server.kind for server in FLEET.values()):
        # The first server of each kind has the kind's name.
        with VllmServers([kind]) as servers:
            _capture(kind, servers.url(kind))


def _capture(kind: str, url: str) -> None:
    CAPTURES.mkdir(exist_ok=True)
    path = CAPTURES / f"{kind}.json"
    path.write_text(dump(fetch(url)), encoding="utf-8")
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
