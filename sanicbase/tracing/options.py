"""What a process needs to know to trace."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TracingOptions"]


@dataclass(frozen=True)
class TracingOptions:
    """Where the spans of a process are sent, and which traces are recorded."""

    endpoint: str
    """The URL to which spans are posted, by OTLP with protobuf."""
    ratio: float
    """The share of the traces that begin here which are recorded, from 0 to 1."""
    service: str
    environment: str
