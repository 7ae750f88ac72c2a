"""Metrics of a service: counted in every process, merged in the main process, and served to Prometheus.

A service declares its own metrics with the same three classes, at the top of a module.
"""

from sanicbase.metrics.instruments import Counter, Gauge, Histogram

__all__ = ["Counter", "Gauge", "Histogram"]
