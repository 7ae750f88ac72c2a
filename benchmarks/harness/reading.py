"""Reads of a cache in a process of its own, without a server: started, checked, measured."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

from benchmarks.harness.checking import WrongAnswer, normal
from benchmarks.harness.contenders import Contender
from benchmarks.harness.data import item
from benchmarks.harness.environments import python_of
from benchmarks.harness.measuring import Measurement, Plan
from benchmarks.harness.paths import CONTENDERS
from benchmarks.harness.scenarios import CACHED, Scenario
from benchmarks.harness.server import SERVER_CORE, Watch, environment_of, nobody
from benchmarks.harness.stores import Stores

NO_PORT = 1  # nothing listens, but a service has a port


def measure_reads(
    number: int, contender: Contender, scenario: Scenario, stores: Stores, plan: Plan, watch: Watch = nobody
) -> Iterator[Measurement]:
    """One process for each concurrency. Its other end is contenders/shared/reading.py."""
    for concurrency in scenario.concurrency:
        report = _report(contender, scenario, concurrency, stores, plan, watch)
        yield Measurement(
            number,
            scenario.name,
            contender.name,
            concurrency,
            cost=report["cpu"] / report["reads"],
            rate=report["reads"] / report["seconds"],
            p50=report["p50"],
            p99=report["p99"],
        )


def _report(
    contender: Contender, scenario: Scenario, concurrency: int, stores: Stores, plan: Plan, watch: Watch
) -> dict[str, float]:
    rows = [item(key) for key in range(1, CACHED + 1)]
    process = subprocess.Popen(
        [python_of(contender.environment), *contender.command],
        cwd=CONTENDERS / contender.folder,
        env=environment_of(contender, scenario, stores, NO_PORT),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        wanted = {
            "rows": rows,
            "concurrency": concurrency,
            "batch": scenario.batch,
            "seconds": plan.seconds,
            "warm_up": plan.warm_up,
        }
        print(json.dumps(wanted), file=process.stdin, flush=True)
        read = normal(json.loads(process.stdout.readline() or "null"))
        if read != [rows, rows]:
            process.kill()
            raise WrongAnswer(f"{contender.name} read something else than was stored: {str(read)[:1000]}")
        watch(process.pid)
        print("go", file=process.stdin, flush=True)
        report: dict[str, float] = json.loads(process.stdout.readline())
    return report
