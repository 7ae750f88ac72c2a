"""A finding: what is wrong, how bad that is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Severity"]

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. An `error` keeps the service from working, a `warning` will do so some day."""

    code: str
    severity: Severity
    sentence: str
    remedy: str
