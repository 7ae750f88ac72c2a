"""`sanicGuider jobs` on jobs in NATS: what it can do there, and what it says it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sanicbase.cli import main
from xi_test.config import XiTestConfig

WAITING = "a" * 32


def test_a_queue_is_paused_and_a_job_that_is_not_dead_is_not_found(
    nats_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, JOBS_URL=nats_url)
    monkeypatch.setattr("xi_test.config.config", config)

    def cli(*words: str) -> str:
        return CliRunner().invoke(main, ["jobs", *words]).output

    assert cli("pause", "xi_test") == "The queue default is paused.\n"
    listed = cli("list", "xi_test")
    assert "The queue default is paused." in listed
    assert "NATS lists dead letters only" in listed
    assert cli("resume", "xi_test") == "The queue default is no longer paused.\n"
    assert f"xi_test has no dead letter {WAITING}. NATS finds no job that waits or runs." in cli(
        "drop", "xi_test", WAITING
    )
