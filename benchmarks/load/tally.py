"""Counting: answers, errors and how long each answer took."""

from __future__ import annotations

import time

from benchmarks.load.cpu import tree_cpu_seconds
from benchmarks.load.job import Report


class Tally:
    """What all connections count in. `begin` forgets the warm-up; `report` ends the measurement."""

    def __init__(self, server: int) -> None:
        self._server = server
        self.first_error = ""
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self.latencies: list[float] = []
        self.errors = 0
        self._server_cpu = tree_cpu_seconds(self._server)
        self._load_cpu = time.process_time()
        self._begun = time.perf_counter()

    def error(self, kind: str) -> None:
        """Count an answer that is wrong or did not come."""
        self.errors += 1
        self.first_error = self.first_error or kind

    def report(self) -> Report:
        """What was counted since `begin`."""
        seconds = time.perf_counter() - self._begun
        load_cpu = time.process_time() - self._load_cpu
        server_cpu = tree_cpu_seconds(self._server) - self._server_cpu
        latencies = sorted(self.latencies)
        return Report(
            answers=len(latencies),
            errors=self.errors,
            seconds=seconds,
            server_cpu=server_cpu,
            load_cpu=load_cpu,
            p50=_percentile(latencies, 0.50),
            p99=_percentile(latencies, 0.99),
        )


def _percentile(ordered: list[float], share: float) -> float:
    """By the nearest rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")
