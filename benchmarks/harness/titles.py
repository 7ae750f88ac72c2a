"""What stands above the table: when, where and how it was measured."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.contenders import Contender
from benchmarks.harness.environments import versions
from benchmarks.harness.measuring import Measurement
from benchmarks.harness.paths import ROOT

NAMED = (
    *("sanic", "tortoise-orm", "fastapi", "uvicorn", "SQLAlchemy", "litestar", "blacksheep", "robyn", "granian"),
    *("fastpysgi", "asyncpg", "redis", "cashews", "aiocache", "pydantic"),
)


def heading(measurements: Sequence[Measurement], contenders: Sequence[Contender]) -> str:
    """Three lines of Markdown."""
    rounds = max((measurement.round for measurement in measurements), default=0)
    return "\n".join(
        [
            f"{time.strftime('%Y-%m-%d %H:%M')}, {_machine()}, {_commit()}, {rounds} rounds: "
            f"`python -m benchmarks.compare {shlex.join(sys.argv[1:])}`",
            f"{_versions(contenders)}.",
            _load_share(measurements),
        ]
    )


def _machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{model}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def _commit() -> str:
    result = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return f"commit {result.stdout.strip()}" if result.returncode == 0 else "no commit"


def _versions(contenders: Sequence[Contender]) -> str:
    by_name: dict[str, str] = {}
    for environment in sorted({contender.environment for contender in contenders}):
        by_name = {**versions(environment), **by_name}
    return ", ".join(f"{name} {by_name[name]}" for name in NAMED if name in by_name)


def _load_share(measurements: Sequence[Measurement]) -> str:
    shares = [
        measurement.load_share for measurement in measurements if measurement.load_share == measurement.load_share
    ]
    errors = sum(measurement.errors for measurement in measurements)
    if not shares:
        return f"{errors} errors."
    return f"The load used at most {max(shares):.0%} of its core. {errors} errors."
