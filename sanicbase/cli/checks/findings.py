"""A finding: the problem, its severity and its remedy."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from sanicbase.i18n import gettext as _

__all__ = ["Finding", "Severity", "clock_findings", "findings_of_error", "measure_drift"]

Severity = Literal["error", "warning"]
T = TypeVar("T")

SENTENCE_END = re.compile(r"(?<=\.) |(?<=。)(?=.)")
DRIFT = 1.0  # seconds that two clocks may differ


@dataclass(frozen=True)
class Finding:
    """A problem. An `error` prevents the service from working; a `warning` may do so later."""

    code: str
    severity: Severity
    sentence: str
    remedy: str


def findings_of_error(code: str, error: BaseException, severity: Severity = "error") -> Iterator[Finding]:
    """Findings from errors of sanicbase: the last sentence of each line is its remedy."""
    for line in str(error).splitlines():
        *causes, remedy = SENTENCE_END.split(line)
        yield Finding(code, severity, line.removesuffix(remedy).rstrip() if causes else line, remedy)


async def measure_drift(ask: Awaitable[T], clock_of: Callable[[T], float], now: Callable[[], float]) -> tuple[T, float]:
    """An answer, and the seconds by which its clock is ahead of ours, beyond what the round trip explains."""
    before = now()
    answer = await ask
    after = now()
    server_time = clock_of(answer)
    return answer, server_time - min(max(server_time, before), after)


def clock_findings(name: str, drift: float) -> Iterator[Finding]:
    """A finding when a server's clock differs from ours."""
    if abs(drift) > DRIFT:
        yield Finding(
            "clock.difference",
            "warning",
            _("The clock of {name} differs by {drift:+.1f} s.", name=name, drift=drift),
            _("Synchronize both clocks with NTP."),
        )
