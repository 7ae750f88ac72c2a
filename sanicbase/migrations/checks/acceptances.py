"""Findings that the author of a migration has accepted with a comment: `-- accept: CODE (REASON)`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checks.findings import Direction, Finding
from sanicbase.migrations.checks.scripts import Script
from sanicbase.migrations.statements import Dialect, comments_before

__all__ = ["Acceptance", "acceptances_of", "apply_acceptances"]

PATTERN = re.compile(r"\baccept:\s*(?P<code>[\w.-]+)[ \t]*(?:\((?P<reason>.*)\))?")


@dataclass(frozen=True)
class Acceptance:
    """An accepted finding of one statement; one about the whole file precedes the first statement."""

    code: str
    reason: str
    script: Script
    statement: int

    @property
    def direction(self) -> Direction:
        return self.script.direction

    def matches(self, finding: Finding) -> bool:
        """Whether it accepts this finding."""
        location = (finding.file, finding.direction, max(finding.statement, 1), finding.code)
        return location == (self.script.file, self.direction, self.statement, self.code)


def acceptances_of(script: Script, dialect: Dialect) -> list[Acceptance]:
    """The acceptances in a script."""
    return [
        Acceptance(match["code"], (match["reason"] or "").strip(), script, number)
        for number, comments in enumerate(comments_before(script.text, dialect), 1)
        for comment in comments
        for match in PATTERN.finditer(comment)
    ]


def apply_acceptances(
    findings: Sequence[Finding], possible: Sequence[Finding], acceptances: Sequence[Acceptance]
) -> Iterator[Finding]:
    """The findings that are not accepted, and those about acceptances.

    `possible` contains the findings if all tables had rows: an acceptance is not unused just because this database is
    empty.
    """
    justified = [acceptance for acceptance in acceptances if acceptance.reason]
    yield from (finding for finding in findings if not any(acceptance.matches(finding) for acceptance in justified))
    for acceptance in acceptances:
        if not acceptance.reason:
            yield _without_reason(acceptance)
        elif not any(acceptance.matches(finding) for finding in (*findings, *possible)):
            yield _unused(acceptance)


def _without_reason(acceptance: Acceptance) -> Finding:
    code = acceptance.code
    return acceptance.script.finding(
        "accept.no-reason",
        "error",
        acceptance.statement,
        _("{code} is accepted without a reason.", code=code),
        _("Add the reason: -- accept: {code} (reason)", code=code),
    )


def _unused(acceptance: Acceptance) -> Finding:
    code = acceptance.code
    return acceptance.script.finding(
        "accept.unused",
        "warning",
        acceptance.statement,
        _("{code} is accepted here, but there is no such finding.", code=code),
        _("Delete the comment, or move it directly before the statement."),
    )
