"""Where things are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
CONTENDERS = BENCHMARKS / "contenders"
REQUIREMENTS = BENCHMARKS / "requirements"
ENVIRONMENTS = ROOT / ".benchmarks"  # not below benchmarks/, whose Python files tests read
RESULTS = BENCHMARKS / "results"
