"""A run: rounds, in each of which every contender takes part in every scenario, in random order."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence

from benchmarks.harness.contenders import Contender
from benchmarks.harness.measuring import Measurement, Plan, measure
from benchmarks.harness.reading import measure_reads
from benchmarks.harness.scenarios import Scenario
from benchmarks.harness.stores import Stores


def run(
    contenders: Sequence[Contender], scenarios: Sequence[Scenario], rounds: int, plan: Plan, stores: Stores
) -> Iterator[Measurement]:
    """Measure all of them. Those of one scenario come right after one another, and so meet the same machine."""
    for number in range(1, rounds + 1):
        for scenario in random.sample(scenarios, len(scenarios)):
            taking_part = [contender for contender in contenders if contender.takes_part_in(scenario)]
            for contender in random.sample(taking_part, len(taking_part)):
                stores.prepare(scenario)
                measuring = measure_reads if scenario.is_library else measure
                for measurement in measuring(number, contender, scenario, stores, plan):
                    print(_line(measurement, rounds), file=sys.stderr)
                    yield measurement


def _line(measurement: Measurement, rounds: int) -> str:
    named = (
        f"{measurement.round}/{rounds} {measurement.scenario:14} {measurement.contender:24} {measurement.concurrency:4}"
    )
    if measurement.memory == measurement.memory:
        return (
            f"{named} {measurement.first_answer:6.2f} s, {measurement.cost:6.2f} s of CPU, {measurement.memory:6.1f} MB"
        )
    load = f", load {measurement.load_share:.0%}" if measurement.load_share == measurement.load_share else ""
    return f"{named} {measurement.cost * 1e6:8.1f} µs {measurement.rate:9.0f}/s {measurement.errors} errors{load}"
