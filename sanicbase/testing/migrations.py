"""A one-line test of a service's migrations."""

from __future__ import annotations

from sanicbase.config import Config
from sanicbase.migrations.checks.check import LARGE, CheckOptions, check_label
from sanicbase.migrations.checks.findings import format_finding
from sanicbase.migrations.status import labels_of, migration_databases

__all__ = ["check_migrations"]


async def check_migrations(config: Config, *, filled: bool = False, warnings: bool = False, large: int = LARGE) -> None:
    """Raise AssertionError with the findings of `sanicGuider migrate check` for the databases of these settings.

    It opens the databases, so call it outside `client`. It changes nothing. With `filled`, every table counts as one
    with `large` rows, because the database of a test is empty. Warnings are ignored unless `warnings` is set.
    """
    async with migration_databases(config) as opened:
        findings = [
            finding
            for label in labels_of(opened)
            for finding in await check_label(opened, label, CheckOptions(large, filled))
        ]
    messages = [format_finding(finding) for finding in findings if warnings or finding.severity == "error"]
    if messages:
        raise AssertionError("\n".join(messages))
