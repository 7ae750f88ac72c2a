"""What is shown while a migration runs."""

from __future__ import annotations

import asyncio

import pytest

from sanicbase.cli.migration_output import progress
from sanicbase.cli.migration_output.progress import Progress


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")


def test_each_thing_has_a_line_and_warnings_go_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        progress = Progress()
        progress.waiting("Waiting.")
        progress.warning("A file is missing.")
        progress.migration_started("1_a.py", "up", 2)
        progress.statement_started(2, 3, f"ALTER\n  TABLE {'a' * 200}")
        progress.statement_finished(2, 3, 12.34)
        progress.rows_migrated("article", 500, 1200)
        progress.migration_finished("1_a.py", "up", 13.0, fake=False)
        progress.migration_finished("1_a.py", "down", 13.0, fake=True)

    asyncio.run(run())
    out, err = capsys.readouterr()
    assert err == "A file is missing.\n"
    assert out.splitlines() == [
        "Waiting.",
        "1_a.py, resuming at statement 2",
        f"  2/3  ALTER TABLE {'a' * 87}…",
        "        done in 12.3 s",
        "        article: 500 of 1200 rows",
        "1_a.py: applied (13.0 s)",
        "1_a.py: recorded without executing it (13.0 s)",
    ]


def test_a_running_statement_is_reported_until_it_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)

    async def run() -> None:
        progress = Progress()
        progress.statement_started(1, 1, "SELECT 1")
        output = ""
        async with asyncio.timeout(10):
            while output.count("running for 0 s") < 2:
                await asyncio.sleep(0)
                output += capsys.readouterr().out
        progress.end()
        capsys.readouterr()
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert capsys.readouterr().out == ""
