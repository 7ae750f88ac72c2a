"""What tracing costs: the CPU time of a worker for each request, off, on and not sampled, and sampled.

    python -m benchmarks.tracing [rounds]

The same service answers a short JSON, over one kept connection, in random order and several rounds. The collector reads
what is sent and answers, in this process; figures are those of the worker, with the thread of its exporter. They are
medians of all rounds.
"""

from __future__ import annotations

import statistics
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.request_cost import measure_settings


class Collector(BaseHTTPRequestHandler):
    """Accepts all spans."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main(rounds: int) -> None:
    """Run all three `rounds` times, and print the differences."""
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    endpoint = {"ANSWERING_TRACING_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
    settings = {
        "off": dict[str, str],
        "on, not sampled": lambda: {**endpoint, "ANSWERING_TRACING_RATIO": "0"},
        "sampled": lambda: {**endpoint, "ANSWERING_TRACING_RATIO": "1"},
    }
    cost = measure_settings(settings, rounds)
    off = statistics.median(cost["off"])
    for name, figures in cost.items():
        median = statistics.median(figures)
        print(
            f"{name:16} {median * 1e6:6.1f} µs of CPU a request, from {min(figures) * 1e6:.1f}; "
            f"{(median - off) * 1e6:+6.1f} µs, {(median / off - 1) * 100:+.1f} %"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
