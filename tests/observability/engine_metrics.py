"""What a vLLM with one model exports, as far as the dashboards show it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_LABELS = 'engine="0",model_name="tiny-chat"'
_EDGES = ("0.001", "0.005", "+Inf")


@contextmanager
def exporting() -> Iterator[int]:
    """Exports metrics that grow with each scrape; yields the port."""
    scrapes = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = _text(next(scrapes)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _text(count: int) -> str:
    name = "vllm:time_to_first_token_seconds"
    lines = [
        "# TYPE vllm:num_requests_running gauge",
        f"vllm:num_requests_running{{{_LABELS}}} 2.0",
        "# TYPE vllm:num_requests_waiting gauge",
        f"vllm:num_requests_waiting{{{_LABELS}}} 1.0",
        "# TYPE vllm:kv_cache_usage_perc gauge",
        f"vllm:kv_cache_usage_perc{{{_LABELS}}} 0.25",
        f"# TYPE {name} histogram",
        *(f'{name}_bucket{{{_LABELS},le="{edge}"}} {count}.0' for edge in _EDGES),
        f"{name}_sum{{{_LABELS}}} {count * 0.0005}",
        f"{name}_count{{{_LABELS}}} {count}.0",
    ]
    return "\n".join(lines) + "\n"
