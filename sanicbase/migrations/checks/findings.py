"""A finding: the problem, its location, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sanicbase.i18n import gettext as _

__all__ = ["Direction", "Finding", "Severity", "format_finding"]

Severity = Literal["error", "warning"]
Direction = Literal["upgrade", "downgrade"]


@dataclass(frozen=True)
class Finding:
    """One risk. An `error` loses rows, fails, or blocks others; a `warning` may do so."""

    code: str
    severity: Severity
    file: str
    """The migration, relative to the project's folder; empty if the finding is about no file."""
    direction: Direction
    statement: int
    """The number of the statement in the SQL of that function, from 1; 0 for the whole file."""
    sentence: str
    remedy: str

    @property
    def location(self) -> str:
        """The location, for people."""
        parts = [self.file] if self.file else []
        if self.direction == "downgrade":
            parts.append(self.direction)
        if self.statement:
            parts.append(_("statement {statement}", statement=self.statement))
        return _(", ").join(parts)


def format_finding(finding: Finding) -> str:
    """The finding as a few lines of text."""
    location = f" ({finding.location})" if finding.location else ""
    return f"{finding.severity} {finding.code}{location}: {finding.sentence}\n    -> {finding.remedy}"
