"""A finding: what is wrong, how bad that is, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from sanicbase.i18n import gettext as _

__all__ = ["Finding", "Severity", "clock_findings", "findings_of_error", "measure_drift"]

Severity = Literal["error", "warning"]
T = TypeVar("T")

DRIFT = 1.0  # seconds that two clocks may differ


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. An `error` keeps the service from working, a `warning` will do so some day."""

    code: str
    severity: Severity
    sentence: str
    remedy: str


def findings_of_error(code: str, error: BaseException, severity: Severity = "error") -> Iterator[Finding]:
    """Errors of sanicbase as findings: the last sentence of each line is its remedy."""
    for line in str(error).splitlines():
        cause, separator, remedy = line.rpartition(". ")
        yield Finding(code, severity, f"{cause}." if separator else line, remedy if separator else line)


async def measure_drift(ask: Awaitable[T], clock_of: Callable[[T], float], now: Callable[[], float]) -> tuple[T, float]:
    """An answer, and the seconds that the clock in it is ahead of ours, as far as the way there and back does not
    explain them."""
    before = now()
    answer = await ask
    after = now()
    there = clock_of(answer)
    return answer, there - min(max(there, before), after)


def clock_findings(name: str, drift: float) -> Iterator[Finding]:
    """A finding when a server's clock differs from ours."""
    if abs(drift) > DRIFT:
        yield Finding(
            "clock.difference",
            "warning",
            _("The clock of {name} differs by {drift:+.1f} s.", name=name, drift=drift),
            _("Synchronize both clocks with NTP."),
        )
