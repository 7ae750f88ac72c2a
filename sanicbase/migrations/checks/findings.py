"""A finding: what may go wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sanicbase.i18n import gettext as _

__all__ = ["Direction", "Finding", "Severity", "format_finding"]

Severity = Literal["error", "warning"]
Direction = Literal["upgrade", "downgrade"]


@dataclass(frozen=True)
class Finding:
    """One danger. An `error` loses rows, fails, or keeps others waiting; a `warning` may do so."""

    code: str
    severity: Severity
    file: str
    """The migration, from the project's folder; empty for what is in no file."""
    direction: Direction
    statement: int
    """The number of the statement in the SQL of that function, from 1; 0 for the whole file."""
    sentence: str
    remedy: str

    @property
    def location(self) -> str:
        """Where it is, for people."""
        parts = [self.file] if self.file else []
        if self.direction == "downgrade":
            parts.append(self.direction)
        if self.statement:
            parts.append(_("statement {statement}", statement=self.statement))
        return _(", ").join(parts)


def format_finding(finding: Finding) -> str:
    """The finding as a few lines of text."""
    place = f" ({finding.location})" if finding.location else ""
    return f"{finding.severity} {finding.code}{place}: {finding.sentence}\n    -> {finding.remedy}"
