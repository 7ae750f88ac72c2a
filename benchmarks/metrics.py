"""What metrics cost: the CPU time of a worker for each request, with them and without.

    python -m benchmarks.metrics [rounds]

The same service answers a short JSON, over one kept connection, in random order and several rounds. Figures are those
of the worker, which also answers scrapes in neither case: the main process does. They are medians of all rounds.
"""

from __future__ import annotations

import statistics
import sys

from benchmarks.request_cost import measure_settings
from sanicbase.testing import free_port


def main(rounds: int) -> None:
    """Run both `rounds` times, and print the difference."""
    cost = measure_settings(
        {"without": dict, "with": lambda: {"ANSWERING_HTTP_METRICS_PORT": str(free_port())}}, rounds
    )
    without, with_metrics = statistics.median(cost["without"]), statistics.median(cost["with"])
    print(f"without metrics {without * 1e6:6.1f} µs of CPU a request, from {min(cost['without']) * 1e6:.1f}")
    print(f"with metrics    {with_metrics * 1e6:6.1f} µs of CPU a request, from {min(cost['with']) * 1e6:.1f}")
    print(f"metrics cost    {(with_metrics - without) * 1e6:6.1f} µs of CPU a request")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
