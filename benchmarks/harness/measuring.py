"""One measurement: a contender, a scenario, and for each concurrency what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks.harness.checking import check
from benchmarks.harness.contenders import Contender
from benchmarks.harness.paths import ROOT
from benchmarks.harness.scenarios import Exchange, Scenario
from benchmarks.harness.server import LOAD_CORE, Server, Watch, nobody, serving
from benchmarks.harness.stores import Stores
from benchmarks.load.job import Job, Kind, Report

MESSAGE = b"A message of sixty-four bytes, as a chat or a ticker would send."
NOT_MEASURED = float("nan")


@dataclass(frozen=True)
class Plan:
    """How long each measurement takes, in seconds."""

    seconds: float
    warm_up: float


@dataclass(frozen=True)
class Measurement:
    """What came out. Times are in seconds, memory in megabytes."""

    round: int
    scenario: str
    contender: str
    concurrency: int
    cost: float
    """CPU time of the server's processes: for one answer, or from the start to the first answer."""
    rate: float = NOT_MEASURED
    p50: float = NOT_MEASURED
    p99: float = NOT_MEASURED
    errors: int = 0
    load_share: float = NOT_MEASURED
    """How busy the load's core was with the load, from 0 to 1."""
    first_answer: float = NOT_MEASURED
    memory: float = NOT_MEASURED

    def to_json(self) -> str:
        """The measurement as one line."""
        return json.dumps(asdict(self))


def measure(
    number: int, contender: Contender, scenario: Scenario, stores: Stores, plan: Plan, watch: Watch = nobody
) -> Iterator[Measurement]:
    """Start it, check it, measure it, stop it. `watch` gets the process's id when what is measured begins."""
    exchanges = scenario.exchanges(scenario.rows)
    with serving(contender, scenario, stores, watch if scenario.kind == "start" else nobody) as server:
        check(contender, scenario, exchanges, server.port, stores)
        if scenario.kind == "start":
            yield Measurement(
                number,
                scenario.name,
                contender.name,
                concurrency=1,
                cost=server.start_cpu,
                first_answer=server.first_answer,
                memory=server.memory(),
            )
            return
        for concurrency in scenario.concurrency:
            watch(server.pid)
            report = _load(_job(scenario, exchanges, server, concurrency, plan))
            yield Measurement(
                number,
                scenario.name,
                contender.name,
                concurrency,
                cost=report.server_cpu / max(1, report.answers),
                rate=report.answers / report.seconds,
                p50=report.p50,
                p99=report.p99,
                errors=report.errors,
                load_share=report.load_cpu / report.seconds,
            )


def _job(scenario: Scenario, exchanges: Sequence[Exchange], server: Server, concurrency: int, plan: Plan) -> Job:
    kind: Kind = "http"
    requests: tuple[bytes, ...]
    if scenario.kind in ("echo", "room"):
        kind = scenario.kind
        requests = (f"/{kind}".encode(), MESSAGE)
    else:
        requests = tuple(exchange.to_bytes() for exchange in exchanges)
    status = exchanges[0].status if exchanges else 101
    return Job(kind, server.port, server.pid, concurrency, plan.seconds, plan.warm_up, requests, status)


def _load(job: Job) -> Report:
    """Have the load process carry it out, on a core of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        cwd=ROOT,
        input=job.to_json(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
    )
    if result.returncode or not result.stdout:
        raise SystemExit(f"The load failed.\n{result.stderr[-2000:]}")
    if result.stderr:
        print(f"An answer was wrong: {result.stderr[:500]}", file=sys.stderr)
    return Report.from_json(result.stdout)
